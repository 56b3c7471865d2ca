#include "rpc/pending.h"
#include "base/clock.h"
#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum state { WAITING, SLEEPING, DONE, ABANDONED }; /* SLEEPING: a thread is in the futex */

struct busi_pendings {
    struct busi_pending *slots; /* owned; memory is touched as needed */
    uint32_t most;              /* of slots */
    _Atomic(uint32_t) fresh;    /* slots ever used */
    _Atomic(uint64_t) free;     /* last given back: number + 1, and above it a count against ABA */
};

struct busi_pendings *busi_pendings_new(uint32_t most)
{
    assert(most < UINT16_MAX);
    struct busi_pendings *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    pool->most = most;
    pool->slots = calloc(most, sizeof *pool->slots);
    if (!pool->slots)
        busi_pendings_free(&pool);
    return pool;
}

void busi_pendings_free(struct busi_pendings **pool)
{
    if (*pool)
        free((*pool)->slots);
    free(*pool);
    *pool = NULL;
}

static struct busi_pending *reuse(struct busi_pendings *pool)
{
    uint64_t head = atomic_load_explicit(&pool->free, memory_order_acquire);
    for (;;) {
        uint32_t place = (uint32_t)head;
        if (place == 0)
            return NULL;
        struct busi_pending *pending = &pool->slots[place - 1];
        uint64_t next = atomic_load_explicit(&pending->next_free, memory_order_relaxed);
        uint64_t count = (head >> 32) + 1;
        if (atomic_compare_exchange_weak_explicit(&pool->free, &head, count << 32 | next,
                                                  memory_order_acq_rel, memory_order_acquire))
            return pending;
    }
}

static struct busi_pending *use_fresh(struct busi_pendings *pool)
{
    uint32_t number = atomic_load_explicit(&pool->fresh, memory_order_relaxed);
    do
        if (number >= pool->most)
            return NULL;
    while (!atomic_compare_exchange_weak_explicit(&pool->fresh, &number, number + 1, memory_order_relaxed,
                                                  memory_order_relaxed));
    struct busi_pending *pending = &pool->slots[number];
    pending->number = number;
    busi_frame_init(&pending->frame);
    return pending;
}

struct busi_pending *busi_pending_take(struct busi_pendings *pool)
{
    struct busi_pending *pending = reuse(pool);
    if (!pending)
        pending = use_fresh(pool);
    if (!pending)
        return NULL;
    pending->generation++;
    pending->fiber = busi_fiber_self();
    atomic_store_explicit(&pending->state, WAITING, memory_order_relaxed);
    return pending;
}

void busi_pending_give(struct busi_pendings *pool, struct busi_pending *pending)
{
    busi_frame_wipe(&pending->frame);
    uint64_t head = atomic_load_explicit(&pool->free, memory_order_relaxed), mine;
    do {
        atomic_store_explicit(&pending->next_free, (uint32_t)head, memory_order_relaxed);
        mine = ((head >> 32) + 1) << 32 | (pending->number + 1);
    } while (!atomic_compare_exchange_weak_explicit(&pool->free, &head, mine, memory_order_acq_rel,
                                                    memory_order_relaxed));
}

uint64_t busi_pending_id(const struct busi_pending *pending)
{
    /* 47 bits of generation: the wire's ids are positive int64 for every language */
    return (pending->generation & ((1ull << 47) - 1)) << 16 | (pending->number + 1);
}

struct busi_pending *busi_pending_find(struct busi_pendings *pool, uint64_t id)
{
    uint32_t place = id & UINT16_MAX;
    if (place == 0 || place > atomic_load_explicit(&pool->fresh, memory_order_relaxed))
        return NULL;
    struct busi_pending *pending = &pool->slots[place - 1];
    return pending->in_flight_id == id ? pending : NULL;
}

static bool done(const struct busi_pending *pending)
{
    return atomic_load_explicit(&pending->state, memory_order_acquire) == DONE;
}

static bool wait_on_fiber(struct busi_pending *pending)
{
    while (!done(pending))
        if (busi_fiber_wait(pending->until_ms) == BUSI_TIMED_OUT && !done(pending))
            return false;
    return true;
}

/* Sleeps until the state is no longer SLEEPING, or the deadline. */
static void sleep_until(struct busi_pending *pending)
{
    struct timespec until = {.tv_sec = pending->until_ms / 1000,
                             .tv_nsec = (pending->until_ms % 1000) * 1000000};
    syscall(SYS_futex, &pending->state, FUTEX_WAIT_BITSET_PRIVATE, SLEEPING, &until, NULL,
            FUTEX_BITSET_MATCH_ANY);
}

static bool wait_on_thread(struct busi_pending *pending)
{
    uint32_t state = WAITING;
    if (!atomic_compare_exchange_strong(&pending->state, &state, SLEEPING))
        return true;
    while (!done(pending)) {
        sleep_until(pending);
        state = SLEEPING;
        if (busi_now_ms() >= pending->until_ms &&
            atomic_compare_exchange_strong(&pending->state, &state, ABANDONED))
            return false;
    }
    return true;
}

bool busi_pending_wait(struct busi_pending *pending)
{
    return pending->fiber ? wait_on_fiber(pending) : wait_on_thread(pending);
}

static void wake_thread(struct busi_pending *pending)
{
    syscall(SYS_futex, &pending->state, FUTEX_WAKE_PRIVATE, 1);
}

bool busi_pending_finish(struct busi_pending *pending, enum busi_verdict verdict)
{
    struct busi_fiber *fiber = pending->fiber;
    pending->verdict = verdict;
    uint32_t state = atomic_load(&pending->state);
    do
        if (state == ABANDONED)
            return false;
    while (!atomic_compare_exchange_weak(&pending->state, &state, DONE));
    /* from here on the slot may be another's: only its address is used, and a wake too many is harmless */
    if (fiber)
        busi_fiber_wake(fiber);
    else if (state == SLEEPING)
        wake_thread(pending);
    return true;
}

bool busi_pending_abandoned(const struct busi_pending *pending)
{
    return atomic_load_explicit(&pending->state, memory_order_acquire) == ABANDONED;
}
