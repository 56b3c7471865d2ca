/* One thread's event loop over file descriptors, ZeroMQ sockets and timers. Everything that is ready
 * is handled in one turn; then the end-of-turn hooks flush what the turn produced in few system calls.
 * Single-threaded but for busi_loop_post() and busi_loop_stop(). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct busi_loop;
struct busi_watch;
struct busi_timer;

typedef void busi_loop_fn(void *arg);
typedef void busi_watch_fn(void *arg, unsigned events);
enum { BUSI_READABLE = 1, BUSI_WRITABLE = 2, BUSI_HUNG_UP = 4 };

[[nodiscard]] struct busi_loop *busi_loop_new(void); /* NULL: out of memory or descriptors */
void busi_loop_free(struct busi_loop **loop);

/* Watches live until removed; removing inside any callback is fine. The fd is not owned. HUNG_UP (closed by
 * the peer, or an error pending) is reported whether asked for or not, each turn until the watch is freed. */
[[nodiscard]] struct busi_watch *busi_loop_fd(struct busi_loop *loop, int fd, unsigned events,
                                              busi_watch_fn *fn, void *arg);
void busi_watch_events(struct busi_watch *watch, unsigned events);
/* Level-triggered: fn runs each turn while the socket is readable; it should drain it (bounded). */
[[nodiscard]] struct busi_watch *busi_loop_socket(struct busi_loop *loop, void *zmq_socket, busi_watch_fn *fn,
                                                  void *arg);
void busi_watch_free(struct busi_watch **watch);

/* Runs fn once after ms, or every ms. */
[[nodiscard]] struct busi_timer *busi_loop_after(struct busi_loop *loop, int64_t ms, busi_loop_fn *fn,
                                                 void *arg);
[[nodiscard]] struct busi_timer *busi_loop_every(struct busi_loop *loop, int64_t ms, busi_loop_fn *fn,
                                                 void *arg);
/* A timer that rests until it is set, fires once per setting, and lives until freed. */
[[nodiscard]] struct busi_timer *busi_loop_timer(struct busi_loop *loop, busi_loop_fn *fn, void *arg);
/* Of a busi_loop_timer(): when to fire, busi_now_ms() scale; INT64_MAX puts it to rest. Cannot fail. */
void busi_timer_set(struct busi_timer *timer, int64_t at_ms);
/* What busi_loop_after() made frees itself when it fires: forget the pointer in fn. */
void busi_timer_free(struct busi_timer **timer);

/* fn runs at the beginning of each turn, before anything that is ready: what it tells of comes before what
 * waited meanwhile. There is one; NULL: none any more. */
void busi_loop_at_turn_begin(struct busi_loop *loop, busi_loop_fn *fn, void *arg);
/* fn runs at the end of each turn, in the order of registration, until the loop is freed. */
[[nodiscard]] bool busi_loop_at_turn_end(struct busi_loop *loop, busi_loop_fn *fn, void *arg);
/* From any thread: fn runs on the loop soon. False when out of memory. */
[[nodiscard]] bool busi_loop_post(struct busi_loop *loop, busi_loop_fn *fn, void *arg);

/* The same without an allocation, so it cannot fail: node is the caller's, with fn and arg set, and must not
 * be touched or posted again until fn runs. */
struct busi_post {
    struct busi_post *next; /* the loop's */
    busi_loop_fn *fn;       /* what to run */
    void *arg;              /* for fn */
};
void busi_loop_post_node(struct busi_loop *loop, struct busi_post *node);
/* Loop thread only: fn runs in this turn, after the current callback, in the order of calls. Past a bound
 * per turn (or from an end-of-turn hook) in the next one, which then does not sleep. */
void busi_loop_soon(struct busi_loop *loop, struct busi_post *node);

void busi_loop_run(struct busi_loop *loop);  /* until stop */
void busi_loop_stop(struct busi_loop *loop); /* any thread, not a signal handler */
/* How long it has waited for something to do, since start: the rest it was busy. Loop thread only. */
int64_t busi_loop_slept_us(const struct busi_loop *loop);
/* Turns since start, for whoever wants to know that an idle loop sleeps. Any thread. */
uint64_t busi_loop_turns(const struct busi_loop *loop);
