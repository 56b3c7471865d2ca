#include "surfaces/ash_outcome.h"
#include "rpc/forms.h"
#include "surfaces/ash_page.h"
#include "surfaces/ash_shape.h"

enum { NAME_MOST = 64 }; /* bytes: call.h */

struct busi_str ash_door(const struct exchange *x)
{
    return x->surface->for_people ? BUSI_STR("ash_page") : BUSI_STR("ash");
}

/* A strategy's name may be part of the path: one that no envelope may carry is left out. */
static struct busi_str as_told(struct busi_str name)
{
    return name.len <= NAME_MOST && busi_form_id(name) ? name : (struct busi_str){0};
}

bool ash_begin(struct exchange *x, const struct ash_activity *activity)
{
    x->request->call.origin.strategy = as_told(activity->strategy);
    x->request->call.origin.phase = as_told(activity->phase);
    return !x->surface->for_people || ash_page_begin(x);
}

bool ash_begin_by_link(struct exchange *x, const struct ash_activity *activity, struct busi_str secret)
{
    if (x->surface->for_people && !ash_page_begin_by_link(x, activity, secret))
        return false;
    return ash_begin(x, activity);
}

/* A service said no, or why what it was sent cannot be. */
static bool is_failure(const struct exchange *x, enum busi_code reason)
{
    return exchange_is_verdict(reason) ||
           (reason == BUSI_INVALID_ARGUMENT && x->request->call.n_violations > 0);
}

static void answer_failure(struct exchange *x, enum busi_code reason)
{
    if (is_failure(x, reason))
        exchange_error(x, 401);
    else
        exchange_fail(x, reason);
}

void ash_answer(struct exchange *x, const struct ash_activity *activity, const struct ash_outcome *outcome)
{
    if (x->surface->for_people && (outcome->result != ASH_FAILURE || is_failure(x, outcome->reason))) {
        ash_page_answer(x, activity, outcome);
        return;
    }
    switch (outcome->result) {
    case ASH_SUCCESS:
        ash_shape_success(&x->response->body,
                          outcome->session ? outcome->session->access_token : (struct busi_str){0});
        exchange_json(x, 200);
        return;
    case ASH_SIGNED_OUT:
        ash_shape_signed_out(&x->response->body);
        exchange_json(x, 200);
        return;
    case ASH_FAILURE:
        answer_failure(x, outcome->reason);
    }
}

void ash_conclude(struct exchange *x, const struct ash_activity *activity, enum busi_code code,
                  const struct busi_session_reply *session)
{
    struct ash_outcome outcome = {.result = ASH_SUCCESS, .session = session};
    if (code != BUSI_OK)
        outcome = (struct ash_outcome){.result = ASH_FAILURE, .reason = code};
    ash_answer(x, activity, &outcome);
}

void ash_refuse(struct exchange *x, const struct ash_activity *activity)
{
    ash_conclude(x, activity, BUSI_UNAUTHENTICATED, NULL);
}
