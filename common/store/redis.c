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
    request->sent_ms = busi_now_ms();
    request->overdue_ms = request->sent_ms + redis->timeout_ms;
    if (redis->last)
        redis->last->next = request;
    else
        redis->first = request;
    redis->last = request;
    return request;
}

bool busi_redis_ask(struct busi_redis *redis, int argc, const struct busi_str *argv, redis_taker *taker,
                    void *arg)
{
    struct redis_request *request = busi_redis_send(redis, argc, argv);
    if (!request)
        return false;
    request->taker = taker;
    request->taker_arg = arg;
    return true;
}

const char *busi_redis_finish(struct busi_redis *redis, enum busi_code code, const redisReply *reply)
{
    struct redis_request *request = redis->first;
    redis->first = request->next;
    if (!redis->first)
        redis->last = NULL;
    if (!request->fiber) {
        redis_taker *taker = request->taker;
        void *arg = request->taker_arg;
        int64_t sent_ms = request->sent_ms;
        request_free(redis, request);
        return taker ? taker(arg, reply, sent_ms) : NULL;
    }
    request->code = reply ? busi_redis_copy(reply, request->reply, request->arena) : code;
    request->done = true;
    busi_fiber_wake(request->fiber);
    return NULL;
}

/* NULL and *code: it was not sent. */
static struct redis_request *start(struct busi_redis *redis, struct busi_arena *arena,
                                   struct busi_redis_command *command, int64_t until_ms)
{
    assert(command->argc > 0 && busi_fiber_self());
    command->reply = (struct busi_redis_reply){0};
    command->code = BUSI_UNAVAILABLE;
    if (!busi_redis_ready(redis))
        return NULL;
    command->code = BUSI_DEADLINE_EXCEEDED;
    if (until_ms <= busi_now_ms())
        return NULL;
    command->code = BUSI_RESOURCE_EXHAUSTED;
    struct redis_request *request = busi_redis_send(redis, command->argc, command->argv);
    if (!request)
        return NULL;
    request->fiber = busi_fiber_self();
    request->arena = arena;
    request->reply = &command->reply;
    return request;
}

static enum busi_code finish(struct busi_redis *redis, struct redis_request *request, int64_t until_ms)
{
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

enum busi_code busi_redis_run(struct busi_redis *redis, struct busi_arena *arena, int argc,
                              const struct busi_str *argv, int64_t until_ms, struct busi_redis_reply *reply)
{
    struct busi_redis_command command = {.argc = argc, .argv = argv};
    enum busi_code code = busi_redis_run_all(redis, arena, &command, 1, until_ms);
    *reply = command.reply;
    return code;
}

/* What could not be sent keeps the rest from being sent, too: the order is a promise. */
enum busi_code busi_redis_run_all(struct busi_redis *redis, struct busi_arena *arena,
                                  struct busi_redis_command *commands, size_t n, int64_t until_ms)
{
    struct redis_request *requests[BUSI_REDIS_COMMANDS_MOST];
    enum busi_code code = BUSI_OK;
    size_t sent = 0;
    assert(n <= BUSI_REDIS_COMMANDS_MOST);
    while (sent < n && (requests[sent] = start(redis, arena, &commands[sent], until_ms)))
        sent++;
    for (size_t i = sent + 1; i < n; i++) {
        commands[i].reply = (struct busi_redis_reply){0};
        commands[i].code = commands[sent].code;
    }
    for (size_t i = 0; i < sent; i++)
        commands[i].code = finish(redis, requests[i], until_ms);
    for (size_t i = 0; i < n && code == BUSI_OK; i++)
        code = commands[i].code;
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

static void on_tick(void *arg)
{
    struct busi_redis *redis = arg;
    if (redis->sentinels)
        busi_redis_follow(redis);
    int64_t now = busi_now_ms();
    if (redis->state != REDIS_READY && redis->state != REDIS_SETTLING)
        return;
    if (redis->state == REDIS_READY && redis->backoff.pause_ms && now >= redis->ready_ms + REDIS_STEADY_MS)
        redis->backoff.pause_ms = redis->logged_ms = 0;
    if (redis->first && now >= redis->first->overdue_ms)
        busi_redis_lose(redis, "no reply in time");
    else if (!redis->is_sentinel && now >= redis->looked_ms + REDIS_LOOK_MS)
        (void)busi_redis_look(redis);
}

struct busi_redis *busi_redis_make(struct busi_loop *loop, struct redis_url *url, int64_t timeout_ms,
                                   bool is_sentinel)
{
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
    busi_buf_init(&redis->out, REDIS_OUT_MOST);
    redis->timer = busi_loop_timer(loop, busi_redis_on_time, redis);
    redis->tick = busi_loop_every(loop, REDIS_TICK_MS, on_tick, redis);
    if (!redis->timer || !redis->tick || !busi_loop_at_turn_end(loop, busi_redis_flush, redis))
        goto failed;
    if (redis->url.n_sentinels > 0) {
        redis->sentinels = busi_redis_sentinels_new(redis);
        if (!redis->sentinels)
            goto failed;
    }
    busi_redis_open(redis);
    return redis;
failed:
    busi_redis_free(&redis);
    return NULL;
}

struct busi_redis *busi_redis_new(struct busi_loop *loop, struct busi_str text, int64_t timeout_ms,
                                  const char **error)
{
    struct redis_url url;
    if (!busi_redis_url_parse(&url, text, error))
        return NULL;
    struct busi_redis *redis = busi_redis_make(loop, &url, timeout_ms, false);
    *error = redis ? NULL : "out of memory";
    return redis;
}

void busi_redis_free(struct busi_redis **redis_)
{
    struct busi_redis *redis = *redis_;
    if (!redis)
        return;
    *redis_ = NULL;
    while (redis->first)
        (void)busi_redis_finish(redis, BUSI_UNAVAILABLE, NULL);
    busi_redis_close(redis);
    busi_redis_sentinels_free(&redis->sentinels);
    while (redis->free_requests) {
        struct redis_request *request = redis->free_requests;
        redis->free_requests = request->next;
        free(request);
    }
    busi_timer_free(&redis->timer);
    busi_timer_free(&redis->tick);
    busi_buf_fini(&redis->out);
    busi_redis_url_fini(&redis->url);
    free(redis);
}
