#include "loop/loop.h"
#include "base/clock.h"
#include "loop/timers.h"
#include "loop/watches.h"
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    LONGEST_SLEEP_MS = 1000, /* bounds what a missed wake-up would cost */
    SOON_PER_TURN = 1024,    /* so that fibers waking each other cannot keep the loop from its descriptors */
};

struct hook {
    busi_loop_fn *fn; /* runs at the end of each turn, or at its beginning */
    void *arg;        /* for fn */
};

struct busi_loop {
    struct busi_watches watches;       /* descriptors and sockets */
    struct busi_timers timers;         /* by time */
    struct hook begin;                 /* of a turn; fn NULL: nothing */
    struct hook *hooks;                /* end of turn; owned */
    size_t n_hooks;                    /* in use */
    size_t room_hooks;                 /* allocated */
    struct busi_post *soon;            /* queue of this thread, first to run first */
    struct busi_post **soon_end;       /* where the next goes */
    size_t soon_left;                  /* how many may still run in this turn */
    _Atomic(struct busi_post *) posts; /* from any thread, newest first */
    atomic_bool asleep;                /* a post has to write to wake_fd */
    atomic_bool stopping;              /* leave busi_loop_run() */
    _Atomic(uint64_t) turns;           /* since start */
    int64_t slept_us;                  /* since start */
    int wake_fd;                       /* eventfd; ends the sleep */
    bool running;                      /* inside busi_loop_run() */
};

/* What busi_loop_post() allocates. */
struct owned_post {
    struct busi_post node; /* in the queue */
    busi_loop_fn *fn;      /* the caller's */
    void *arg;             /* the caller's */
};

static void drain_wake_fd(void *arg, unsigned events)
{
    const struct busi_loop *loop = arg;
    uint64_t count;
    (void)events;
    while (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

struct busi_loop *busi_loop_new(void)
{
    struct busi_loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return NULL;
    busi_watches_init(&loop->watches);
    busi_timers_init(&loop->timers);
    loop->soon_end = &loop->soon;
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0 || !busi_loop_fd(loop, loop->wake_fd, BUSI_READABLE, drain_wake_fd, loop))
        busi_loop_free(&loop);
    return loop;
}

static void run_owned(void *arg)
{
    struct owned_post post = *(struct owned_post *)arg;
    free(arg);
    post.fn(post.arg);
}

void busi_loop_free(struct busi_loop **loop)
{
    struct busi_loop *gone = *loop;
    if (!gone)
        return;
    assert(!gone->running);
    for (struct busi_post *post = gone->posts, *next; post; post = next) {
        next = post->next;
        if (post->fn == run_owned)
            free(post->arg);
    }
    busi_watches_fini(&gone->watches);
    busi_timers_fini(&gone->timers);
    free(gone->hooks);
    if (gone->wake_fd >= 0)
        close(gone->wake_fd);
    free(gone);
    *loop = NULL;
}

struct busi_watch *busi_loop_fd(struct busi_loop *loop, int fd, unsigned events, busi_watch_fn *fn, void *arg)
{
    return busi_watches_add(&loop->watches, fd, NULL, events, fn, arg);
}

struct busi_watch *busi_loop_socket(struct busi_loop *loop, void *zmq_socket, busi_watch_fn *fn, void *arg)
{
    int fd = busi_watches_socket_fd(zmq_socket);
    if (fd < 0)
        return NULL;
    return busi_watches_add(&loop->watches, fd, zmq_socket, BUSI_READABLE, fn, arg);
}

struct busi_timer *busi_loop_timer(struct busi_loop *loop, busi_loop_fn *fn, void *arg)
{
    return busi_timers_make(&loop->timers, BUSI_TIMER_KEPT, fn, arg);
}

struct busi_timer *busi_loop_after(struct busi_loop *loop, int64_t ms, busi_loop_fn *fn, void *arg)
{
    struct busi_timer *timer = busi_timers_make(&loop->timers, BUSI_TIMER_ONCE, fn, arg);
    if (timer)
        busi_timers_arm(timer, busi_now_ms() + (ms > 0 ? ms : 0));
    return timer;
}

struct busi_timer *busi_loop_every(struct busi_loop *loop, int64_t ms, busi_loop_fn *fn, void *arg)
{
    struct busi_timer *timer = busi_timers_make(&loop->timers, BUSI_TIMER_EVERY, fn, arg);
    if (!timer)
        return NULL;
    timer->every_ms = ms > 0 ? ms : 1;
    busi_timers_arm(timer, busi_now_ms() + timer->every_ms);
    return timer;
}

void busi_loop_at_turn_begin(struct busi_loop *loop, busi_loop_fn *fn, void *arg)
{
    loop->begin = (struct hook){fn, arg};
}

bool busi_loop_at_turn_end(struct busi_loop *loop, busi_loop_fn *fn, void *arg)
{
    if (loop->n_hooks == loop->room_hooks) {
        size_t room = loop->room_hooks ? 2 * loop->room_hooks : 8;
        struct hook *hooks = realloc(loop->hooks, room * sizeof(*hooks));
        if (!hooks)
            return false;
        loop->hooks = hooks;
        loop->room_hooks = room;
    }
    loop->hooks[loop->n_hooks++] = (struct hook){fn, arg};
    return true;
}

/* The loop says that it sleeps before it looks for posts a last time, a poster posts before it looks whether
 * the loop sleeps: one of them sees the other. Only the first of many posters pays for the write. */
static void wake(struct busi_loop *loop)
{
    const uint64_t one = 1;
    if (!atomic_exchange(&loop->asleep, false))
        return;
    while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void busi_loop_post_node(struct busi_loop *loop, struct busi_post *node)
{
    struct busi_post *head = atomic_load_explicit(&loop->posts, memory_order_relaxed);
    do
        node->next = head;
    while (!atomic_compare_exchange_weak(&loop->posts, &head, node));
    wake(loop);
}

bool busi_loop_post(struct busi_loop *loop, busi_loop_fn *fn, void *arg)
{
    struct owned_post *post = malloc(sizeof(*post));
    if (!post)
        return false;
    *post = (struct owned_post){.node = {.fn = run_owned, .arg = post}, .fn = fn, .arg = arg};
    busi_loop_post_node(loop, &post->node);
    return true;
}

void busi_loop_soon(struct busi_loop *loop, struct busi_post *node)
{
    node->next = NULL;
    *loop->soon_end = node;
    loop->soon_end = &node->next;
}

static void run_soon(struct busi_loop *loop)
{
    while (loop->soon && loop->soon_left > 0) {
        struct busi_post *node = loop->soon;
        loop->soon = node->next;
        if (!loop->soon)
            loop->soon_end = &loop->soon;
        loop->soon_left--;
        node->fn(node->arg);
    }
}

static void run_posts(struct busi_loop *loop)
{
    if (!atomic_load_explicit(&loop->posts, memory_order_relaxed))
        return;
    struct busi_post *newest = atomic_exchange(&loop->posts, NULL), *oldest = NULL;
    while (newest) {
        struct busi_post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct busi_post *post = oldest;
        oldest = post->next;
        post->fn(post->arg);
        run_soon(loop);
    }
}

static void run_watches(struct busi_loop *loop)
{
    size_t n = loop->watches.n; /* callbacks may add some: those come with the next poll */
    for (size_t i = 0; i < n; i++) {
        unsigned events = busi_watches_events(&loop->watches, i);
        if (events == 0)
            continue;
        struct busi_watch *watch = loop->watches.at[i];
        watch->fn(watch->arg, events);
        run_soon(loop);
    }
}

static void run_timers(struct busi_loop *loop)
{
    if (busi_timers_next_ms(&loop->timers) == INT64_MAX)
        return;
    int64_t now_ms = busi_now_ms();
    uint64_t before = loop->timers.turns;
    busi_loop_fn *fn;
    void *arg;
    while (busi_timers_take(&loop->timers, now_ms, before, &fn, &arg)) {
        fn(arg);
        run_soon(loop);
    }
}

static int sleep_ms(const struct busi_loop *loop)
{
    int64_t next_ms = busi_timers_next_ms(&loop->timers);
    if (next_ms == INT64_MAX)
        return LONGEST_SLEEP_MS;
    int64_t left_ms = next_ms - busi_now_ms();
    if (left_ms <= 0)
        return 0;
    return left_ms < LONGEST_SLEEP_MS ? (int)left_ms : LONGEST_SLEEP_MS;
}

static void wait_for_work(struct busi_loop *loop)
{
    bool busy = busi_watches_settle(&loop->watches) || loop->soon;
    int timeout_ms = busy ? 0 : sleep_ms(loop);
    if (timeout_ms > 0) {
        atomic_store(&loop->asleep, true);
        if (atomic_load(&loop->posts) || atomic_load(&loop->stopping))
            timeout_ms = 0;
    }
    int64_t began_us = timeout_ms > 0 ? busi_now_us() : 0;
    busi_watches_poll(&loop->watches, timeout_ms);
    if (timeout_ms > 0)
        loop->slept_us += busi_now_us() - began_us;
    atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
}

static void turn(struct busi_loop *loop)
{
    wait_for_work(loop);
    loop->soon_left = SOON_PER_TURN;
    if (loop->begin.fn)
        loop->begin.fn(loop->begin.arg);
    run_soon(loop);
    run_posts(loop);
    run_watches(loop);
    run_timers(loop);
    for (size_t i = 0; i < loop->n_hooks; i++)
        loop->hooks[i].fn(loop->hooks[i].arg);
    atomic_fetch_add_explicit(&loop->turns, 1, memory_order_relaxed);
}

void busi_loop_run(struct busi_loop *loop)
{
    assert(!loop->running);
    loop->running = true;
    while (!atomic_exchange(&loop->stopping, false))
        turn(loop);
    loop->running = false;
}

void busi_loop_stop(struct busi_loop *loop)
{
    atomic_store(&loop->stopping, true);
    wake(loop);
}

int64_t busi_loop_slept_us(const struct busi_loop *loop)
{
    return loop->slept_us;
}

uint64_t busi_loop_turns(const struct busi_loop *loop)
{
    return atomic_load_explicit(&loop->turns, memory_order_relaxed);
}
