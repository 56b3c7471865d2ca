/* The loop's timers: a heap by time. Private to common/loop; others use loop.h. Loop thread only. */
#pragma once
#include "loop/loop.h"
#include <stddef.h>

enum busi_timer_kind { BUSI_TIMER_ONCE, BUSI_TIMER_EVERY, BUSI_TIMER_KEPT };

struct busi_timer {
    struct busi_timers *timers; /* where it lives */
    busi_loop_fn *fn;           /* what to run */
    void *arg;                  /* for fn */
    int64_t at_ms;              /* when armed: due then */
    int64_t every_ms;           /* EVERY: the period, at least 1 */
    uint64_t turn;              /* order among those due at one time */
    size_t index;               /* place in the heap; SIZE_MAX at rest */
    enum busi_timer_kind kind;  /* what happens after fn */
};

struct busi_timers {
    struct busi_timer **heap; /* armed ones, earliest first */
    size_t armed;             /* in the heap */
    size_t made;              /* armed or at rest; each owned. room >= made, so that arming cannot fail */
    size_t room;              /* of heap */
    uint64_t turns;           /* armings so far */
};

void busi_timers_init(struct busi_timers *timers);
/* Frees what is armed; timers at rest are their owners' to free before. */
void busi_timers_fini(struct busi_timers *timers);
/* At rest. NULL: out of memory. */
[[nodiscard]] struct busi_timer *busi_timers_make(struct busi_timers *timers, enum busi_timer_kind kind,
                                                  busi_loop_fn *fn, void *arg);
void busi_timers_arm(struct busi_timer *timer, int64_t at_ms);
/* When the first is due; INT64_MAX none. */
int64_t busi_timers_next_ms(const struct busi_timers *timers);
/* Takes one that is due and was armed before turn `before`, tells what to run, and re-arms or frees it. */
bool busi_timers_take(struct busi_timers *timers, int64_t now_ms, uint64_t before, busi_loop_fn **fn,
                      void **arg);
