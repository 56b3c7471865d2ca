/* Sign-up, sign-in and the greeting of the busi surface. */
#include "core/exchange.h"
#include "core/gateway.h"
#include "core/page_session.h"
#include "surfaces/busi_shape.h"

static void answer_session(struct exchange *x, const struct busi_session_reply *session)
{
    busi_shape_session(&x->response->body, session);
    exchange_json(x, 201);
}

void on_busi_sign_up(struct exchange *x)
{
    struct busi_call *call = &x->request->call;
    struct busi_sign_up_request request;
    struct busi_session_reply session = {0};
    struct fields fields;
    if (!busi_shape_sign_up(x->body, &fields, &request)) {
        exchange_error(x, 400);
        return;
    }
    enum busi_code code = busi_rpc_auth_sign_up(x->gateway->rpc, call, &request, &session);
    code = fields_judge(&fields, call, code);
    if (code == BUSI_OK)
        answer_session(x, &session);
    else
        exchange_fail(x, code);
}

void on_busi_sign_in(struct exchange *x)
{
    struct busi_sign_in_request request;
    struct busi_session_reply session = {0};
    if (!busi_shape_sign_in(x->body, &request)) {
        exchange_error(x, 400);
        return;
    }
    enum busi_code code = busi_rpc_auth_sign_in(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK)
        answer_session(x, &session);
    else
        exchange_fail(x, code);
}

/* Where browsers are sent after signing in, unless BUSI_PAGES_HOME says another place. */
void on_busi_home(struct exchange *x)
{
    struct busi_str account = x->gateway->site->account;
    if (account.ptr && page_session_token(x).ptr)
        exchange_redirect(x, busi_arena_printf(&x->request->call.arena, "%.*s/account", BUSI_ARG(account)));
    else
        exchange_text(x, 200, BUSI_STR("BusiApi!"));
}
