#include "base/memory.h"
#include "base/metrics.h"
#include "rpc/client_internal.h"
#include "rpc/client_metrics.h"
#include "rpc/envelope.h"
#include "rpc/worker.h"
#include <time.h>

enum {
    ATTEMPTS = 3,
    LEAST_MS = 5, /* a retry with less is pointless */
    RETRY_AFTER_MS = 1000
};

/* ---- the answer ---- */

static bool read_violations(struct busi_call *call, struct busi_str raw)
{
    struct busi_reader reader;
    const char *bad;
    busi_reader_init(&reader, raw.ptr, raw.len);
    uint32_t n = busi_read_array(&reader);
    for (uint32_t i = 0; i < n && call->n_violations < sizeof call->violations / sizeof *call->violations;
         i++) {
        struct busi_violation violation = {0};
        if (!busi_decode(&reader, busi_desc_violation(), &violation, &call->arena, &bad))
            return false;
        call->violations[call->n_violations++] = violation;
    }
    return busi_reader_ok(&reader);
}

static bool read_quota(struct busi_call *call, struct busi_str raw)
{
    struct busi_reader reader;
    struct busi_quota quota = {0};
    const char *bad;
    busi_reader_init(&reader, raw.ptr, raw.len);
    if (!busi_decode(&reader, busi_desc_quota(), &quota, &call->arena, &bad) || quota.limit < 0 ||
        quota.window_ms < 0 || quota.remaining < 0 || quota.reset_ms < 0)
        return false;
    call->quota = quota;
    return true;
}

/* A code of a later version is UNKNOWN. */
static enum busi_code known(int code)
{
    static const char *const unknown = "UNKNOWN";
    const char *name = busi_code_name(code);
    return code != BUSI_UNKNOWN && strcmp(name, unknown) == 0 ? BUSI_UNKNOWN : (enum busi_code)code;
}

/* The frame is copied so that texts live as long as the call, and are wiped with it. */
static enum busi_code take_answer(struct busi_call *call, struct busi_pending *pending,
                                  const struct busi_desc *desc, void *out)
{
    struct busi_reply_head head;
    struct busi_reader reader;
    const char *bad;
    struct busi_str frame = busi_arena_dup(&call->arena, busi_frame_bytes(&pending->frame));
    if (!frame.ptr)
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "the reply does not fit");
    if (!busi_reply_decode(frame, &head, &bad))
        return busi_call_fail(call, BUSI_INTERNAL, "malformed reply");
    if (head.code != BUSI_OK) {
        call->message = head.message;
        call->retry_after_ms = head.retry_after_ms;
        if (head.violations.ptr && !read_violations(call, head.violations))
            return busi_call_fail(call, BUSI_INTERNAL, "malformed violations");
        if (head.quota.ptr && !read_quota(call, head.quota))
            return busi_call_fail(call, BUSI_INTERNAL, "malformed quota");
        return known(head.code);
    }
    busi_reader_init(&reader, head.body.ptr, head.body.len);
    memset(out, 0, desc->size);
    if (busi_decode(&reader, desc, out, &call->arena, &bad) && busi_reader_done(&reader))
        return BUSI_OK;
    memset(out, 0, desc->size);
    busi_metric_add(BUSI_METRIC_rpc_malformed, 1);
    return busi_call_fail(call, BUSI_INTERNAL, "malformed reply body");
}

static enum busi_code called_off(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_CANCELLED, "called off");
}

static enum busi_code answer_of(struct busi_call *call, struct busi_pending *pending,
                                const struct busi_method *method, void *out)
{
    switch (pending->verdict) {
    case BUSI_REPLIED:
        return take_answer(call, pending, method->reply(), out);
    case BUSI_ALL_FULL:
        busi_metric_add(BUSI_METRIC_rpc_shed, 1);
        call->retry_after_ms = RETRY_AFTER_MS;
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "every worker is full");
    case BUSI_CALLED_OFF:
        return called_off(call);
    case BUSI_LOST:
        call->retry_after_ms = RETRY_AFTER_MS;
        return busi_call_fail(call, BUSI_UNAVAILABLE, "the worker is gone");
    case BUSI_NO_WORKER:
    default:
        call->retry_after_ms = RETRY_AFTER_MS;
        return busi_call_fail(call, BUSI_UNAVAILABLE, "no worker");
    }
}

/* ---- one attempt ---- */

struct attempt {
    struct busi_rpc_client *client;
    struct busi_call *call;
    const struct busi_method *method;
    const void *in;               /* the request */
    void *out;                    /* the reply */
    int64_t until_ms;             /* of all attempts; busi_now_ms() scale */
    struct busi_pending *pending; /* what is waited for */
    bool again;                   /* nothing came of it, and it may be tried once more */
};

static bool encode(const struct attempt *a, struct busi_pending *pending, int64_t left_ms)
{
    struct busi_buf buf;
    busi_buf_init(&buf, BUSI_RPC_MAX_REQUEST);
    busi_request_encode(&buf,
                        &(struct busi_request_head){.method = busi_str_of(a->method->wire),
                                                    .id = busi_pending_id(pending),
                                                    .budget_ms = left_ms,
                                                    .request_id = a->call->request_id,
                                                    .traceparent = a->call->traceparent,
                                                    .idempotency_key = a->call->idempotency_key,
                                                    .user_id = a->call->user_id,
                                                    .origin = a->call->origin},
                        a->method->request(), a->in);
    bool fine = !buf.failed && busi_frame_take(&pending->frame, &buf, NULL);
    busi_buf_fini(&buf);
    return fine;
}

static enum busi_code too_late(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_DEADLINE_EXCEEDED, "no answer in time");
}

/* Waits for what ask() sent. */
static enum busi_code await(struct attempt *a)
{
    struct busi_pending *pending = a->pending;
    struct busi_pendings *pool = busi_rpc_client_pool(a->client);
    bool by_fiber = pending->fiber != NULL, done = busi_pending_wait(pending);
    atomic_store_explicit(&a->call->waiting, 0, memory_order_relaxed);
    if (!done) {
        if (by_fiber) { /* of a thread's slot the loop takes care */
            busi_worker_forget(pending);
            busi_pending_give(pool, pending);
        }
        return too_late(a->call);
    }
    enum busi_code code = answer_of(a->call, pending, a->method, a->out);
    a->again = pending->verdict == BUSI_LOST && pending->idempotent;
    busi_pending_give(pool, pending);
    return code;
}

static enum busi_code not_encoded(struct busi_call *call, int64_t refusals)
{
    if (busi_memory_refusals() == refusals)
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the request cannot be encoded");
    call->retry_after_ms = RETRY_AFTER_MS;
    return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "out of memory");
}

static enum busi_code dispatch(struct attempt *a, struct busi_pending *pending, int64_t left_ms)
{
    const int64_t refusals = busi_memory_refusals();
    if (!encode(a, pending, left_ms)) {
        busi_pending_give(busi_rpc_client_pool(a->client), pending);
        return not_encoded(a->call, refusals);
    }
    const uint64_t id = busi_pending_id(pending);
    a->pending = pending;
    /* in this order, as busi_rpc_cancel() does it the other way round: one sees the other */
    atomic_store(&a->call->waiting, id);
    if (atomic_load(&a->call->called_off)) {
        atomic_store(&a->call->waiting, 0);
        busi_pending_give(busi_rpc_client_pool(a->client), pending);
        return called_off(a->call);
    }
    busi_rpc_client_submit(a->client, pending);
    if (atomic_load(
            &a->call->called_off)) /* what was said before this line came to the loop before the call */
        (void)!busi_rpc_client_call_off(a->client, id);
    return BUSI_OK;
}

/* OK, or the reason why not. */
static enum busi_code ask(struct attempt *a)
{
    a->again = false;
    a->call->message = (struct busi_str){0};
    a->call->retry_after_ms = 0;
    a->call->n_violations = 0;
    a->call->quota = (struct busi_quota){0};
    if (a->call->until_ms <
        a->until_ms) /* also since the attempt before: whoever made the call has been cut short */
        a->until_ms = a->call->until_ms;
    int64_t left_ms = a->until_ms - busi_now_ms();
    if (left_ms <= 0)
        return too_late(a->call);
    struct busi_target *target = busi_rpc_client_target(a->client, a->method->service);
    if (!target)
        return busi_call_fail(a->call, BUSI_UNIMPLEMENTED, "this service is not configured");
    struct busi_pending *pending = busi_pending_take(busi_rpc_client_pool(a->client));
    if (!pending) {
        busi_metric_add(BUSI_METRIC_rpc_shed, 1);
        a->call->retry_after_ms = RETRY_AFTER_MS;
        return busi_call_fail(a->call, BUSI_RESOURCE_EXHAUSTED, "too many calls are waiting");
    }
    pending->target = target;
    pending->until_ms = a->until_ms;
    pending->urgent = a->call->urgent;
    pending->client_fd = a->call->client_fd;
    pending->idempotent = a->method->retry == BUSI_IDEMPOTENT;
    return dispatch(a, pending, left_ms);
}

static enum busi_code ask_and_wait(struct attempt *a)
{
    enum busi_code code = ask(a);
    return code == BUSI_OK ? await(a) : code;
}

static void sleep_ms(int64_t ms)
{
    if (busi_fiber_self())
        busi_fiber_sleep(ms);
    else
        nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* The outcome of the n-th attempt came to nothing: may there be another, and is there time? Then that for a
 * pause is over, too. */
static bool once_more(const struct attempt *a, int n)
{
    if (!a->again || n + 1 >= ATTEMPTS)
        return false;
    int64_t pause_ms = busi_rpc_client_pause_ms(a->client, n);
    if (a->until_ms - busi_now_ms() < pause_ms + LEAST_MS || !busi_rpc_client_may_retry(a->client))
        return false;
    busi_metric_add(BUSI_METRIC_rpc_retries, 1);
    sleep_ms(pause_ms);
    return true;
}

enum busi_code busi_rpc_call(struct busi_rpc_client *client, struct busi_call *call,
                             enum busi_method_id method, const void *in, void *out)
{
    int64_t began_us = busi_now_us();
    struct attempt a = {
        .client = client, .call = call, .method = busi_method_get(method), .in = in, .out = out};
    a.until_ms = began_us / 1000 + a.method->timeout_ms;
    busi_rpc_client_enter(client);
    enum busi_code code = ask_and_wait(&a);
    for (int n = 0; once_more(&a, n); n++)
        code = ask_and_wait(&a);
    /* a handler's own no is for good: nothing is said of trying again */
    if (code == BUSI_PERMISSION_DENIED && call->retry_after_ms > 0 &&
        busi_rpc_client_refusals_are_ours(client))
        code = busi_call_fail(call, BUSI_UNAVAILABLE, "this process's certificate may not call the method");
    if (code != BUSI_UNAVAILABLE && code != BUSI_DEADLINE_EXCEEDED)
        busi_rpc_client_earn(client);
    busi_rpc_client_leave(client);
    busi_client_metrics_observe(method, busi_now_us() - began_us, code);
    return code;
}

bool busi_rpc_cancel(struct busi_rpc_client *client, struct busi_call *call)
{
    atomic_store(&call->called_off, true);
    uint64_t id = atomic_load(&call->waiting);
    return id == 0 || busi_rpc_client_call_off(client, id);
}
