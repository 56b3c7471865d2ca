/* A bounded pool of threads for CPU work or blocking calls. A fiber waits for its job; the loop never does.
 */
#pragma once
#include "base/code.h"
#include "loop/fiber.h"

struct busi_offload;

/* max_wait_ms bounds the predicted wait (jobs ahead x average job time / threads) of a new job;
 * max_queue bounds their number. thread_init/fini (may be NULL) run on each thread. */
struct busi_offload_options {
    const char *name; /* static, at most 12 bytes: thread name */
    int threads;      /* at least 1 */
    int64_t max_wait_ms;
    size_t max_queue;
    int64_t guess_ms; /* what a job takes, until the first has been measured */
    void *(*thread_init)(void);
    void (*thread_fini)(void *state);
};
[[nodiscard]] struct busi_offload *busi_offload_new(struct busi_loop *loop,
                                                    const struct busi_offload_options *options);
/* Finishes what is queued, then joins. Fibers waiting for it go on at the loop's next turn. */
void busi_offload_free(struct busi_offload **offload);

/* Runs fn(arg, thread_state) on a thread and suspends the calling fiber until it is done. fn always runs to
 * its end once begun: arg stays valid because this call waits for it. OK, or without having run it:
 * RESOURCE_EXHAUSTED (*retry_after_ms says when to try again; may be NULL), DEADLINE_EXCEEDED (until_ms
 * passed while queued). */
[[nodiscard]] enum busi_code busi_offload_run(struct busi_offload *offload,
                                              void (*fn)(void *arg, void *state), void *arg, int64_t until_ms,
                                              int64_t *retry_after_ms);
/* Whether a job would be refused now: then *retry_after_ms (may be NULL) says when to try again. Any thread.
 */
bool busi_offload_full(const struct busi_offload *offload, int64_t *retry_after_ms);
/* What a job queued now would wait. Any thread. */
int64_t busi_offload_predicted_wait_ms(const struct busi_offload *offload);
