#include "store/redis_internal.h"

#include "base/metrics.h"

#include <assert.h>
#include <stdlib.h>

/* What changes nothing, so that it may run more often than once. */
static bool is_read(struct busi_str word)
{
    static const char
        *const reads[] = {"GET",   "MGET", "EXISTS",  "TTL",    "PTTL",  "TYPE",      "HGET",
                          "HMGET", "HLEN", "HGETALL", "ZRANGE", "ZSCAN", "XREVRANGE", "DBSIZE",
                          "INFO",  "PING", "ECHO",    "TIME",   "SCRIPT"}; /* LOAD is all we have of it */
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++)
        if (busi_str_eq(word, busi_str_of(reads[i])))
            return true;
    return false;
}

static bool are_reads(const struct busi_redis_command *commands, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_read(commands[i].argv[0]))
            return false;
    return true;
}

/* OK: they may be sent. */
static enum busi_code admit(const struct busi_redis *redis, size_t n, int64_t until_ms)
{
    if (!busi_redis_ready(redis))
        return BUSI_UNAVAILABLE;
    if (until_ms <= busi_now_ms())
        return BUSI_DEADLINE_EXCEEDED;
    return redis->waiting + n > REDIS_IN_FLIGHT_MOST ? BUSI_RESOURCE_EXHAUSTED : BUSI_OK;
}

/* As long as Redis is heard, though by other links, and not for ever. */
static int64_t patience(const struct busi_redis *redis, int64_t began_ms)
{
    int64_t most_ms = began_ms + REDIS_PATIENCE * redis->timeout_ms,
            heard_ms = (redis->heard_ms > began_ms ? redis->heard_ms : began_ms) + redis->timeout_ms;
    return heard_ms < most_ms ? heard_ms : most_ms;
}

static void wait_for(struct busi_redis *redis, struct redis_call *call, int64_t until_ms)
{
    int64_t began_ms = busi_now_ms();
    busi_redis_join(redis, call);
    while (!call->over) {
        /* a link that is alone is given up before */
        int64_t limit_ms = busi_redis_alone(redis) ? INT64_MAX : patience(redis, began_ms);
        limit_ms = limit_ms < until_ms ? limit_ms : until_ms;
        bool over = busi_now_ms() >= limit_ms;
        /* timed out before its time: the fiber is cancelled */
        if (!over && busi_fiber_wait(limit_ms) == BUSI_TIMED_OUT)
            over = busi_now_ms() < limit_ms;
        if (over && !call->over)
            busi_redis_fail(redis, call, BUSI_DEADLINE_EXCEEDED);
    }
}

enum busi_code busi_redis_run_all(struct busi_redis *redis, struct busi_arena *arena,
                                  struct busi_redis_command *commands, size_t n, int64_t until_ms)
{
    assert(n <= BUSI_REDIS_COMMANDS_MOST && busi_fiber_self());
    enum busi_code code = n ? admit(redis, n, until_ms) : BUSI_OK;
    for (size_t i = 0; i < n; i++) {
        assert(commands[i].argc > 0);
        commands[i].reply = (struct busi_redis_reply){0};
        commands[i].code = code;
    }
    if (n == 0 || code != BUSI_OK)
        return code;
    struct redis_call call = {.fiber = busi_fiber_self(),
                              .arena = arena,
                              .commands = commands,
                              .n = n,
                              .repeatable = are_reads(commands, n)};
    wait_for(redis, &call, until_ms);
    for (size_t i = 0; i < n && code == BUSI_OK; i++)
        code = commands[i].code;
    return code;
}

enum busi_code busi_redis_run(struct busi_redis *redis, struct busi_arena *arena, int argc,
                              const struct busi_str *argv, int64_t until_ms, struct busi_redis_reply *reply)
{
    struct busi_redis_command command = {.argc = argc, .argv = argv};
    enum busi_code code = busi_redis_run_all(redis, arena, &command, 1, until_ms);
    *reply = command.reply;
    return code;
}

bool busi_redis_ready(const struct busi_redis *redis)
{
    int64_t until_ms = atomic_load_explicit(&redis->until_ms, memory_order_relaxed);
    return until_ms == INT64_MAX || (until_ms > 0 && busi_now_ms() < until_ms);
}

uint64_t busi_redis_generation(const struct busi_redis *redis)
{
    return redis->generation;
}

/* End of the turn: one write of each link. */
static void flush(void *arg)
{
    struct busi_redis *redis = arg;
    busi_redis_dispatch(redis);
    if (!redis->is_sentinel)
        busi_metric_set(BUSI_METRIC_redis_in_flight, (int64_t)redis->waiting);
    for (size_t i = 0; i < redis->n_links; i++)
        busi_redis_link_flush(&redis->links[i]);
}

static bool link_init(struct busi_redis *redis, struct redis_link *link, unsigned number)
{
    link->redis = redis;
    link->number = number;
    link->dial_ms = REDIS_DIAL_MS;
    link->idle = true;
    busi_buf_init(&link->out, REDIS_OUT_MOST);
    link->timer = busi_loop_timer(redis->loop, busi_redis_link_on_time, link);
    return link->timer != NULL;
}

static bool init(struct busi_redis *redis, size_t n_links)
{
    redis->timer = busi_loop_timer(redis->loop, busi_redis_on_time, redis);
    redis->pace = busi_loop_timer(redis->loop, busi_redis_on_pace, redis);
    redis->tick = busi_loop_every(redis->loop, REDIS_TICK_MS, busi_redis_on_tick, redis);
    if (!redis->timer || !redis->pace || !redis->tick || !busi_loop_at_turn_end(redis->loop, flush, redis))
        return false;
    for (; redis->n_links < n_links; redis->n_links++)
        if (!link_init(redis, &redis->links[redis->n_links], (unsigned)redis->n_links))
            return false;
    if (redis->url.n_sentinels > 0)
        redis->sentinels = busi_redis_sentinels_new(redis);
    return redis->sentinels || redis->url.n_sentinels == 0;
}

struct busi_redis *busi_redis_make(struct busi_loop *loop, struct redis_url *url, int64_t timeout_ms,
                                   size_t n_links, bool is_sentinel)
{
    assert(n_links > 0 && n_links <= REDIS_LINKS_MOST);
    struct busi_redis *redis = calloc(1, sizeof *redis);
    if (!redis) {
        busi_redis_url_fini(url);
        return NULL;
    }
    redis->loop = loop;
    redis->timeout_ms = timeout_ms;
    redis->is_sentinel = is_sentinel;
    redis->url = *url;
    *url = (struct redis_url){0};
    if (!init(redis, n_links)) {
        busi_redis_free(&redis);
        return NULL;
    }
    redis->links[0].idle = false;
    busi_redis_link_on_time(&redis->links[0]);
    return redis;
}

struct busi_redis *busi_redis_new(struct busi_loop *loop, struct busi_str text, int64_t timeout_ms,
                                  size_t n_links, const char **error)
{
    struct redis_url url;
    if (!busi_redis_url_parse(&url, text, error))
        return NULL;
    struct busi_redis *redis = busi_redis_make(loop, &url, timeout_ms, n_links, false);
    *error = redis ? NULL : "out of memory";
    return redis;
}

void busi_redis_free(struct busi_redis **redis_)
{
    struct busi_redis *redis = *redis_;
    if (!redis)
        return;
    *redis_ = NULL;
    for (size_t i = 0; i < redis->n_links; i++)
        busi_redis_link_close(&redis->links[i]);
    busi_redis_sentinels_free(&redis->sentinels);
    while (redis->free_requests) {
        struct redis_request *request = redis->free_requests;
        redis->free_requests = request->next;
        free(request);
    }
    for (size_t i = 0; i < redis->n_links; i++)
        busi_timer_free(&redis->links[i].timer);
    busi_timer_free(&redis->timer);
    busi_timer_free(&redis->pace);
    busi_timer_free(&redis->tick);
    busi_redis_url_fini(&redis->url);
    free(redis);
}
