#include "loop/timers.h"
#include <assert.h>
#include <stdlib.h>

static bool earlier(const struct busi_timer *a, const struct busi_timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->turn < b->turn;
}

static void put(struct busi_timers *timers, size_t index, struct busi_timer *timer)
{
    timers->heap[index] = timer;
    timer->index = index;
}

static void sift_up(struct busi_timers *timers, size_t index, struct busi_timer *timer)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!earlier(timer, timers->heap[parent]))
            break;
        put(timers, index, timers->heap[parent]);
        index = parent;
    }
    put(timers, index, timer);
}

static void sift_down(struct busi_timers *timers, size_t index, struct busi_timer *timer)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= timers->armed)
            break;
        if (child + 1 < timers->armed && earlier(timers->heap[child + 1], timers->heap[child]))
            child++;
        if (!earlier(timers->heap[child], timer))
            break;
        put(timers, index, timers->heap[child]);
        index = child;
    }
    put(timers, index, timer);
}

static void disarm(struct busi_timer *timer)
{
    struct busi_timers *timers = timer->timers;
    size_t index = timer->index;
    if (index == SIZE_MAX)
        return;
    timer->index = SIZE_MAX;
    struct busi_timer *last = timers->heap[--timers->armed];
    if (last == timer)
        return;
    if (earlier(last, timer))
        sift_up(timers, index, last);
    else
        sift_down(timers, index, last);
}

void busi_timers_init(struct busi_timers *timers)
{
    *timers = (struct busi_timers){0};
}

void busi_timers_fini(struct busi_timers *timers)
{
    for (size_t i = 0; i < timers->armed; i++)
        free(timers->heap[i]);
    free(timers->heap);
    busi_timers_init(timers);
}

struct busi_timer *busi_timers_make(struct busi_timers *timers, enum busi_timer_kind kind, busi_loop_fn *fn,
                                    void *arg)
{
    if (timers->made == timers->room) {
        size_t room = timers->room ? 2 * timers->room : 16;
        struct busi_timer **heap = realloc(timers->heap, room * sizeof(struct busi_timer *));
        if (!heap)
            return NULL;
        timers->heap = heap;
        timers->room = room;
    }
    struct busi_timer *timer = malloc(sizeof(*timer));
    if (!timer)
        return NULL;
    *timer = (struct busi_timer){.timers = timers, .fn = fn, .arg = arg, .index = SIZE_MAX, .kind = kind};
    timers->made++;
    return timer;
}

void busi_timers_arm(struct busi_timer *timer, int64_t at_ms)
{
    struct busi_timers *timers = timer->timers;
    disarm(timer);
    timer->at_ms = at_ms;
    timer->turn = timers->turns++;
    sift_up(timers, timers->armed++, timer);
}

int64_t busi_timers_next_ms(const struct busi_timers *timers)
{
    return timers->armed ? timers->heap[0]->at_ms : INT64_MAX;
}

bool busi_timers_take(struct busi_timers *timers, int64_t now_ms, uint64_t before, busi_loop_fn **fn,
                      void **arg)
{
    if (timers->armed == 0)
        return false;
    struct busi_timer *timer = timers->heap[0];
    /* one armed by a callback of this turn is for the next turn: a callback that re-arms itself with no
     * delay must not hold the loop */
    if (timer->at_ms > now_ms || timer->turn >= before)
        return false;
    *fn = timer->fn;
    *arg = timer->arg;
    if (timer->kind == BUSI_TIMER_EVERY) {
        int64_t next = timer->at_ms + timer->every_ms;
        busi_timers_arm(timer, next > now_ms ? next : now_ms + timer->every_ms);
    } else {
        disarm(timer);
        if (timer->kind == BUSI_TIMER_ONCE)
            busi_timer_free(&timer);
    }
    return true;
}

void busi_timer_set(struct busi_timer *timer, int64_t at_ms)
{
    assert(timer->kind == BUSI_TIMER_KEPT);
    if (at_ms == INT64_MAX)
        disarm(timer);
    else
        busi_timers_arm(timer, at_ms);
}

void busi_timer_free(struct busi_timer **timer)
{
    if (!*timer)
        return;
    disarm(*timer);
    (*timer)->timers->made--;
    free(*timer);
    *timer = NULL;
}
