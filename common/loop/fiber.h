/* Straight-line code on a loop: a fiber runs until it waits, then the loop goes on. All functions are
 * for the loop's thread only. */
#pragma once
#include "loop/loop.h"
#include <stddef.h>

struct busi_fiber;
struct busi_fibers;

/* A pool of at most `most` fibers, each with its own guarded stack of stack_bytes (rounded up to pages; more
 * under sanitizers), made as needed and kept; the memory of stacks a burst needed goes back to the system
 * within seconds. NULL: out of memory. */
[[nodiscard]] struct busi_fibers *busi_fibers_new(struct busi_loop *loop, size_t most, size_t stack_bytes);
/* Only when none is busy. */
void busi_fibers_free(struct busi_fibers **fibers);
size_t busi_fibers_busy(const struct busi_fibers *fibers);

/* Runs fn on a fiber, now, until it first waits. False when all are busy (or there is no memory for one
 * more): shed the work. Also from inside a fiber, which goes on when the new one waits. */
[[nodiscard]] bool busi_fiber_start(struct busi_fibers *fibers, busi_loop_fn *fn, void *arg);

/* The running fiber, NULL outside of one. */
struct busi_fiber *busi_fiber_self(void);

enum busi_woken { BUSI_WOKEN, BUSI_TIMED_OUT };
/* Suspends the running fiber until busi_fiber_wake() or until_ms (busi_now_ms() scale; INT64_MAX never).
 * A wake that came before the wait is not lost: the wait returns at once. So wait in a loop over the
 * condition: the wake may be a late one, meant for an earlier wait. */
enum busi_woken busi_fiber_wait(int64_t until_ms);
/* Makes a waiting fiber runnable, first woken first run; it runs in this turn, after the current callback,
 * before end-of-turn (past a bound of fibers per turn: in the next). Twice is once. Of a fiber that has
 * ended it does nothing, but fibers are used again: do not keep the pointer past the wait. */
void busi_fiber_wake(struct busi_fiber *fiber);
/* The running fiber has begun what must be done to its end: busi_fiber_cancel() no longer cuts it short. */
void busi_fiber_commit(void);
/* Ends the fiber's wait as if its time had come; whether it waits again is for its work to decide. False: it
 * has committed itself, and goes on. From outside of any fiber. */
[[nodiscard]] bool busi_fiber_cancel(struct busi_fiber *fiber);
/* A pause that a wake does not end (nor is it lost). */
void busi_fiber_sleep(int64_t ms);
