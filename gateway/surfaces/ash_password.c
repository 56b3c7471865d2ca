/* The strategy password: an e-mail address and a password, the first and the next. */
#include "core/gateway.h"
#include "surfaces/ash_links.h"
#include "surfaces/ash_shape.h"

static const struct param *user_of(const struct exchange *x)
{
    return ash_shape_param(x->body, x->query, "user");
}

void on_ash_register(struct exchange *x)
{
    const struct ash_activity activity = ASH_ACTIVITY("password", "register");
    struct busi_call *call = &x->request->call;
    struct fields fields = {0};
    struct busi_sign_up_request request;
    struct busi_session_reply session = {0};
    if (!ash_begin(x, &activity))
        return;
    if (!ash_shape_register(user_of(x), &fields, &request)) {
        ash_refuse(x, &activity);
        return;
    }
    request.door = ash_door(x);
    enum busi_code code = BUSI_INVALID_ARGUMENT;
    if (fields_fine(&fields, call))
        code = busi_rpc_auth_sign_up(x->gateway->rpc, call, &request, &session);
    ash_conclude(x, &activity, code, &session);
}

void on_ash_sign_in(struct exchange *x)
{
    const struct ash_activity activity = ASH_ACTIVITY("password", "sign_in");
    struct busi_sign_in_request request;
    struct busi_session_reply session = {0};
    if (!ash_begin(x, &activity))
        return;
    if (!ash_shape_sign_in(user_of(x), &request)) {
        ash_refuse(x, &activity);
        return;
    }
    request.door = ash_door(x);
    enum busi_code code = busi_rpc_auth_sign_in(x->gateway->rpc, &x->request->call, &request, &session);
    ash_conclude(x, &activity, code, &session);
}

void on_ash_sign_in_with_token(struct exchange *x)
{
    ash_sign_in_by_link(x, &ASH_ACTIVITY("password", "sign_in_with_token"), BUSI_STR("sign_in_token"),
                        "token");
}

void on_ash_reset_request(struct exchange *x)
{
    ash_ask_for_mail(x, &ASH_ACTIVITY("password", "reset_request"), BUSI_METHOD_auth_start_reset);
}

void on_ash_reset(struct exchange *x)
{
    const struct ash_activity activity = ASH_ACTIVITY("password", "reset");
    struct busi_call *call = &x->request->call;
    struct fields fields = {0};
    struct busi_finish_reset_request request;
    struct busi_finish_reset_reply reply = {0};
    if (!ash_begin(x, &activity))
        return;
    if (!ash_shape_reset(user_of(x), &fields, &request)) {
        ash_refuse(x, &activity);
        return;
    }
    request.door = ash_door(x);
    request.sign_in = true;
    enum busi_code code = BUSI_INVALID_ARGUMENT;
    if (fields_fine(&fields, call))
        code = busi_rpc_auth_finish_reset(x->gateway->rpc, call, &request, &reply);
    ash_conclude(x, &activity, code, reply.session);
}
