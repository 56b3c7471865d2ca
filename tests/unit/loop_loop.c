#include "loop_kit.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct pipe_ends {
    struct busi_loop *loop;
    int read_fd, write_fd;
    struct busi_watch *watch;
    int calls;
    unsigned events;
};

static void open_pipe(struct pipe_ends *ends, struct busi_loop *loop)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *ends = (struct pipe_ends){.loop = loop, .read_fd = fds[0], .write_fd = fds[1]};
}

static void read_and_stop(void *arg, unsigned events)
{
    struct pipe_ends *ends = arg;
    char bytes[16];
    ends->calls++;
    ends->events |= events;
    if (events & BUSI_READABLE)
        cr_assert_geq(read(ends->read_fd, bytes, sizeof(bytes)), 0);
    busi_loop_stop(ends->loop);
}

Test(loop, a_readable_descriptor_is_reported_until_the_watch_is_freed)
{
    struct busi_loop *loop = kit_loop();
    struct pipe_ends ends;
    open_pipe(&ends, loop);
    ends.watch = busi_loop_fd(loop, ends.read_fd, BUSI_READABLE, read_and_stop, &ends);
    for (int i = 1; i <= 3; i++) {
        cr_assert_eq(write(ends.write_fd, "x", 1), 1);
        busi_loop_run(loop);
        cr_assert_eq(ends.calls, i);
        cr_assert_eq(ends.events, BUSI_READABLE);
    }
    busi_watch_free(&ends.watch);
    cr_assert_null(ends.watch);
    cr_assert_eq(write(ends.write_fd, "x", 1), 1);
    kit_run_for(loop, 20);
    cr_assert_eq(ends.calls, 3);
    busi_loop_free(&loop);
    cr_assert_null(loop);
}

Test(loop, wishes_can_change_and_a_hang_up_is_always_told)
{
    struct busi_loop *loop = kit_loop();
    struct pipe_ends ends;
    open_pipe(&ends, loop);
    ends.watch = busi_loop_fd(loop, ends.read_fd, 0, read_and_stop, &ends);
    cr_assert_eq(write(ends.write_fd, "x", 1), 1);
    kit_run_for(loop, 20);
    cr_assert_eq(ends.calls, 0, "nothing was asked for");
    busi_watch_events(ends.watch, BUSI_WRITABLE);
    busi_loop_run(loop);
    cr_assert_eq(ends.events, BUSI_WRITABLE);
    busi_watch_events(ends.watch, 0);
    ends.events = 0;
    close(ends.write_fd);
    busi_loop_run(loop);
    cr_assert_eq(ends.events, BUSI_HUNG_UP);
    busi_loop_free(&loop);
}

static void free_other(void *arg, unsigned events)
{
    struct pipe_ends *ends = arg;
    (void)events;
    ends->calls++;
    for (int i = 0; i < 2; i++)
        busi_watch_free(&ends[i].watch);
}

Test(loop, a_watch_freed_in_a_callback_is_not_called_in_the_same_turn)
{
    struct busi_loop *loop = kit_loop();
    struct pipe_ends ends[2];
    for (int i = 0; i < 2; i++)
        open_pipe(&ends[i], loop);
    ends[0].watch = busi_loop_fd(loop, ends[0].read_fd, BUSI_READABLE, free_other, ends);
    ends[1].watch = busi_loop_fd(loop, ends[1].read_fd, BUSI_READABLE, read_and_stop, &ends[1]);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(write(ends[i].write_fd, "x", 1), 1);
    kit_run_for(loop, 20);
    cr_assert_eq(ends[0].calls, 1);
    cr_assert_eq(ends[1].calls, 0);
    busi_loop_free(&loop);
}

static void add_many(void *arg, unsigned events)
{
    struct pipe_ends *ends = arg;
    (void)events;
    busi_watch_free(&ends[0].watch);
    for (int i = 1; i < 100; i++) {
        open_pipe(&ends[i], ends[0].loop);
        cr_assert_eq(write(ends[i].write_fd, "x", 1), 1);
        ends[i].watch = busi_loop_fd(ends[i].loop, ends[i].read_fd, BUSI_READABLE, read_and_stop, &ends[i]);
        cr_assert_not_null(ends[i].watch);
    }
}

Test(loop, watches_added_in_a_callback_are_served)
{
    static struct pipe_ends ends[100];
    struct busi_loop *loop = kit_loop();
    open_pipe(&ends[0], loop);
    ends[0].watch = busi_loop_fd(loop, ends[0].read_fd, BUSI_READABLE, add_many, ends);
    cr_assert_eq(write(ends[0].write_fd, "x", 1), 1);
    busi_loop_run(loop);
    for (int i = 1; i < 100; i++)
        cr_assert_eq(ends[i].calls, 1, "watch %d", i);
    busi_loop_free(&loop);
}

static void again_at_once(void *arg)
{
    struct pipe_ends *ends = arg;
    cr_assert_not_null(busi_loop_after(ends->loop, 0, again_at_once, ends));
}

static struct busi_post spinning;
static void soon_again(void *loop)
{
    busi_loop_soon(loop, &spinning);
}

Test(loop, work_that_renews_itself_does_not_starve_descriptors)
{
    struct busi_loop *loop = kit_loop();
    struct pipe_ends ends;
    open_pipe(&ends, loop);
    ends.watch = busi_loop_fd(loop, ends.read_fd, BUSI_READABLE, read_and_stop, &ends);
    again_at_once(&ends);
    spinning = (struct busi_post){.fn = soon_again, .arg = loop};
    busi_loop_soon(loop, &spinning);
    cr_assert_eq(write(ends.write_fd, "x", 1), 1);
    busi_loop_run(loop);
    cr_assert_eq(ends.calls, 1);
    busi_loop_free(&loop);
}

struct order {
    struct busi_loop *loop;
    struct kit_log log;
    struct busi_post soon[2];
};

static void note_soon_1(void *arg)
{
    struct order *order = arg;
    kit_note(&order->log, '1');
    busi_loop_soon(order->loop, &order->soon[1]);
}

static void note_soon_2(void *arg)
{
    kit_note(&((struct order *)arg)->log, '2');
}

static void note_end(void *arg)
{
    struct order *order = arg;
    if (order->log.len > 0) {
        kit_note(&order->log, 'e');
        busi_loop_stop(order->loop);
    }
}

static void note_readable(void *arg, unsigned events)
{
    struct order *order = arg;
    (void)events;
    kit_note(&order->log, 'r');
    busi_loop_soon(order->loop, &order->soon[0]);
}

Test(loop, a_turn_is_callback_then_soon_then_the_end_hooks)
{
    struct order order = {.loop = kit_loop()};
    struct pipe_ends ends[2];
    order.soon[0] = (struct busi_post){.fn = note_soon_1, .arg = &order};
    order.soon[1] = (struct busi_post){.fn = note_soon_2, .arg = &order};
    struct kit_letter last = {&order.log, 'z'};
    cr_assert(busi_loop_at_turn_end(order.loop, note_end, &order));
    for (int i = 0; i < 2; i++) {
        open_pipe(&ends[i], order.loop);
        cr_assert_not_null(busi_loop_fd(order.loop, ends[i].read_fd, BUSI_READABLE, note_readable, &order));
        cr_assert_eq(write(ends[i].write_fd, "x", 1), 1);
    }
    cr_assert(busi_loop_at_turn_end(order.loop, kit_note_letter, &last));
    busi_loop_run(order.loop);
    cr_assert_str_eq(order.log.text, "r12r12ez");
    busi_loop_free(&order.loop);
}

enum { POSTERS = 4, POSTS = 20000 };
struct poster {
    struct busi_loop *loop;
    struct posted {
        struct poster *poster;
        int number;
    } posts[POSTS];
    int next;
    int *left;
};

static void run_posted(void *arg)
{
    struct posted *post = arg;
    cr_assert_eq(post->number, post->poster->next, "posts of one thread run in their order");
    post->poster->next++;
    if (--*post->poster->left == 0)
        busi_loop_stop(post->poster->loop);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < POSTS; i++) {
        poster->posts[i] = (struct posted){poster, i};
        if (!busi_loop_post(poster->loop, run_posted, &poster->posts[i]))
            return poster;
        if (i % 1000 == 0)
            usleep(500); /* lets the loop fall asleep now and then */
    }
    return NULL;
}

Test(loop, posts_of_many_threads_all_run_each_thread_s_in_order)
{
    static struct poster posters[POSTERS];
    struct busi_loop *loop = kit_loop();
    pthread_t threads[POSTERS];
    int left = POSTERS * POSTS;
    for (int i = 0; i < POSTERS; i++) {
        posters[i].loop = loop;
        posters[i].left = &left;
        cr_assert_eq(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    busi_loop_run(loop);
    for (int i = 0; i < POSTERS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
        cr_assert_eq(posters[i].next, POSTS);
    }
    busi_loop_free(&loop);
}

struct ball {
    struct busi_loop *loop;
    atomic_bool back;
    int64_t longest_ms;
};

static void hit_back(void *arg)
{
    ((struct ball *)arg)->back = true;
}

static void *play(void *arg)
{
    struct ball *ball = arg;
    for (int i = 0; i < 20000; i++) {
        struct busi_post post = {.fn = hit_back, .arg = ball};
        int64_t began_ms = busi_now_ms();
        ball->back = false;
        busi_loop_post_node(ball->loop, &post);
        while (!ball->back) /* spins: the next post shall come while the loop is about to sleep */
            if (busi_now_ms() - began_ms > 2)
                usleep(100);
        if (busi_now_ms() - began_ms > ball->longest_ms)
            ball->longest_ms = busi_now_ms() - began_ms;
    }
    busi_loop_stop(ball->loop);
    return NULL;
}

Test(loop, a_post_that_comes_while_the_loop_falls_asleep_wakes_it)
{
    struct ball ball = {.loop = kit_loop()};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, play, &ball), 0);
    busi_loop_run(ball.loop);
    pthread_join(thread, NULL);
    cr_assert_lt(ball.longest_ms, 700, "slept over a post: %d ms", (int)ball.longest_ms);
    busi_loop_free(&ball.loop);
}

static void *stop_later(void *loop)
{
    usleep(50000);
    busi_loop_stop(loop);
    return NULL;
}

Test(loop, stop_from_a_thread_ends_the_sleep)
{
    struct busi_loop *loop = kit_loop();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, stop_later, loop), 0);
    int64_t began_ms = busi_now_ms();
    busi_loop_run(loop);
    cr_assert_lt(busi_now_ms() - began_ms, 700, "did not wait for the next turn");
    pthread_join(thread, NULL);
    busi_loop_free(&loop);
}

Test(loop, posts_nobody_ran_are_freed_with_the_loop)
{
    struct busi_loop *loop = kit_loop();
    cr_assert(busi_loop_post(loop, kit_stop, loop));
    busi_loop_free(&loop); /* AddressSanitizer would tell the leak */
    cr_assert_null(loop);
}

Test(loop, an_idle_loop_turns_once_a_second)
{
    struct busi_loop *loop = kit_loop();
    uint64_t before = busi_loop_turns(loop);
    kit_run_for(loop, 2300);
    uint64_t turns = busi_loop_turns(loop) - before;
    cr_assert_geq(turns, 3);
    cr_assert_leq(turns, 6, "and sleeps in between: %d turns", (int)turns);
    busi_loop_free(&loop);
}

static atomic_int alarms;
static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

Test(loop, signals_do_not_disturb_it)
{
    struct busi_loop *loop = kit_loop();
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval each_ms = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &each_ms, NULL);
    int64_t began_ms = busi_now_ms();
    kit_run_for(loop, 100);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    cr_assert_geq(busi_now_ms() - began_ms, 100);
    cr_assert_gt(alarms, 5);
    busi_loop_free(&loop);
}

static double processor_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* poll() refuses more descriptors than a process may have: without them it would turn and never wait. */
Test(loop, waits_though_fewer_descriptors_are_allowed_than_it_watches)
{
    enum { PIPES = 6 };
    struct busi_loop *loop = kit_loop();
    struct pipe_ends ends[PIPES];
    struct rlimit before;
    for (int i = 0; i < PIPES; i++) {
        open_pipe(&ends[i], loop);
        ends[i].watch = busi_loop_fd(loop, ends[i].read_fd, BUSI_READABLE, read_and_stop, &ends[i]);
    }
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, before.rlim_max}), 0);
    double busy = processor_s();
    kit_run_for(loop, 400);
    cr_expect_lt(processor_s() - busy, 0.1);
    for (int i = 0; i < PIPES; i++) {
        cr_assert_eq(write(ends[i].write_fd, "x", 1), 1);
        busi_loop_run(loop);
        cr_expect_eq(ends[i].calls, 1);
    }
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < PIPES; i++) {
        busi_watch_free(&ends[i].watch);
        close(ends[i].read_fd);
        close(ends[i].write_fd);
    }
    busi_loop_free(&loop);
}
