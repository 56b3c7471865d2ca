#include "guard.h"
#include "bearer.h"
#include "gateway.h"
#include "media_type.h"

enum { ARENA_BYTES = 16 * 1024 };

/* RFC 6750 section 2: one way of sending the token. A query's is otherwise ignored, as is a form's. */
static bool sent_twice(const struct exchange *x)
{
    const struct http_header *type = http_find_header(x->request, BUSI_STR("content-type"));
    bool is_form =
        type && busi_str_ieq(media_type_name(type->value), BUSI_STR("application/x-www-form-urlencoded"));
    return param_find(x->query, "access_token") || (is_form && param_find(x->body, "access_token"));
}

/* The request's token; absent when it was answered already. */
static struct busi_str find_token(struct exchange *x)
{
    struct busi_str name = BUSI_STR("authorization"), token = {0}, none = {0};
    size_t n = http_count_header(x->request, name);
    if (n == 1)
        token = bearer_token(http_find_header(x->request, name)->value);
    if (n > 1 || (token.ptr && sent_twice(x))) {
        exchange_error(x, 400);
        return none;
    }
    if (!token.ptr) {
        exchange_unauthenticated(x, TOKEN_MISSING);
        return none;
    }
    if (!bearer_plausible(token)) {
        exchange_unauthenticated(x, TOKEN_INVALID);
        return none;
    }
    return token;
}

bool guard_begin(struct exchange *x, struct guard *guard)
{
    const struct busi_call *call = &x->request->call;
    *guard = (struct guard){.token = find_token(x)};
    if (!guard->token.ptr)
        return false;
    busi_call_init(&guard->call, ARENA_BYTES);
    guard->call.request_id = call->request_id;
    guard->call.traceparent = call->traceparent;
    guard->call.until_ms = call->until_ms;
    guard->request.token = guard->token;
    busi_rpc_start(&guard->started, x->gateway->rpc, &guard->call, BUSI_METHOD_auth_check_token,
                   &guard->request, &guard->principal);
    return true;
}

bool guard_may_overlap(const struct exchange *x, const struct guard *guard)
{
    return (x->request->method & (HTTP_GET | HTTP_HEAD)) && seen_find(&x->gateway->seen, guard->token);
}

/* What a handler answered meanwhile is dropped: errors start the answer over. */
static void refuse(struct exchange *x, struct guard *guard, enum busi_code code)
{
    struct busi_call *call = &x->request->call;
    switch (code) {
    case BUSI_UNAUTHENTICATED:
    case BUSI_PERMISSION_DENIED:
    case BUSI_NOT_FOUND: /* its user is gone: no different from a token of nobody */
        seen_note(&x->gateway->seen, guard->token, false);
        exchange_unauthenticated(x, TOKEN_INVALID);
        return;
    default:
        call->message = busi_arena_dup(&call->arena, guard->call.message);
        call->retry_after_ms = guard->call.retry_after_ms;
        call->quota = guard->call.quota;
        call->n_violations = 0;
        exchange_fail(x, code);
    }
}

bool guard_wait(struct exchange *x, struct guard *guard)
{
    enum busi_code code = busi_rpc_finish(&guard->started);
    if (code == BUSI_OK) {
        x->request->call.user_id = guard->principal.user_id;
        seen_note(&x->gateway->seen, guard->token, true);
    } else {
        refuse(x, guard, code);
    }
    busi_call_fini(&guard->call);
    return code == BUSI_OK;
}
