#include "guard.h"
#include "credential.h"
#include "gateway.h"

enum { ARENA_BYTES = 16 * 1024 };

/* A route that rules name answers as AccessPass' plugs do, whatever its surface. */
static void refuse_token(struct exchange *x, enum token_fault fault)
{
    if (x->ruled)
        exchange_text(x, 401, BUSI_STR("unauthorized"));
    else
        exchange_unauthenticated(x, fault);
}

/* The request's token; absent when it was answered already. */
static struct busi_str find_token(struct exchange *x)
{
    struct busi_str token, none = {0};
    struct busi_str header = x->ruled ? BUSI_STR("access-token") : x->surface->token_header;
    switch (credential_find(x, header, &token)) {
    case CREDENTIAL_FOUND:
        return token;
    case CREDENTIAL_TWICE:
        exchange_error(x, 400);
        return none;
    case CREDENTIAL_MISSING:
        refuse_token(x, TOKEN_MISSING);
        return none;
    case CREDENTIAL_INVALID:
        break;
    }
    refuse_token(x, TOKEN_INVALID);
    return none;
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
    guard->known = session_cache_find(x->gateway->sessions, guard->token, &guard->call.arena,
                                      &guard->principal, &guard->ticket);
    if (guard->known)
        return true;
    guard->request.token = guard->token;
    busi_rpc_start(&guard->started, x->gateway->rpc, &guard->call, BUSI_METHOD_auth_check_token,
                   &guard->request, &guard->principal);
    return true;
}

bool guard_may_overlap(const struct exchange *x, const struct guard *guard)
{
    return !guard->known && x->route->who != WHO_KNOWN && (x->request->method & (HTTP_GET | HTTP_HEAD)) &&
           seen_find(&x->gateway->seen, guard->token);
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
        refuse_token(x, TOKEN_INVALID);
        return;
    default:
        call->message = busi_arena_dup(&call->arena, guard->call.message);
        call->retry_after_ms = guard->call.retry_after_ms;
        call->quota = guard->call.quota;
        call->n_violations = 0;
        exchange_fail(x, code);
    }
}

/* False: answered. */
static bool obeys_rules(struct exchange *x, struct guard *guard)
{
    if (!x->ruled)
        return true;
    switch (guard_rules_judge(&x->gateway->rules, x->route, &guard->principal, &x->request->call.arena)) {
    case GUARD_PASSES:
        return true;
    case GUARD_NOT_CONFIRMED:
        exchange_text(x, 401, BUSI_STR("email address not confirmed"));
        return false;
    case GUARD_UNAUTHORIZED:
        break;
    }
    exchange_text(x, 401, BUSI_STR("unauthorized"));
    return false;
}

bool guard_wait(struct exchange *x, struct guard *guard)
{
    enum busi_code code = guard->known ? BUSI_OK : busi_rpc_finish(&guard->started);
    if (code != BUSI_OK) {
        refuse(x, guard, code);
        return false;
    }
    x->request->call.user_id = guard->principal.user_id;
    x->principal = &guard->principal;
    if (!guard->known) {
        session_cache_keep(x->gateway->sessions, &guard->ticket, &guard->principal);
        seen_note(&x->gateway->seen, guard->token, true);
    }
    return obeys_rules(x, guard);
}

void guard_end(struct exchange *x, struct guard *guard)
{
    x->principal = NULL;
    busi_call_fini(&guard->call);
}
