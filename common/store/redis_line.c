/* Who waits for which link. A link that has lost a packet is silent until TCP sends that again, after 200 ms
 * at best, and holds up all behind it; the others are not touched by that. So commands stand in one line, and
 * the first link that is not late takes the next: one carries all while nothing is lost. */
#include "store/redis_internal.h"

enum { STALL_MS = 15 }; /* the loop itself came so much too late: no link can be blamed */

static bool is_late(const struct redis_link *link, int64_t now)
{
    return link->first && now - link->first->sent_ms > REDIS_LATE_MS + 2 * link->usual / 16;
}

static unsigned bit(const struct redis_link *link)
{
    return 1U << link->number;
}

static void leave_line(struct busi_redis *redis, struct redis_call *call)
{
    if (!call->lined)
        return;
    *(call->previous ? &call->previous->next : &redis->line_first) = call->next;
    *(call->next ? &call->next->previous : &redis->line_last) = call->previous;
    call->lined = false;
}

/* behind NULL: at the head. */
static void enter_line(struct busi_redis *redis, struct redis_call *call, struct redis_call *behind)
{
    call->lined = true;
    call->previous = behind;
    call->next = behind ? behind->next : redis->line_first;
    *(call->previous ? &call->previous->next : &redis->line_first) = call;
    *(call->next ? &call->next->previous : &redis->line_last) = call;
}

/* ---- how a call ends ---- */

static void end(struct busi_redis *redis, struct redis_call *call)
{
    leave_line(redis, call);
    for (size_t i = 0; call->held && i < redis->n_links; i++) {
        if (!(call->held & bit(&redis->links[i])))
            continue;
        for (struct redis_request *request = redis->links[i].first; request; request = request->next)
            if (request->call == call)
                request->call = NULL;
    }
    call->held = 0;
    call->over = true;
    redis->waiting -= call->n;
    if (call->fiber != busi_fiber_self())
        busi_fiber_wake(call->fiber);
}

void busi_redis_fail(struct busi_redis *redis, struct redis_call *call, enum busi_code code)
{
    for (size_t i = call->done; i < call->n; i++)
        call->commands[i].code = code;
    end(redis, call);
}

/* No link owes it any more. */
static void ask_again(struct busi_redis *redis, struct redis_call *call, struct redis_call *behind)
{
    if (call->sends < REDIS_SENDS_MOST)
        enter_line(redis, call, behind);
    else
        busi_redis_fail(redis, call, BUSI_UNAVAILABLE);
}

void busi_redis_take(struct redis_link *link, struct redis_call *call, size_t index, const redisReply *reply)
{
    struct busi_redis_command *command = &call->commands[index];
    if (index == 0) {
        call->lead = link;
        call->done = 0;
    }
    if (index == call->n - 1)
        call->held &= ~bit(link);
    if (call->lead != link) {
        if (!call->held)
            ask_again(link->redis, call, NULL);
        return;
    }
    command->code = busi_redis_copy(reply, &command->reply, call->arena);
    call->done = index + 1;
    if (call->done == call->n)
        end(link->redis, call);
}

/* ---- sending ---- */

/* False: no link takes it now. */
static bool give(struct busi_redis *redis, struct redis_call *call, int64_t now)
{
    for (size_t i = 0; i < redis->n_links; i++) {
        struct redis_link *link = &redis->links[i];
        if (link->state != REDIS_LINKED || (call->held & bit(link)) ||
            (!busi_redis_alone(redis) && is_late(link, now)))
            continue;
        enum busi_code code = busi_redis_link_send(link, call->commands, call->n, call);
        if (code == BUSI_UNAVAILABLE)
            continue;
        if (code == BUSI_OK) {
            leave_line(redis, call);
            call->held |= bit(link);
            call->sends++;
        } else if (!call->held)
            busi_redis_fail(redis, call, code);
        return true;
    }
    return false;
}

void busi_redis_dispatch(struct busi_redis *redis)
{
    int64_t now = redis->line_first ? busi_now_ms() : 0;
    while (redis->line_first && give(redis, redis->line_first, now))
        ;
}

void busi_redis_join(struct busi_redis *redis, struct redis_call *call)
{
    redis->waiting += call->n;
    enter_line(redis, call, redis->line_last);
    busi_redis_dispatch(redis);
}

bool busi_redis_ask(struct busi_redis *redis, int argc, const struct busi_str *argv, redis_taker *taker,
                    void *arg)
{
    int64_t now = busi_now_ms();
    for (size_t i = 0; i < redis->n_links; i++)
        if (redis->links[i].state == REDIS_LINKED &&
            (busi_redis_alone(redis) || !is_late(&redis->links[i], now)))
            return busi_redis_link_ask(&redis->links[i], argc, argv, taker, arg);
    return false;
}

/* ---- what is late ---- */

static bool is_held_by_late_ones(const struct busi_redis *redis, const struct redis_call *call, int64_t now)
{
    for (size_t i = 0; i < redis->n_links; i++)
        if ((call->held & bit(&redis->links[i])) && !is_late(&redis->links[i], now))
            return false;
    return true;
}

/* Reads that the link owes, of another one. What came behind the late one is stuck, too. */
static void ask_others(struct redis_link *link, int64_t now)
{
    struct redis_call *call = NULL;
    for (struct redis_request *request = link->first; request; request = request->next) {
        if (!request->call || request->call == call)
            continue;
        call = request->call;
        if (call->repeatable && call->sends < REDIS_SENDS_MOST &&
            is_held_by_late_ones(link->redis, call, now) && !give(link->redis, call, now))
            return;
    }
}

/* Are those that owe nothing still there? And is it Redis who is silent, or the one link? */
static void look_at_others(struct busi_redis *redis, int64_t now)
{
    for (size_t i = 0; i < redis->n_links; i++) {
        struct redis_link *link = &redis->links[i];
        if (link->state == REDIS_LINKED && !link->first && !redis->is_sentinel &&
            now >= link->looked_ms + REDIS_TICK_MS)
            (void)busi_redis_look(link);
    }
}

void busi_redis_on_pace(void *arg)
{
    struct busi_redis *redis = arg;
    int64_t now = busi_now_ms();
    bool stalled = now > redis->pace_ms + STALL_MS, owed = redis->line_first != NULL, late = false;
    redis->pace_ms = 0;
    for (size_t i = 0; i < redis->n_links; i++) {
        struct redis_link *link = &redis->links[i];
        if (link->state != REDIS_LINKED || !link->first)
            continue;
        owed = true;
        if (stalled || !is_late(link, now))
            continue;
        late = true;
        ask_others(link, now);
    }
    if (late)
        look_at_others(redis, now);
    if (owed && !redis->pace_ms)
        busi_timer_set(redis->pace, redis->pace_ms = now + REDIS_PACE_MS);
}

/* ---- what a link leaves behind ---- */

/* left: some of it was handed to the kernel, so that it may have run, or will yet. */
static void give_back(struct redis_link *link, struct redis_call *call, bool left, enum busi_code code,
                      struct redis_call **behind)
{
    struct busi_redis *redis = link->redis;
    call->held &= ~bit(link);
    if (code != BUSI_OK || (left && !call->repeatable)) {
        if (!call->held)
            busi_redis_fail(redis, call, code != BUSI_OK ? code : BUSI_UNAVAILABLE);
        return;
    }
    if (call->lead == link) {
        call->lead = NULL;
        call->done = 0;
    }
    if (!call->held)
        ask_again(redis, call, *behind);
    if (call->lined)
        *behind = call;
}

void busi_redis_give_back(struct redis_link *link, bool fail_all)
{
    struct busi_redis *redis = link->redis;
    struct redis_call *behind = NULL;
    int64_t now = busi_now_ms();
    uint64_t handed = link->queued - (link->out.len - link->written);
    while (link->first) {
        struct redis_request *request = busi_redis_link_shift(link), was = *request;
        busi_redis_request_free(redis, request);
        if (!was.call) {
            if (was.taker)
                (void)was.taker(was.taker_arg, NULL, was.sent_ms);
            continue;
        }
        for (request = link->first; request && request->call == was.call; request = request->next)
            request->call = NULL;
        bool overdue = now >= was.sent_ms + redis->timeout_ms;
        enum busi_code code = overdue ? BUSI_DEADLINE_EXCEEDED : BUSI_UNAVAILABLE;
        give_back(link, was.call, was.at < handed, fail_all ? code : BUSI_OK, &behind);
    }
}
