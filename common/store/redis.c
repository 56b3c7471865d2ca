#include "store/redis_internal.h"

#include "base/metrics.h"

#include <assert.h>
#include <stdlib.h>

static struct redis_request *request_new(struct busi_redis *redis)
{
    if (redis->in_flight == REDIS_IN_FLIGHT_MOST)
        return NULL;
    struct redis_request *request = redis->free_requests;
    if (request)
        redis->free_requests = request->next;
    else
        request = malloc(sizeof *request);
    if (!request)
        return NULL;
    *request = (struct redis_request){0};
    redis->in_flight++;
    return request;
}

static void request_free(struct busi_redis *redis, struct redis_request *request)
{
    request->next = redis->free_requests;
    redis->free_requests = request;
    redis->in_flight--;
}

static void write_command(struct busi_buf *out, int argc, const struct busi_str *argv)
{
    busi_buf_char(out, '*');
    busi_buf_int(out, argc);
    busi_buf_str(out, BUSI_STR("\r\n"));
    for (int i = 0; i < argc; i++) {
        busi_buf_char(out, '$');
        busi_buf_int(out, (int64_t)argv[i].len);
        busi_buf_str(out, BUSI_STR("\r\n"));
        busi_buf_str(out, argv[i]);
        busi_buf_str(out, BUSI_STR("\r\n"));
    }
}

struct redis_request *busi_redis_send(struct busi_redis *redis, int argc, const struct busi_str *argv)
{
    size_t size = 16;
    for (int i = 0; i < argc; i++)
        size += argv[i].len + 32;
    struct redis_request *request = redis->out.len + size <= REDIS_OUT_MOST ? request_new(redis) : NULL;
    if (!request)
        return NULL;
    size_t before = redis->out.len;
    write_command(&redis->out, argc, argv);
    if (redis->out.failed) { /* out of memory; half a command must never be sent */
        redis->out.failed = false;
        redis->out.len = before;
        request_free(redis, request);
        return NULL;
    }
    redis->sent_ms = busi_now_ms();
    request->overdue_ms = redis->sent_ms + redis->timeout_ms;
    if (redis->last)
        redis->last->next = request;
    else
        redis->first = request;
    redis->last = request;
    return request;
}

void busi_redis_finish(struct busi_redis *redis, enum busi_code code, const redisReply *reply)
{
    struct redis_request *request = redis->first;
    redis->first = request->next;
    if (!redis->first)
        redis->last = NULL;
    if (!request->fiber) {
        request_free(redis, request);
        return;
    }
    request->code = reply ? busi_redis_copy(reply, request->reply, request->arena) : code;
    request->done = true;
    busi_fiber_wake(request->fiber);
}

enum busi_code busi_redis_run(struct busi_redis *redis, struct busi_arena *arena, int argc,
                              const struct busi_str *argv, int64_t until_ms, struct busi_redis_reply *reply)
{
    assert(argc > 0 && busi_fiber_self());
    *reply = (struct busi_redis_reply){0};
    if (!busi_redis_ready(redis))
        return BUSI_UNAVAILABLE;
    if (until_ms <= busi_now_ms())
        return BUSI_DEADLINE_EXCEEDED;
    struct redis_request *request = busi_redis_send(redis, argc, argv);
    if (!request)
        return BUSI_RESOURCE_EXHAUSTED;
    request->fiber = busi_fiber_self();
    request->arena = arena;
    request->reply = reply;
    while (!request->done) {
        if (busi_fiber_wait(until_ms) == BUSI_TIMED_OUT && !request->done) {
            request->fiber = NULL;
            return BUSI_DEADLINE_EXCEEDED;
        }
    }
    enum busi_code code = request->code;
    request_free(redis, request);
    return code;
}

bool busi_redis_ready(const struct busi_redis *redis)
{
    return atomic_load_explicit(&redis->ready, memory_order_relaxed);
}

uint64_t busi_redis_generation(const struct busi_redis *redis)
{
    return redis->generation;
}

static void on_tick(void *arg)
{
    struct busi_redis *redis = arg;
    int64_t now = busi_now_ms();
    if (redis->state != REDIS_READY)
        return;
    if (redis->first && now >= redis->first->overdue_ms)
        busi_redis_lose(redis, "no reply in time");
    else if (!redis->first && now >= redis->sent_ms + REDIS_IDLE_MS)
        (void)busi_redis_send(redis, 1, &BUSI_STR("PING"));
}

struct busi_redis *busi_redis_new(struct busi_loop *loop, struct busi_str url, int64_t timeout_ms,
                                  const char **error)
{
    struct busi_redis *redis = calloc(1, sizeof *redis);
    *error = "out of memory";
    if (!redis)
        return NULL;
    redis->loop = loop;
    redis->timeout_ms = timeout_ms;
    busi_buf_init(&redis->out, REDIS_OUT_MOST);
    if (!busi_redis_url_parse(&redis->url, url, error))
        goto failed;
    *error = "out of memory";
    redis->tick = busi_loop_every(loop, REDIS_TICK_MS, on_tick, redis);
    if (!redis->tick || !busi_loop_at_turn_end(loop, busi_redis_flush, redis))
        goto failed;
    busi_redis_open(redis);
    return redis;
failed:
    busi_redis_free(&redis);
    return NULL;
}

void busi_redis_free(struct busi_redis **redis_)
{
    struct busi_redis *redis = *redis_;
    if (!redis)
        return;
    *redis_ = NULL;
    while (redis->first)
        busi_redis_finish(redis, BUSI_UNAVAILABLE, NULL);
    busi_redis_close(redis);
    while (redis->free_requests) {
        struct redis_request *request = redis->free_requests;
        redis->free_requests = request->next;
        free(request);
    }
    if (redis->tick)
        busi_timer_free(&redis->tick);
    busi_buf_fini(&redis->out);
    busi_redis_url_fini(&redis->url);
    free(redis);
}
