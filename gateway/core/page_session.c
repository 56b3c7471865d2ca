#include "core/page_session.h"
#include "base/log.h"
#include "core/gateway.h"
#include "core/guard.h"
#include "http/bearer.h"
#include "http/cookies.h"

struct busi_str page_session_token(const struct exchange *x)
{
    struct busi_str token = cookie_find(x->request, x->gateway->site->cookie);
    return bearer_plausible(token) ? token : (struct busi_str){0};
}

/* A token of an API is no session of a browser, wherever it is put. */
enum busi_code page_session_who(struct exchange *x, struct busi_principal *out)
{
    struct busi_str token = page_session_token(x);
    if (!token.ptr)
        return BUSI_UNAUTHENTICATED;
    enum busi_code code = guard_check(x, token, out);
    if (code == BUSI_NOT_FOUND || code == BUSI_PERMISSION_DENIED)
        return BUSI_UNAUTHENTICATED;
    if (code != BUSI_OK)
        return code;
    if (!busi_str_eq(out->door, BUSI_STR("ash_page")))
        return BUSI_UNAUTHENTICATED;
    x->request->call.user_id = out->user_id;
    return BUSI_OK;
}

static void set_cookie(struct exchange *x, struct busi_str value, int64_t seconds)
{
    const struct page_site *site = x->gateway->site;
    struct busi_str cookie = busi_arena_printf(
        &x->request->call.arena, "%.*s=%.*s; Max-Age=%lld; Path=/; HttpOnly; SameSite=Lax%s",
        BUSI_ARG(site->cookie), BUSI_ARG(value), (long long)seconds, site->secure ? "; Secure" : "");
    x->response->no_store = true;
    http_add_header(x->response, "Set-Cookie", cookie);
}

static enum busi_code end(struct exchange *x, struct busi_str token)
{
    const struct busi_check_token_request request = {.token = token};
    struct busi_empty nothing = {0};
    enum busi_code code = busi_rpc_auth_sign_out(x->gateway->rpc, &x->request->call, &request, &nothing);
    return exchange_is_verdict(code) ? BUSI_OK : code; /* it had ended already, or never was */
}

/* The new one counts even where the old one could not be ended, which will end by itself. */
void page_session_begin(struct exchange *x, const struct busi_session_reply *session)
{
    struct busi_str old = page_session_token(x);
    enum busi_code code = old.ptr ? end(x, old) : BUSI_OK;
    if (code != BUSI_OK)
        busi_log(BUSI_WARN, "page_session_left", BUSI_S("request_id", x->request->call.request_id),
                 BUSI_C("code", busi_code_name(code)));
    set_cookie(x, session->access_token, session->access_lifetime);
}

enum busi_code page_session_end(struct exchange *x)
{
    struct busi_str token = page_session_token(x);
    enum busi_code code = token.ptr ? end(x, token) : BUSI_OK;
    if (code == BUSI_OK)
        set_cookie(x, BUSI_STR(""), 0);
    return code;
}
