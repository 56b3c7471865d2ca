/* The life of an account on the accesspass surface. What somebody could learn about others is the same answer
 * for accounts there are and accounts there are not. */
#include "core/exchange.h"
#include "core/gateway.h"
#include "surfaces/accesspass_shape.h"

static void answer_ok(struct exchange *x, struct busi_str text)
{
    accesspass_shape_ok(&x->response->body, text);
    exchange_json(x, 200);
}

static void answer_session(struct exchange *x, const struct busi_session_reply *session)
{
    accesspass_shape_session(&x->response->body, session);
    exchange_json(x, 200);
}

/* A verdict is worded as this route does it. */
static void fail(struct exchange *x, enum busi_code code, struct busi_str verdict)
{
    if (x->request->call.n_violations || !exchange_is_verdict(code)) {
        exchange_fail(x, code);
        return;
    }
    accesspass_shape_error(&x->response->body, verdict);
    exchange_json(x, 400);
}

/* False: a member is of another type, and that is answered. */
static bool take(struct exchange *x, const struct fields *fields)
{
    if (fields_fine(fields, &x->request->call))
        return true;
    exchange_fail(x, BUSI_INVALID_ARGUMENT);
    return false;
}

void on_accesspass_register(struct exchange *x)
{
    struct busi_call *call = &x->request->call;
    struct fields fields = {.object = x->body};
    struct busi_sign_up_request request;
    struct busi_session_reply session = {0};
    accesspass_shape_register(&call->arena, &fields, &request);
    enum busi_code code = busi_rpc_auth_sign_up(x->gateway->rpc, call, &request, &session);
    code = fields_judge(&fields, call, code);
    if (code == BUSI_OK)
        answer_session(x, &session);
    else
        fail(x, code, BUSI_STR("error registering account"));
}

void on_accesspass_login(struct exchange *x)
{
    struct fields fields = {.object = x->body};
    struct busi_sign_in_request request;
    struct busi_session_reply session = {0};
    accesspass_shape_login(&fields, &request);
    if (!take(x, &fields))
        return;
    enum busi_code code = busi_rpc_auth_sign_in(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK)
        answer_session(x, &session);
    else
        fail(x, code,
             code == BUSI_PERMISSION_DENIED ? BUSI_STR("error with login endpoint") /* a hook's */
                                            : BUSI_STR("username or password is incorrect"));
}

void on_accesspass_confirm(struct exchange *x)
{
    struct fields fields = {.object = x->body};
    struct busi_confirm_email_request request;
    struct busi_session_reply session = {0};
    accesspass_shape_confirm(&fields, &request);
    if (!take(x, &fields))
        return;
    enum busi_code code = busi_rpc_auth_confirm_email(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK)
        answer_session(x, &session);
    else
        fail(x, code, BUSI_STR("email confirmation failed"));
}

void on_accesspass_change_password(struct exchange *x)
{
    struct fields fields = {.object = x->body};
    struct busi_finish_reset_request request;
    struct busi_finish_reset_reply reply = {0};
    accesspass_shape_change_password(&fields, &request);
    if (!take(x, &fields))
        return;
    enum busi_code code = busi_rpc_auth_finish_reset(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        answer_ok(x, BUSI_STR("password changed"));
    else
        fail(x, code, BUSI_STR("reset for account does not exist"));
}

/* ---- mails ---- */

/* Known, unknown, confirmed, blocked: one answer. */
static void answer_alike(struct exchange *x, enum busi_code code, struct busi_str text)
{
    if (code == BUSI_OK || (exchange_is_verdict(code) && x->request->call.n_violations == 0))
        answer_ok(x, text);
    else
        exchange_fail(x, code);
}

static void ask_for_mail(struct exchange *x, enum busi_method_id method,
                         const struct busi_account_name_request *request, struct busi_str text)
{
    struct busi_empty nothing = {0};
    answer_alike(x, busi_rpc_call(x->gateway->rpc, &x->request->call, method, request, &nothing), text);
}

/* By user name alone: these routes never took an address, which services would find, too. */
static void ask_by_username(struct exchange *x, enum busi_method_id method, struct busi_str text)
{
    struct fields fields = {.object = x->body};
    struct busi_account_name_request request;
    accesspass_shape_account(&fields, "username", &request);
    if (!take(x, &fields))
        return;
    if (request.name.len > 0 && memchr(request.name.ptr, '@', request.name.len))
        answer_ok(x, text);
    else
        ask_for_mail(x, method, &request, text);
}

void on_accesspass_resend_confirm(struct exchange *x)
{
    ask_by_username(x, BUSI_METHOD_auth_send_confirmation, BUSI_STR("confirmation email resent"));
}

void on_accesspass_reset_password(struct exchange *x)
{
    ask_by_username(x, BUSI_METHOD_auth_start_reset, BUSI_STR("password reset sent to accounts email"));
}

void on_accesspass_forgot_username(struct exchange *x)
{
    struct fields fields = {.object = x->body};
    struct busi_account_name_request request;
    accesspass_shape_account(&fields, "email", &request);
    if (take(x, &fields))
        ask_for_mail(x, BUSI_METHOD_auth_remind_username, &request,
                     BUSI_STR("An email has been sent to you with your username"));
}
