/* Pauses between attempts to reconnect: 100 ms doubling to 2 s, each shortened at random by up to a half, so
 * that many processes do not knock at a restarted server in step. */
#pragma once
#include "base/clock.h"

struct busi_backoff {
    int64_t pause_ms; /* the last pause before its jitter; 0 after a success */
    uint32_t random;  /* state of the jitter's generator; seeded by the first use */
};

enum { BUSI_BACKOFF_LEAST_MS = 100, BUSI_BACKOFF_MOST_MS = 2000 };

/* xorshift32: jitter only, never for anything secret. */
static inline uint32_t busi_backoff_random(struct busi_backoff *backoff)
{
    uint32_t x =
        backoff->random ? backoff->random : ((uint32_t)busi_now_us() ^ (uint32_t)(uintptr_t)backoff) | 1;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return backoff->random = x;
}

static inline int64_t busi_backoff_next(struct busi_backoff *backoff)
{
    backoff->pause_ms = backoff->pause_ms ? backoff->pause_ms * 2 : BUSI_BACKOFF_LEAST_MS;
    if (backoff->pause_ms > BUSI_BACKOFF_MOST_MS)
        backoff->pause_ms = BUSI_BACKOFF_MOST_MS;
    return backoff->pause_ms - busi_backoff_random(backoff) % (backoff->pause_ms / 2);
}
