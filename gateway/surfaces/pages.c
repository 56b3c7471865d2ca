/* The pages that mails link to. Opening one changes nothing, however often: mail scanners do. Its button
 * posts to the same path. */
#include "accesspass_shape.h"
#include "exchange.h"
#include "gateway.h"
#include "page.h"
#include "same_site.h"

static void error(struct http_response *response, int status)
{
    enum page_id page = status == 403   ? PAGE_refused
                        : status == 429 ? PAGE_too_many
                        : status >= 500 ? PAGE_busy
                                        : PAGE_error;
    page_write(response, status, page, NULL, 0);
}

static void unauthenticated(struct http_response *response, enum token_fault fault)
{
    (void)fault;
    error(response, 401);
}

static void invalid(struct http_response *response, const struct busi_call *call)
{
    (void)call;
    error(response, 400);
}

const struct surface surface_pages = {.name = "pages",
                                      .tells_methods = true,
                                      .no_store = true,
                                      .for_people = true,
                                      .error = error,
                                      .unauthenticated = unauthenticated,
                                      .invalid = invalid};

static void show(struct exchange *x, int status, enum page_id page)
{
    page_write(x->response, status, page, NULL, 0);
}

/* False: another site sent the form, and that is answered. */
static bool is_ours(struct exchange *x)
{
    if (same_site(x->request))
        return true;
    exchange_error(x, 403);
    return false;
}

/* ---- confirmation ---- */

void on_pages_show_confirm(struct exchange *x)
{
    show(x, 200, PAGE_confirm);
}

/* Who confirms on a page is signed in nowhere by it: the session that came of it is ended. */
static void end_session(struct exchange *x, const struct busi_session_reply *session)
{
    const struct busi_check_token_request request = {.token = session->access_token};
    struct busi_empty nothing = {0};
    (void)!busi_rpc_auth_sign_out(x->gateway->rpc, &x->request->call, &request, &nothing);
}

void on_pages_confirm(struct exchange *x)
{
    const struct busi_confirm_email_request request = {.door = BUSI_STR("accesspass"), .secret = x->id};
    struct busi_session_reply session = {0};
    if (!is_ours(x))
        return;
    enum busi_code code = busi_rpc_auth_confirm_email(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK) {
        end_session(x, &session);
        show(x, 200, PAGE_confirmed);
    } else if (exchange_is_verdict(code)) {
        show(x, 400, PAGE_confirm_failed);
    } else {
        exchange_fail(x, code);
    }
}

/* ---- a new password ---- */

void on_pages_show_reset(struct exchange *x)
{
    const struct busi_template_value none[] = {{.name = BUSI_STR("password_fault")},
                                               {.name = BUSI_STR("confirm_fault")}};
    page_write(x->response, 200, PAGE_reset, none, 2);
}

static enum page_text text_of(int64_t rule)
{
    switch (rule) {
    case BUSI_RULE_BLANK:
        return PAGE_TEXT_rule_blank;
    case BUSI_RULE_TOO_SHORT:
        return PAGE_TEXT_rule_too_short;
    case BUSI_RULE_TOO_LONG:
        return PAGE_TEXT_rule_too_long;
    case BUSI_RULE_MISMATCH:
        return PAGE_TEXT_rule_mismatch;
    default:
        return PAGE_TEXT_rule_other;
    }
}

/* Why this field was refused, in the reader's language; absent when it was not. */
static struct busi_str fault_of(struct exchange *x, const char *field)
{
    struct busi_call *call = &x->request->call;
    for (size_t i = 0; i < call->n_violations; i++) {
        const struct busi_violation *violation = &call->violations[i];
        if (!busi_str_eq(violation->field, busi_str_of(field)))
            continue;
        const char *text = page_text(text_of(violation->rule), x->response->language);
        const char *limit = strstr(text, "%d");
        if (!limit)
            return busi_str_of(text);
        return busi_arena_printf(&call->arena, "%.*s%lld%s", (int)(limit - text), text,
                                 (long long)violation->limit, limit + 2);
    }
    return (struct busi_str){0};
}

/* The form once more, with what was wrong; or that the link is. */
static void show_refused(struct exchange *x)
{
    const struct busi_template_value faults[] = {
        {.name = BUSI_STR("password_fault"), .value = fault_of(x, "password")},
        {.name = BUSI_STR("confirm_fault"), .value = fault_of(x, "password_confirm")}};
    if (faults[0].value.len || faults[1].value.len)
        page_write(x->response, 400, PAGE_reset, faults, 2);
    else
        show(x, 400, PAGE_reset_failed);
}

void on_pages_reset(struct exchange *x)
{
    struct busi_call *call = &x->request->call;
    struct fields fields = {.object = x->body};
    struct busi_finish_reset_request request;
    struct busi_finish_reset_reply reply = {0};
    if (!is_ours(x))
        return;
    accesspass_shape_change_password(&fields, &request);
    request.secret = x->id;
    enum busi_code code = BUSI_INVALID_ARGUMENT;
    if (fields_fine(&fields, call))
        code = busi_rpc_auth_finish_reset(x->gateway->rpc, call, &request, &reply);
    if (code == BUSI_OK)
        show(x, 200, PAGE_reset_done);
    else if (call->n_violations || exchange_is_verdict(code))
        show_refused(x);
    else
        exchange_fail(x, code);
}
