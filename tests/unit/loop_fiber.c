#include "base/metrics.h"
#include "loop_kit.h"
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024 };

struct stage {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct kit_log log;
};

static struct stage open_stage(size_t most)
{
    struct stage stage = {.loop = kit_loop()};
    stage.fibers = busi_fibers_new(stage.loop, most, STACK_BYTES);
    cr_assert_not_null(stage.fibers);
    return stage;
}

static void close_stage(struct stage *stage)
{
    cr_assert_eq(busi_fibers_busy(stage->fibers), 0);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_fibers_busy), 0);
    busi_fibers_free(&stage->fibers);
    cr_assert_null(stage->fibers);
    busi_loop_free(&stage->loop);
}

/* One fiber of a test. */
struct actor {
    struct stage *stage;
    struct busi_fiber *fiber;
    char letter;
    int64_t until_ms;
    enum busi_woken woken;
    int waits;
};

static void wait_and_note(void *arg)
{
    struct actor *actor = arg;
    actor->fiber = busi_fiber_self();
    kit_note(&actor->stage->log, '(');
    actor->woken = busi_fiber_wait(actor->until_ms);
    kit_note(&actor->stage->log, actor->letter);
}

static struct actor start_actor(struct stage *stage, char letter, int64_t until_ms)
{
    return (struct actor){.stage = stage, .letter = letter, .until_ms = until_ms};
}

Test(fiber, it_runs_at_once_until_it_waits_and_goes_on_after_the_wake)
{
    struct stage stage = open_stage(4);
    struct actor actor = start_actor(&stage, 'a', INT64_MAX);
    cr_assert_null(busi_fiber_self());
    cr_assert(busi_fiber_start(stage.fibers, wait_and_note, &actor));
    cr_assert_str_eq(stage.log.text, "(");
    cr_assert_null(busi_fiber_self());
    cr_assert_eq(busi_fibers_busy(stage.fibers), 1);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_fibers_busy), 1);
    busi_fiber_wake(actor.fiber);
    busi_fiber_wake(actor.fiber);
    cr_assert_str_eq(stage.log.text, "(", "a wake does not run it here");
    kit_run_for(stage.loop, 10);
    cr_assert_str_eq(stage.log.text, "(a", "woken twice, ran once");
    cr_assert_eq(actor.woken, BUSI_WOKEN);
    close_stage(&stage);
}

Test(fiber, they_run_in_the_order_of_their_wakes_before_the_turn_ends)
{
    struct stage stage = open_stage(4);
    struct actor actors[3];
    struct kit_letter end = {&stage.log, 'e'};
    for (int i = 0; i < 3; i++) {
        actors[i] = start_actor(&stage, (char)('a' + i), INT64_MAX);
        cr_assert(busi_fiber_start(stage.fibers, wait_and_note, &actors[i]));
    }
    stage.log.len = 0;
    busi_fiber_wake(actors[2].fiber);
    busi_fiber_wake(actors[0].fiber);
    busi_fiber_wake(actors[1].fiber);
    busi_fiber_wake(actors[2].fiber);
    cr_assert(busi_loop_at_turn_end(stage.loop, kit_note_letter, &end));
    cr_assert_not_null(busi_loop_after(stage.loop, 0, kit_stop, stage.loop));
    busi_loop_run(stage.loop);
    cr_assert_str_eq(stage.log.text, "cabe");
    close_stage(&stage);
}

static void wake_self_then_wait(void *arg)
{
    struct actor *actor = arg;
    busi_fiber_wake(busi_fiber_self());
    busi_fiber_wake(busi_fiber_self());
    actor->woken = busi_fiber_wait(INT64_MAX);
    kit_note(&actor->stage->log, '1');
    actor->woken = busi_fiber_wait(busi_now_ms() + 5);
    kit_note(&actor->stage->log, '2');
}

Test(fiber, a_wake_before_the_wait_is_kept_once)
{
    struct stage stage = open_stage(1);
    struct actor actor = {.stage = &stage};
    cr_assert(busi_fiber_start(stage.fibers, wake_self_then_wait, &actor));
    cr_assert_str_eq(stage.log.text, "1", "the first wait returned at once");
    cr_assert_eq(actor.woken, BUSI_WOKEN);
    kit_run_for(stage.loop, 30);
    cr_assert_str_eq(stage.log.text, "12");
    cr_assert_eq(actor.woken, BUSI_TIMED_OUT, "the second wait had no wake left");
    close_stage(&stage);
}

static void wake_self_and_end(void *arg)
{
    (void)arg;
    busi_fiber_wake(busi_fiber_self());
}

Test(fiber, a_wake_left_over_is_not_inherited_by_the_next_work)
{
    struct stage stage = open_stage(1);
    struct actor actor = start_actor(&stage, 'a', busi_now_ms() + 5);
    cr_assert(busi_fiber_start(stage.fibers, wake_self_and_end, NULL));
    cr_assert(busi_fiber_start(stage.fibers, wait_and_note, &actor));
    kit_run_for(stage.loop, 30);
    cr_assert_eq(actor.woken, BUSI_TIMED_OUT);
    busi_fiber_wake(actor.fiber); /* it has ended: nothing happens */
    kit_run_for(stage.loop, 5);
    cr_assert_str_eq(stage.log.text, "(a");
    close_stage(&stage);
}

Test(fiber, waits_end_at_their_deadlines_never_early_whatever_their_order)
{
    struct stage stage = open_stage(8);
    const int64_t after_ms[] = {60, 20, 10000, 40, INT32_MAX, 0};
    struct actor actors[6];
    int64_t now_ms = busi_now_ms();
    for (int i = 0; i < 6; i++) {
        actors[i] = start_actor(&stage, (char)('a' + i), now_ms + after_ms[i]);
        cr_assert(busi_fiber_start(stage.fibers, wait_and_note, &actors[i]));
    }
    stage.log.len = 0;
    kit_run_for(stage.loop, 10);
    cr_assert_eq(stage.log.text[0], 'f');
    cr_assert_eq(stage.log.len, 1);
    kit_run_for(stage.loop, 200);
    cr_assert_eq(strncmp(stage.log.text, "fbda", 4), 0, "%.6s", stage.log.text);
    cr_assert_eq(stage.log.len, 4);
    for (int i = 0; i < 6; i++)
        if (after_ms[i] < 1000)
            cr_assert_eq(actors[i].woken, BUSI_TIMED_OUT);
    busi_fiber_wake(actors[2].fiber);
    busi_fiber_wake(actors[4].fiber);
    kit_run_for(stage.loop, 5);
    cr_assert_eq(actors[2].woken, BUSI_WOKEN);
    cr_assert_eq(actors[4].woken, BUSI_WOKEN);
    close_stage(&stage);
}

static void wait_many(void *arg)
{
    struct actor *actor = arg;
    actor->fiber = busi_fiber_self();
    for (actor->waits = 0; actor->waits < 1000; actor->waits++)
        if (busi_fiber_wait(busi_now_ms() + 50) != BUSI_WOKEN)
            return;
    actor->woken = busi_fiber_wait(busi_now_ms() + 20);
    busi_loop_stop(actor->stage->loop);
}

static void wake_actor(void *arg)
{
    busi_fiber_wake(((struct actor *)arg)->fiber);
}

Test(fiber, deadlines_of_waits_that_were_woken_never_fire)
{
    struct stage stage = open_stage(2);
    struct actor actor = {.stage = &stage};
    cr_assert(busi_fiber_start(stage.fibers, wait_many, &actor));
    struct busi_timer *waker = busi_loop_every(stage.loop, 1, wake_actor, &actor);
    while (actor.waits < 1000) {
        busi_fiber_wake(actor.fiber);
        kit_run_for(stage.loop, 0);
        cr_assert_eq(busi_fibers_busy(stage.fibers), 1, "timed out in wait %d", actor.waits);
    }
    busi_timer_free(&waker);
    busi_loop_run(stage.loop);
    cr_assert_eq(actor.woken, BUSI_TIMED_OUT, "and the last one did fire");
    close_stage(&stage);
}

static void sleep_30(void *arg)
{
    struct actor *actor = arg;
    int64_t began_ms = busi_now_ms();
    actor->fiber = busi_fiber_self();
    busi_fiber_sleep(30);
    cr_assert_geq(busi_now_ms() - began_ms, 30, "a wake does not end a pause");
    actor->woken = busi_fiber_wait(INT64_MAX); /* and is there afterwards */
    kit_stop(actor->stage->loop);
}

Test(fiber, a_wake_neither_ends_a_pause_nor_is_lost_in_it)
{
    struct stage stage = open_stage(2);
    struct actor actor = {.stage = &stage, .woken = BUSI_TIMED_OUT};
    cr_assert(busi_fiber_start(stage.fibers, sleep_30, &actor));
    cr_assert_not_null(busi_loop_after(stage.loop, 5, wake_actor, &actor));
    busi_loop_run(stage.loop);
    cr_assert_eq(actor.woken, BUSI_WOKEN);
    close_stage(&stage);
}

static void start_inner(void *arg)
{
    struct actor *actors = arg;
    actors[0].fiber = busi_fiber_self();
    kit_note(&actors[0].stage->log, '[');
    cr_assert(busi_fiber_start(actors[0].stage->fibers, wait_and_note, &actors[1]));
    cr_assert_eq(busi_fiber_self(), actors[0].fiber, "back in the outer one");
    kit_note(&actors[0].stage->log, ']');
    busi_fiber_wait(INT64_MAX);
    kit_note(&actors[0].stage->log, actors[0].letter);
}

Test(fiber, one_may_start_another)
{
    struct stage stage = open_stage(2);
    struct actor actors[2] = {start_actor(&stage, 'o', 0), start_actor(&stage, 'i', INT64_MAX)};
    cr_assert(busi_fiber_start(stage.fibers, start_inner, actors));
    cr_assert_str_eq(stage.log.text, "[(]");
    busi_fiber_wake(actors[0].fiber); /* the outer ends first */
    kit_run_for(stage.loop, 5);
    busi_fiber_wake(actors[1].fiber);
    kit_run_for(stage.loop, 5);
    cr_assert_str_eq(stage.log.text, "[(]oi");
    close_stage(&stage);
}

Test(fiber, past_the_most_there_is_no_other)
{
    struct stage stage = open_stage(3);
    struct actor actors[4];
    for (int i = 0; i < 4; i++)
        actors[i] = start_actor(&stage, (char)('a' + i), INT64_MAX);
    for (int i = 0; i < 3; i++)
        cr_assert(busi_fiber_start(stage.fibers, wait_and_note, &actors[i]));
    cr_assert_not(busi_fiber_start(stage.fibers, wait_and_note, &actors[3]));
    busi_fiber_wake(actors[1].fiber);
    kit_run_for(stage.loop, 5);
    cr_assert(busi_fiber_start(stage.fibers, wait_and_note, &actors[3]), "one is free again");
    cr_assert_eq(actors[3].fiber, actors[1].fiber, "used again");
    for (int i = 0; i < 4; i++)
        if (i != 1)
            busi_fiber_wake(actors[i].fiber);
    kit_run_for(stage.loop, 5);
    cr_assert_str_eq(stage.log.text, "(((b(acd");
    close_stage(&stage);
}

struct crowd {
    struct stage stage;
    int done, wrong;
};

static void compute(void *arg)
{
    struct crowd *crowd = arg;
    unsigned seed = (unsigned)(uintptr_t)&crowd ^ (unsigned)crowd->done;
    volatile unsigned char bytes[4096];
    double sum = 0, again = 0;
    unsigned a = rand_r(&seed), b = a * 3, c = a ^ 7;
    memset((void *)bytes, (int)(a & 0xff), sizeof(bytes));
    for (int i = 1; i <= 20; i++) {
        sum += 1.0 / (i * (double)(a % 1000 + 1));
        busi_fiber_sleep(rand_r(&seed) % 10);
    }
    for (int i = 1; i <= 20; i++)
        again += 1.0 / (i * (double)(a % 1000 + 1));
    for (size_t i = 0; i < sizeof(bytes); i++)
        crowd->wrong += bytes[i] != (a & 0xff);
    crowd->wrong += sum != again || b != a * 3 || c != (a ^ 7);
    if (++crowd->done == 1000)
        busi_loop_stop(crowd->stage.loop);
}

Test(fiber, a_thousand_at_once_keep_their_stacks_and_registers_apart)
{
    struct crowd crowd = {.stage = open_stage(1000)};
    for (int i = 0; i < 1000; i++)
        cr_assert(busi_fiber_start(crowd.stage.fibers, compute, &crowd));
    cr_assert_eq(busi_fibers_busy(crowd.stage.fibers), 1000);
    busi_loop_run(crowd.stage.loop);
    cr_assert_eq(crowd.done, 1000);
    cr_assert_eq(crowd.wrong, 0);
    close_stage(&crowd.stage);
}

/* Called through a pointer the compiler cannot see through: neither inlined nor made a loop. */
static unsigned (*volatile go_down)(unsigned depth);
static unsigned dive(unsigned depth)
{
    volatile char frame[1024];
    frame[depth % sizeof(frame)] = (char)depth;
    if (depth == 4096)
        return 0;
    return go_down(depth + 1) + (unsigned)frame[depth % sizeof(frame)];
}

static void overflow(void *arg)
{
    go_down = dive;
    *(volatile unsigned *)arg = dive(0);
}

Test(fiber, a_stack_too_small_ends_the_process_instead_of_spilling)
{
    struct stage stage = open_stage(4);
    struct actor neighbour = start_actor(&stage, 'n', INT64_MAX);
    cr_assert(busi_fiber_start(stage.fibers, wait_and_note, &neighbour));
    pid_t child = fork();
    cr_assert_neq(child, -1);
    if (child == 0) {
        unsigned sink = 0;
        close(STDERR_FILENO); /* AddressSanitizer's report is expected */
        _exit(busi_fiber_start(stage.fibers, overflow, &sink) ? 42 : 43);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
#ifdef BUSI_SANITIZED
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %x", status);
#else
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status %x", status);
#endif
    busi_fiber_wake(neighbour.fiber);
    kit_run_for(stage.loop, 5);
    close_stage(&stage);
}

struct glutton {
    struct busi_fiber *fiber;
    char *page; /* somewhere deep in its stack */
};

/* Not instrumented: AddressSanitizer may keep arrays outside of the stack. */
[[gnu::no_sanitize_address]] static void touch_deep(void *arg)
{
    struct glutton *glutton = arg;
    volatile char bytes[40 * 1024];
    for (size_t i = 0; i < sizeof(bytes); i += 1024)
        bytes[i] = 1;
    glutton->fiber = busi_fiber_self();
    glutton->page = (char *)((uintptr_t)(bytes + sizeof(bytes) / 2) & ~(uintptr_t)4095);
    busi_fiber_wait(INT64_MAX);
}

static int resident(const struct glutton *gluttons, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        unsigned char in = 0;
        cr_assert_eq(mincore(gluttons[i].page, 1, &in), 0);
        count += in & 1;
    }
    return count;
}

Test(fiber, stacks_of_a_burst_go_back_to_the_system)
{
    static struct glutton gluttons[300];
    struct stage stage = open_stage(300);
    for (int i = 0; i < 300; i++)
        cr_assert(busi_fiber_start(stage.fibers, touch_deep, &gluttons[i]));
    cr_assert_eq(resident(gluttons, 300), 300);
    for (int i = 0; i < 300; i++)
        busi_fiber_wake(gluttons[i].fiber);
    kit_run_for(stage.loop, 3200);
    cr_assert_leq(resident(gluttons, 300), 16);
    for (int i = 0; i < 300; i++) /* and come back */
        cr_assert(busi_fiber_start(stage.fibers, touch_deep, &gluttons[i]));
    for (int i = 0; i < 300; i++)
        busi_fiber_wake(gluttons[i].fiber);
    kit_run_for(stage.loop, 5);
    close_stage(&stage);
}

/* ---- cut short ---- */

struct patient {
    struct busi_fiber *fiber;
    bool commits;
    enum busi_woken woken;
    int64_t took_ms;
    bool ended;
};

static void be_patient(void *arg)
{
    struct patient *patient = arg;
    int64_t began_ms = busi_now_ms();
    patient->fiber = busi_fiber_self();
    if (patient->commits)
        busi_fiber_commit();
    patient->woken = busi_fiber_wait(began_ms + 200);
    busi_fiber_sleep(20);
    patient->took_ms = busi_now_ms() - began_ms;
    patient->ended = true;
}

static void stop_loop(void *loop)
{
    busi_loop_stop(loop);
}

Test(fiber, one_that_is_cancelled_finds_its_time_over)
{
    struct stage stage = open_stage(4);
    struct patient cut = {.commits = false}, whole = {.commits = true}, next = {.commits = false};
    cr_assert(busi_fiber_start(stage.fibers, be_patient, &cut));
    cr_assert(busi_fiber_start(stage.fibers, be_patient, &whole));
    cr_expect(busi_fiber_cancel(cut.fiber));
    cr_expect_not(busi_fiber_cancel(whole.fiber), "it has committed itself");
    cr_assert_not_null(busi_loop_after(stage.loop, 400, stop_loop, stage.loop));
    busi_loop_run(stage.loop);
    cr_expect(cut.ended && cut.woken == BUSI_TIMED_OUT);
    cr_expect(cut.took_ms >= 19 && cut.took_ms < 150, "%ld ms: one wait was cut, the next one not",
              (long)cut.took_ms);
    cr_expect(whole.ended && whole.took_ms >= 199);
    /* fibers are used again: the next one is no more committed than it says */
    cr_assert(busi_fiber_start(stage.fibers, be_patient, &next));
    cr_expect(busi_fiber_cancel(next.fiber));
    cr_assert_not_null(busi_loop_after(stage.loop, 100, stop_loop, stage.loop));
    busi_loop_run(stage.loop);
    cr_expect(next.ended);
    close_stage(&stage);
}
