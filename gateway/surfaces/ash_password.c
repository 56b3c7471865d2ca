/* The strategy password: an e-mail address and a password. */
#include "ash_outcome.h"
#include "ash_shape.h"
#include "gateway.h"

#define ACTIVITY(phase)                                                                                      \
    {                                                                                                        \
        BUSI_STR("password"), BUSI_STR(phase)                                                                \
    }

static const struct param *user_of(const struct exchange *x)
{
    return ash_shape_param(x->body, x->query, "user");
}

/* What came is not even what could be asked of a service. */
static void refuse(struct exchange *x, const struct ash_activity *activity)
{
    ash_answer(x, activity, &(struct ash_outcome){.result = ASH_FAILURE, .reason = BUSI_UNAUTHENTICATED});
}

static void answer(struct exchange *x, const struct ash_activity *activity, enum busi_code code,
                   const struct busi_session_reply *session)
{
    const struct ash_outcome outcome = ash_outcome_of(code, session);
    ash_answer(x, activity, &outcome);
}

void on_ash_register(struct exchange *x)
{
    const struct ash_activity activity = ACTIVITY("register");
    struct busi_call *call = &x->request->call;
    struct fields fields = {0};
    struct busi_sign_up_request request;
    struct busi_session_reply session = {0};
    if (!ash_begin(x, &activity))
        return;
    if (!ash_shape_register(user_of(x), &fields, &request)) {
        refuse(x, &activity);
        return;
    }
    request.door = ash_door(x);
    enum busi_code code = busi_rpc_auth_sign_up(x->gateway->rpc, call, &request, &session);
    answer(x, &activity, fields_judge(&fields, call, code), &session);
}

void on_ash_sign_in(struct exchange *x)
{
    const struct ash_activity activity = ACTIVITY("sign_in");
    struct busi_sign_in_request request;
    struct busi_session_reply session = {0};
    if (!ash_begin(x, &activity))
        return;
    if (!ash_shape_sign_in(user_of(x), &request)) {
        refuse(x, &activity);
        return;
    }
    request.door = ash_door(x);
    answer(x, &activity, busi_rpc_auth_sign_in(x->gateway->rpc, &x->request->call, &request, &session),
           &session);
}
