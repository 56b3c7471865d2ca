#define _GNU_SOURCE /* pthread_setname_np */
#include "loop/offload.h"
#include "base/clock.h"
#include "base/metrics.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Lives on the stack of the fiber that waits for it. */
struct job {
    struct busi_post done;      /* posted to the loop after fn */
    struct job *prev, *next;    /* in the queue */
    void (*fn)(void *, void *); /* the work */
    void *arg;                  /* for fn */
    struct busi_fiber *fiber;   /* waits */
    bool queued;                /* guarded by the mutex: no thread has begun it */
    bool finished;              /* loop thread: done has come back */
};

struct busi_offload {
    struct busi_offload_options options; /* as given */
    struct busi_loop *loop;              /* borrowed */
    pthread_t *threads;                  /* owned */
    int n_threads;                       /* started */
    pthread_mutex_t mutex;               /* guards the queue and stopping */
    pthread_cond_t more;                 /* queue not empty, or stopping */
    struct job *first, *last;            /* the queue, oldest first */
    bool stopping;                       /* threads leave when the queue is empty */
    /* written under the mutex, read by anybody */
    _Atomic(int64_t) queued;     /* jobs in the queue */
    _Atomic(int64_t) busy;       /* jobs being run */
    _Atomic(int64_t) average_us; /* of a job, moving */
};

static void append(struct busi_offload *offload, struct job *job)
{
    job->prev = offload->last;
    job->next = NULL;
    *(offload->last ? &offload->last->next : &offload->first) = job;
    offload->last = job;
    job->queued = true;
    offload->queued++;
    busi_metric_add(BUSI_METRIC_offload_queue, 1);
}

static void unlink_job(struct busi_offload *offload, struct job *job)
{
    *(job->prev ? &job->prev->next : &offload->first) = job->next;
    *(job->next ? &job->next->prev : &offload->last) = job->prev;
    job->queued = false;
    offload->queued--;
    busi_metric_add(BUSI_METRIC_offload_queue, -1);
}

static struct job *take(struct busi_offload *offload)
{
    pthread_mutex_lock(&offload->mutex);
    while (!offload->first && !offload->stopping)
        pthread_cond_wait(&offload->more, &offload->mutex);
    struct job *job = offload->first;
    if (job) {
        unlink_job(offload, job);
        offload->busy++;
    }
    pthread_mutex_unlock(&offload->mutex);
    return job;
}

/* An eighth of what is new: a few odd jobs do not change the prediction, a change of load does. */
static void note(struct busi_offload *offload, int64_t took_us)
{
    pthread_mutex_lock(&offload->mutex);
    int64_t average_us = offload->average_us;
    offload->average_us = average_us == 0 ? took_us : average_us + (took_us - average_us) / 8;
    offload->busy--;
    pthread_mutex_unlock(&offload->mutex);
}

static void *work(void *arg)
{
    struct busi_offload *offload = arg;
    void *state = offload->options.thread_init ? offload->options.thread_init() : NULL;
    for (struct job *job; (job = take(offload));) {
        busi_metric_add(BUSI_METRIC_offload_busy, 1);
        int64_t began_us = busi_now_us();
        job->fn(job->arg, state);
        note(offload, busi_now_us() - began_us);
        busi_metric_add(BUSI_METRIC_offload_busy, -1);
        busi_loop_post_node(offload->loop, &job->done);
    }
    if (offload->options.thread_fini)
        offload->options.thread_fini(state);
    return NULL;
}

/* Signals are the business of the thread that reads them: these threads block all from their birth. */
static bool start_threads(struct busi_offload *offload)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (offload->n_threads < offload->options.threads) {
        pthread_t *thread = &offload->threads[offload->n_threads];
        if (pthread_create(thread, NULL, work, offload) != 0)
            break;
        char name[16];
        snprintf(name, sizeof(name), "%.12s%u", offload->options.name, (unsigned)offload->n_threads % 1000u);
        pthread_setname_np(*thread, name);
        offload->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return offload->n_threads == offload->options.threads;
}

struct busi_offload *busi_offload_new(struct busi_loop *loop, const struct busi_offload_options *options)
{
    assert(options->threads >= 1);
    struct busi_offload *offload = calloc(1, sizeof(*offload));
    if (!offload)
        return NULL;
    offload->options = *options;
    offload->loop = loop;
    offload->average_us = options->guess_ms * 1000;
    pthread_mutex_init(&offload->mutex, NULL);
    pthread_cond_init(&offload->more, NULL);
    offload->threads = calloc((size_t)options->threads, sizeof(pthread_t));
    if (!offload->threads || !start_threads(offload))
        busi_offload_free(&offload);
    return offload;
}

void busi_offload_free(struct busi_offload **offload)
{
    struct busi_offload *gone = *offload;
    if (!gone)
        return;
    pthread_mutex_lock(&gone->mutex);
    gone->stopping = true;
    pthread_cond_broadcast(&gone->more);
    pthread_mutex_unlock(&gone->mutex);
    for (int i = 0; i < gone->n_threads; i++)
        pthread_join(gone->threads[i], NULL);
    pthread_cond_destroy(&gone->more);
    pthread_mutex_destroy(&gone->mutex);
    free(gone->threads);
    free(gone);
    *offload = NULL;
}

int64_t busi_offload_predicted_wait_ms(const struct busi_offload *offload)
{
    int64_t ahead = atomic_load(&offload->queued) + atomic_load(&offload->busy);
    int64_t threads = offload->n_threads;
    if (ahead < threads)
        return 0;
    return (ahead - threads + 1) * atomic_load(&offload->average_us) / threads / 1000;
}

bool busi_offload_full(const struct busi_offload *offload, int64_t *retry_after_ms)
{
    int64_t wait_ms = busi_offload_predicted_wait_ms(offload);
    if (wait_ms <= offload->options.max_wait_ms &&
        (size_t)atomic_load(&offload->queued) < offload->options.max_queue)
        return false;
    if (retry_after_ms)
        *retry_after_ms = wait_ms > 0 ? wait_ms : 1;
    return true;
}

static void finish(void *arg)
{
    struct job *job = arg;
    job->finished = true;
    busi_fiber_wake(job->fiber);
}

/* Still nobody's: it will never run. */
static bool withdraw(struct busi_offload *offload, struct job *job)
{
    pthread_mutex_lock(&offload->mutex);
    bool queued = job->queued;
    if (queued)
        unlink_job(offload, job);
    pthread_mutex_unlock(&offload->mutex);
    return queued;
}

enum busi_code busi_offload_run(struct busi_offload *offload, void (*fn)(void *arg, void *state), void *arg,
                                int64_t until_ms, int64_t *retry_after_ms)
{
    assert(busi_fiber_self());
    if (busi_now_ms() >= until_ms)
        return BUSI_DEADLINE_EXCEEDED;
    if (busi_offload_full(offload, retry_after_ms))
        return BUSI_RESOURCE_EXHAUSTED;
    struct job job = {.fn = fn, .arg = arg, .fiber = busi_fiber_self()};
    job.done = (struct busi_post){.fn = finish, .arg = &job};
    pthread_mutex_lock(&offload->mutex);
    append(offload, &job);
    pthread_cond_signal(&offload->more);
    pthread_mutex_unlock(&offload->mutex);
    while (!job.finished) {
        if (busi_fiber_wait(until_ms) == BUSI_WOKEN)
            continue;
        if (withdraw(offload, &job))
            return BUSI_DEADLINE_EXCEEDED;
        until_ms = INT64_MAX; /* begun: arg and job must stay */
    }
    return BUSI_OK;
}
