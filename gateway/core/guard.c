#include "core/guard.h"
#include "core/credential.h"
#include "core/gateway.h"

/* A plugged route answers as AccessPass' plugs do, whatever its surface. */
static void refuse_token(struct exchange *x, enum token_fault fault)
{
    if (x->plugged)
        exchange_text(x, 401, BUSI_STR("unauthorized"));
    else
        exchange_unauthenticated(x, fault);
}

/* The request's token; absent when it was answered already. */
static struct busi_str find_token(struct exchange *x)
{
    struct busi_str token, none = {0};
    struct busi_str header = x->plugged ? BUSI_STR("access-token") : x->surface->token_header;
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

static void refuse(struct exchange *x, enum busi_code code)
{
    switch (code) {
    case BUSI_UNAUTHENTICATED:
    case BUSI_PERMISSION_DENIED:
    case BUSI_NOT_FOUND: /* its user is gone: no different from a token of nobody */
        refuse_token(x, TOKEN_INVALID);
        return;
    default:
        exchange_fail(x, code);
    }
}

enum busi_code guard_check(struct exchange *x, struct busi_str token, struct busi_principal *principal)
{
    struct busi_call *call = &x->request->call;
    struct session_cache *sessions = x->gateway->sessions;
    struct session_ticket ticket;
    if (session_cache_find(sessions, token, &call->arena, principal, &ticket))
        return BUSI_OK;
    enum busi_code code = busi_rpc_auth_check_token(
        x->gateway->rpc, call, &(struct busi_check_token_request){.token = token}, principal);
    if (code == BUSI_OK)
        session_cache_keep(sessions, &ticket, principal);
    return code;
}

/* False: answered. */
static bool obeys_rules(struct exchange *x, const struct busi_principal *principal)
{
    switch (
        guard_rules_judge(&x->gateway->rules, x->route, principal, &x->request->call.arena, &x->owner_id)) {
    case GUARD_PASSES:
        return true;
    case GUARD_NOT_CONFIRMED:
        exchange_text(x, 401, BUSI_STR("email address not confirmed"));
        return false;
    case GUARD_UNAUTHORIZED:
        exchange_text(x, 401, BUSI_STR("unauthorized"));
        return false;
    case GUARD_FORBIDDEN:
        break;
    }
    exchange_forbidden(x);
    return false;
}

bool guard_admit(struct exchange *x, struct busi_principal *principal)
{
    struct busi_str token = find_token(x);
    if (!token.ptr)
        return false;
    enum busi_code code = guard_check(x, token, principal);
    if (code != BUSI_OK) {
        refuse(x, code);
        return false;
    }
    x->request->call.user_id = principal->user_id;
    x->principal = principal;
    x->token = token;
    return obeys_rules(x, principal);
}
