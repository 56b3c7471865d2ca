#include "guard.h"
#include "bearer.h"
#include "gateway.h"

/* RFC 6750 section 2: one way of sending the token. A query's is otherwise ignored, as is a form's. */
static bool sent_twice(const struct exchange *x)
{
    const struct http_header *type = http_find_header(x->request, BUSI_STR("content-type"));
    struct busi_str form = BUSI_STR("application/x-www-form-urlencoded");
    bool is_form = type && type->value.len >= form.len &&
                   busi_str_ieq((struct busi_str){type->value.ptr, form.len}, form);
    return param_find(x->query, "access_token") || (is_form && param_find(x->body, "access_token"));
}

static bool check(struct exchange *x, struct busi_str token)
{
    struct busi_call *call = &x->request->call;
    struct busi_check_token_request request = {.token = token};
    struct busi_principal principal = {0};
    enum busi_code code = busi_rpc_auth_check_token(x->gateway->rpc, call, &request, &principal);
    switch (code) {
    case BUSI_OK:
        call->user_id = principal.user_id;
        return true;
    case BUSI_UNAUTHENTICATED:
    case BUSI_PERMISSION_DENIED:
    case BUSI_NOT_FOUND: /* its user is gone: no different from a token of nobody */
        exchange_unauthenticated(x, TOKEN_INVALID);
        return false;
    default:
        exchange_fail(x, code);
        return false;
    }
}

bool guard_admit(struct exchange *x)
{
    struct busi_str name = BUSI_STR("authorization");
    size_t n = http_count_header(x->request, name);
    struct busi_str token = {0};
    if (n == 1)
        token = bearer_token(http_find_header(x->request, name)->value);
    if (n > 1 || (token.ptr && sent_twice(x))) {
        exchange_error(x, 400);
        return false;
    }
    if (!token.ptr) {
        exchange_unauthenticated(x, TOKEN_MISSING);
        return false;
    }
    if (!bearer_plausible(token)) {
        exchange_unauthenticated(x, TOKEN_INVALID);
        return false;
    }
    return check(x, token);
}
