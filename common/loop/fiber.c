#include "loop/fiber.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "loop/switch.h"
#include <assert.h>
#include <stdlib.h>

enum {
    TRIM_EVERY_MS = 1000,
    ALWAYS_WARM = 8, /* stacks never given back, so that a quiet process does not fault at each call */
#ifdef BUSI_SANITIZED
    STACK_FACTOR = 4, /* red zones around every variable */
#else
    STACK_FACTOR = 1,
#endif
};

enum state { IDLE, RUNNING, WAITING, WOKEN };

struct busi_fiber {
    struct busi_post resume;      /* its place in the loop's queue */
    struct busi_context context;  /* where it stands while it waits */
    struct busi_context *resumer; /* while it runs: who goes on when it waits */
    struct busi_fiber *outer;     /* while it runs: the fiber that started it, or NULL */
    struct busi_fibers *fibers;   /* its pool */
    size_t number;                /* index in the pool's arrays */
    busi_loop_fn *fn;             /* its work */
    void *arg;                    /* for fn */
    enum state state;             /* of its life */
    enum busi_woken woken_by;     /* when WOKEN: what its wait returns */
    bool wake_pending;            /* woken while it ran: the next wait returns at once */
    bool committed;               /* is not cut short any more */
    bool warm;                    /* its stack has memory */
    struct busi_stack stack;      /* owned */
};

struct busi_fibers {
    struct busi_loop *loop;   /* borrowed */
    struct busi_fiber **made; /* all of them; owned */
    struct busi_fiber **idle; /* last used last, so that few stacks are hot */
    int64_t *until_ms;        /* by number: when its wait ends; INT64_MAX never, or not waiting */
    size_t n_made;            /* of made */
    size_t n_idle;            /* of idle */
    size_t most;              /* room of the three arrays */
    size_t stack_bytes;       /* each */
    size_t peak;              /* most busy since the last trim */
    int64_t sweep_ms;         /* no wait ends before */
    struct busi_timer *sweep; /* at sweep_ms */
    struct busi_timer *trim;  /* gives back stacks */
};

/* Each thread has its own loop. */
static _Thread_local struct busi_fiber *running;

static void resume(void *arg);

/* It waits, and its time has come. */
static void time_out(struct busi_fiber *fiber)
{
    busi_fiber_wake(fiber);
    fiber->woken_by = BUSI_TIMED_OUT;
}

/* Deadlines almost never pass, so a wait only notes its own (see wait_until()); when the earliest is reached
 * all are looked at, and the earliest of those still waiting is the next to look at. */
static void sweep(void *arg)
{
    struct busi_fibers *fibers = arg;
    int64_t now_ms = busi_now_ms();
    fibers->sweep_ms = INT64_MAX;
    for (size_t i = 0; i < fibers->n_made; i++) {
        if (fibers->until_ms[i] > now_ms) {
            if (fibers->until_ms[i] < fibers->sweep_ms)
                fibers->sweep_ms = fibers->until_ms[i];
            continue;
        }
        time_out(fibers->made[i]);
    }
    busi_timer_set(fibers->sweep, fibers->sweep_ms);
}

/* Stacks that the peak of the last period did not need. */
static void trim(void *arg)
{
    struct busi_fibers *fibers = arg;
    size_t warm = fibers->peak > ALWAYS_WARM ? fibers->peak : ALWAYS_WARM;
    size_t cold = fibers->n_made > warm ? fibers->n_made - warm : 0;
    for (size_t i = 0; i < cold && i < fibers->n_idle; i++) {
        if (fibers->idle[i]->warm)
            busi_stack_trim(&fibers->idle[i]->stack);
        fibers->idle[i]->warm = false;
    }
    fibers->peak = busi_fibers_busy(fibers);
}

struct busi_fibers *busi_fibers_new(struct busi_loop *loop, size_t most, size_t stack_bytes)
{
    assert(most > 0);
    struct busi_fibers *fibers = calloc(1, sizeof(*fibers));
    if (!fibers)
        return NULL;
    fibers->loop = loop;
    fibers->most = most;
    fibers->stack_bytes = stack_bytes * STACK_FACTOR;
    fibers->sweep_ms = INT64_MAX;
    fibers->made = calloc(most, sizeof(struct busi_fiber *));
    fibers->idle = calloc(most, sizeof(struct busi_fiber *));
    fibers->until_ms = calloc(most, sizeof(int64_t));
    fibers->sweep = busi_loop_timer(loop, sweep, fibers);
    fibers->trim = busi_loop_every(loop, TRIM_EVERY_MS, trim, fibers);
    if (!fibers->made || !fibers->idle || !fibers->until_ms || !fibers->sweep || !fibers->trim)
        busi_fibers_free(&fibers);
    return fibers;
}

void busi_fibers_free(struct busi_fibers **fibers)
{
    struct busi_fibers *gone = *fibers;
    if (!gone)
        return;
    assert(busi_fibers_busy(gone) == 0);
    for (size_t i = 0; gone->made && i < gone->n_made; i++) {
        busi_stack_unmap(&gone->made[i]->stack);
        free(gone->made[i]);
    }
    busi_timer_free(&gone->sweep);
    busi_timer_free(&gone->trim);
    free(gone->made);
    free(gone->idle);
    free(gone->until_ms);
    free(gone);
    *fibers = NULL;
}

size_t busi_fibers_busy(const struct busi_fibers *fibers)
{
    return fibers->n_made - fibers->n_idle;
}

static struct busi_fiber *make(struct busi_fibers *fibers)
{
    if (fibers->n_made == fibers->most)
        return NULL;
    struct busi_fiber *fiber = calloc(1, sizeof(*fiber));
    if (!fiber)
        return NULL;
    if (!busi_stack_map(&fiber->stack, fibers->stack_bytes)) {
        free(fiber);
        return NULL;
    }
    fiber->fibers = fibers;
    fiber->number = fibers->n_made;
    fiber->resume = (struct busi_post){.fn = resume, .arg = fiber};
    fibers->until_ms[fiber->number] = INT64_MAX;
    fibers->made[fibers->n_made++] = fiber;
    return fiber;
}

static void begin(void *arg)
{
    struct busi_fiber *fiber = arg;
    fiber->fn(fiber->arg);
    fiber->state = IDLE;
    busi_context_leave(&fiber->context, fiber->resumer);
}

static void resume(void *arg)
{
    struct busi_fiber *fiber = arg;
    struct busi_fibers *fibers = fiber->fibers;
    struct busi_context here = {0};
    fiber->resumer = &here;
    fiber->outer = running;
    fiber->state = RUNNING;
    running = fiber;
    busi_context_switch(&here, &fiber->context);
    running = fiber->outer;
    if (fiber->state != IDLE)
        return;
    busi_context_drop(&fiber->context);
    fibers->idle[fibers->n_idle++] = fiber;
    busi_metric_add(BUSI_METRIC_fibers_busy, -1);
}

bool busi_fiber_start(struct busi_fibers *fibers, busi_loop_fn *fn, void *arg)
{
    struct busi_fiber *fiber = fibers->n_idle > 0 ? fibers->idle[--fibers->n_idle] : make(fibers);
    if (!fiber)
        return false;
    if (busi_fibers_busy(fibers) > fibers->peak)
        fibers->peak = busi_fibers_busy(fibers);
    busi_metric_add(BUSI_METRIC_fibers_busy, 1);
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->wake_pending = fiber->committed = false;
    fiber->warm = true;
    busi_context_make(&fiber->context, &fiber->stack, begin, fiber);
    resume(fiber);
    return true;
}

struct busi_fiber *busi_fiber_self(void)
{
    return running;
}

static enum busi_woken wait_until(struct busi_fiber *fiber, int64_t until_ms)
{
    struct busi_fibers *fibers = fiber->fibers;
    fibers->until_ms[fiber->number] = until_ms;
    if (until_ms < fibers->sweep_ms) {
        fibers->sweep_ms = until_ms;
        busi_timer_set(fibers->sweep, until_ms);
    }
    fiber->state = WAITING;
    busi_context_switch(&fiber->context, fiber->resumer);
    return fiber->woken_by;
}

enum busi_woken busi_fiber_wait(int64_t until_ms)
{
    struct busi_fiber *fiber = running;
    assert(fiber);
    if (!fiber->wake_pending)
        return wait_until(fiber, until_ms);
    fiber->wake_pending = false;
    return BUSI_WOKEN;
}

void busi_fiber_wake(struct busi_fiber *fiber)
{
    switch (fiber->state) {
    case WAITING:
        fiber->fibers->until_ms[fiber->number] = INT64_MAX;
        fiber->state = WOKEN;
        busi_loop_soon(fiber->fibers->loop, &fiber->resume);
        [[fallthrough]];
    case WOKEN: /* also when it timed out but has not run yet: what it waited for is there */
        fiber->woken_by = BUSI_WOKEN;
        return;
    case RUNNING:
        fiber->wake_pending = true;
        return;
    case IDLE:
        return;
    }
}

void busi_fiber_commit(void)
{
    assert(running);
    running->committed = true;
}

bool busi_fiber_cancel(struct busi_fiber *fiber)
{
    assert(!running);
    if (fiber->committed)
        return false;
    if (fiber->state == WAITING)
        time_out(fiber);
    return true;
}

void busi_fiber_sleep(int64_t ms)
{
    struct busi_fiber *fiber = running;
    assert(fiber);
    int64_t until_ms = busi_now_ms() + (ms > 0 ? ms : 0);
    bool woken = fiber->wake_pending;
    while (wait_until(fiber, until_ms) == BUSI_WOKEN)
        woken = true;
    fiber->wake_pending = woken;
}
