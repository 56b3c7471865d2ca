#include "rpc/server_call.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"

enum {
    ARENA_BYTES = 16 * 1024 * 1024, /* bound of what a handler may allocate for one call */
    SHED_RETRY_MS = 1000
};

static void observe(const struct busi_served *served, enum busi_code code)
{
    int64_t us = busi_now_us() - served->began_us;
    if (served->method->histogram)
        busi_histogram_observe(served->method->histogram, us, code);
    /* what serves no request and went well is nothing to tell of */
    enum busi_log_level level = code == BUSI_OK && !served->head.request_id.ptr ? BUSI_DEBUG : BUSI_INFO;
    if (!busi_log_enabled(level))
        return;
    struct busi_log_field fields[8] = {BUSI_S("method", served->method->wire),
                                       BUSI_C("code", busi_code_name(code)), BUSI_I("duration_us", us)};
    size_t n = 3;
    struct busi_str caller = busi_frame_sender((struct busi_frame *)(uintptr_t)&served->frame);
    if (served->head.request_id.ptr)
        fields[n++] = BUSI_S("request_id", served->head.request_id);
    if (caller.ptr)
        fields[n++] = BUSI_S("caller", caller);
    if (served->head.user_id != 0)
        fields[n++] = BUSI_I("user_id", served->head.user_id);
    fields[n] = (struct busi_log_field){.kind = BUSI_LOG_END};
    busi_log_write(level, "rpc", fields);
}

/* A reply that does not fit or breaks its own rows is a bug here; the client gets an answer all the same. */
static enum busi_code reply(struct busi_served *served, struct busi_call *call, enum busi_code code,
                            const void *out)
{
    struct busi_buf buf;
    busi_buf_init(&buf, BUSI_RPC_MAX_REPLY);
    busi_reply_encode(&buf, served->head.id, code, call,
                      code == BUSI_OK ? served->method->method->reply() : NULL, out);
    if (buf.failed) {
        busi_log(BUSI_ERR, "reply_not_encodable", BUSI_S("method", served->method->wire),
                 BUSI_C("code", busi_code_name(code)));
        struct busi_call bare = {0};
        code = BUSI_INTERNAL;
        busi_buf_fini(&buf);
        busi_buf_init(&buf, BUSI_RPC_MAX_REPLY);
        busi_reply_encode(&buf, served->head.id, code, &bare, NULL, NULL);
    }
    busi_calls_send(served->calls, &served->peer, busi_frame_sender(&served->frame), &buf);
    busi_buf_fini(&buf);
    return code;
}

static enum busi_code decode(const struct busi_served *served, struct busi_call *call, void *in)
{
    struct busi_reader reader;
    const char *bad = NULL;
    busi_reader_init(&reader, served->head.body.ptr, served->head.body.len);
    if (!busi_decode(&reader, served->method->method->request(), in, &call->arena, &bad))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, bad ? bad : "malformed body");
    if (!busi_reader_done(&reader))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "bytes after the body");
    return BUSI_OK;
}

/* "No such user" says nothing when there was no memory to look for him with (base/memory.h). */
static enum busi_code judge(struct busi_call *call, enum busi_code code, int64_t refusals)
{
    if (!busi_code_is_verdict(code) || busi_memory_refusals() == refusals)
        return code;
    call->n_violations = 0;
    call->retry_after_ms = SHED_RETRY_MS;
    return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "out of memory");
}

static enum busi_code handle(const struct busi_served *served, struct busi_call *call, busi_handler *handler,
                             void *state, void **out)
{
    const struct busi_method *method = served->method->method;
    const int64_t refusals = busi_memory_refusals();
    void *in = busi_arena_alloc(&call->arena, method->request()->size);
    *out = busi_arena_alloc(&call->arena, method->reply()->size);
    if (!in || !*out) {
        call->retry_after_ms = SHED_RETRY_MS;
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "out of memory");
    }
    enum busi_code code = decode(served, call, in);
    return judge(call, code == BUSI_OK ? handler(state, call, in, *out) : code, refusals);
}

static void init_call(struct busi_call *call, struct busi_served *served)
{
    busi_call_init(call, ARENA_BYTES);
    call->request_id = served->head.request_id;
    call->traceparent = served->head.traceparent;
    call->idempotency_key = served->head.idempotency_key;
    call->user_id = served->head.user_id;
    call->origin = served->head.origin;
    call->until_ms = served->until_ms;
    call->caller = busi_frame_sender(&served->frame);
}

/* What a handler returns that was cut short says nothing but that. */
static enum busi_code outcome(const struct busi_served *served, enum busi_code code)
{
    return served->cut && code != BUSI_OK ? BUSI_CANCELLED : code;
}

static void run(void *arg)
{
    struct busi_served *served = arg;
    struct busi_call call;
    void *out = NULL;
    init_call(&call, served);
    served->fiber = busi_fiber_self();
    served->call = &call;
    busi_calls_began(served);
    enum busi_code code = handle(served, &call, served->method->handler, served->state, &out);
    busi_calls_ended(served);
    observe(served, served->unwanted ? outcome(served, code) : reply(served, &call, code, out));
    busi_call_fini(&call);
    busi_calls_give(served);
}

void busi_served_start(struct busi_served *served, struct busi_fibers *fibers, void *state)
{
    served->state = state;
    if (busi_fiber_start(fibers, run, served))
        return;
    busi_metric_add(BUSI_METRIC_rpc_shed, 1);
    busi_served_refuse(served, BUSI_RESOURCE_EXHAUSTED, "all fibers are busy", SHED_RETRY_MS);
}

void busi_served_at_once(struct busi_served *served, void *state)
{
    struct busi_call call;
    void *out = NULL;
    served->state = state;
    init_call(&call, served);
    enum busi_code code = handle(served, &call, served->method->at_once, served, &out);
    (void)reply(served, &call, code, out);
    busi_call_fini(&call);
    busi_calls_give(served);
}

void busi_served_refuse(struct busi_served *served, enum busi_code code, const char *message,
                        int64_t retry_after_ms)
{
    struct busi_call call = {.message = busi_str_of(message), .retry_after_ms = retry_after_ms};
    observe(served, reply(served, &call, code, NULL));
    busi_calls_give(served);
}

void busi_served_reject(struct busi_served *served, const char *why)
{
    struct busi_buf buf;
    const struct busi_call call = {.message = busi_str_of(why)};
    busi_buf_init(&buf, BUSI_RPC_MAX_REPLY);
    busi_reply_encode(&buf, served->head.id, BUSI_INVALID_ARGUMENT, &call, NULL, NULL);
    busi_calls_send(served->calls, &served->peer, busi_frame_sender(&served->frame), &buf);
    busi_buf_fini(&buf);
    busi_calls_give(served);
}
