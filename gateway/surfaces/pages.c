/* The pages that mails link to. Opening one changes nothing, however often: mail scanners do. Its button
 * posts to the same path. */
#include "core/exchange.h"
#include "core/gateway.h"
#include "core/page_form.h"
#include "core/page_session.h"
#include "http/same_site.h"
#include "routing/accept.h"
#include "surfaces/accesspass_shape.h"

static void error(struct http_response *response, int status)
{
    enum page_id page = status == 403   ? PAGE_refused
                        : status == 429 ? PAGE_too_many
                        : status >= 500 ? PAGE_busy
                        : status == 404 ? PAGE_nothing
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

/* A form that another site had a browser send: nothing that people do is done so. */
static bool check(struct exchange *x)
{
    if ((x->route->methods & HTTP_GET) || same_site(x->request))
        return true;
    exchange_error(x, 403);
    return false;
}

#define SURFACE_OF_PAGES(name_)                                                                              \
    {                                                                                                        \
        .name = (name_), .tells_methods = true, .no_store = true, .for_people = true, .error = error,        \
        .check = check, .unauthenticated = unauthenticated, .invalid = invalid                               \
    }
const struct surface surface_pages = SURFACE_OF_PAGES("pages");
const struct surface surface_account = SURFACE_OF_PAGES("account");

static void show(struct exchange *x, int status, enum page_id page)
{
    page_write(x->response, status, page, NULL, 0);
}

/* ---- signing the reader in ---- */

static void end_session(struct exchange *x, const struct busi_session_reply *session)
{
    const struct busi_check_token_request request = {.token = session->access_token};
    struct busi_empty nothing = {0};
    (void)!busi_rpc_auth_sign_out(x->gateway->rpc, &x->request->call, &request, &nothing);
}

/* The session that came of a link is given up for a token, and the browser sent to where it is exchanged for
 * its own. False: there is none; the session is as it was, and nothing is answered. */
static bool send_to_sign_in(struct exchange *x, const struct busi_session_reply *session,
                            struct busi_str target)
{
    struct busi_call *call = &x->request->call;
    const struct busi_check_token_request request = {.token = session->access_token};
    struct busi_sign_in_token_reply token = {0};
    if (busi_rpc_auth_issue_sign_in_token(x->gateway->rpc, call, &request, &token) != BUSI_OK)
        return false;
    struct busi_str location = busi_arena_printf(
        &call->arena, "%.*s/user/password/sign_in_with_token%.*stoken=%.*s", BUSI_ARG(x->gateway->site->ash),
        BUSI_ARG(page_form_onward(x, target, true)), BUSI_ARG(token.secret));
    if (!location.ptr)
        return false;
    end_session(x, session);
    exchange_redirect(x, location);
    return true;
}

/* ---- confirmation ---- */

void on_pages_show_confirm(struct exchange *x)
{
    show(x, 200, PAGE_confirm);
}

/* Programs are signed in nowhere by it, nor is a browser as somebody else than it is already. */
static bool sign_in_confirmed(struct exchange *x, const struct busi_session_reply *session)
{
    const struct page_site *site = x->gateway->site;
    struct busi_principal present = {0};
    struct busi_str target = {0};
    if (!site->sign_in_tokens || !accept_prefers_page(x->request) ||
        page_session_who(x, &present) != BUSI_UNAUTHENTICATED)
        return false;
    if (site->account.ptr && busi_str_eq(site->home, BUSI_STR("/")))
        target = busi_arena_printf(&x->request->call.arena, "%.*s/account?done=confirmed",
                                   BUSI_ARG(site->account));
    return send_to_sign_in(x, session, target);
}

static void confirmed(struct exchange *x, const struct busi_session_reply *session)
{
    if (sign_in_confirmed(x, session))
        return;
    end_session(x, session);
    show(x, 200, PAGE_confirmed);
}

void on_pages_confirm(struct exchange *x)
{
    const struct busi_confirm_email_request request = {.door = BUSI_STR("accesspass"), .secret = x->id};
    struct busi_session_reply session = {0};
    enum busi_code code = busi_rpc_auth_confirm_email(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK)
        confirmed(x, &session);
    else if (exchange_is_verdict(code))
        show(x, 400, PAGE_confirm_failed);
    else
        exchange_fail(x, code);
}

/* ---- a link that signs in ---- */

void on_pages_show_magic(struct exchange *x)
{
    show(x, 200, PAGE_magic);
}

static void signed_in(struct exchange *x, const struct busi_session_reply *session)
{
    const struct page_site *site = x->gateway->site;
    if (site->sign_in_tokens && send_to_sign_in(x, session, (struct busi_str){0}))
        return;
    page_session_begin(x, session);
    exchange_redirect(x, site->home);
}

void on_pages_magic(struct exchange *x)
{
    const struct busi_sign_in_secret_request request = {
        .door = BUSI_STR("ash_page"), .kind = BUSI_STR("magic_link"), .secret = x->id};
    struct busi_session_reply session = {0};
    enum busi_code code =
        busi_rpc_auth_sign_in_secret(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK)
        signed_in(x, &session);
    else if (exchange_is_verdict(code))
        show(x, 400, PAGE_magic_failed);
    else
        exchange_fail(x, code);
}

/* ---- a new password ---- */

void on_pages_show_reset(struct exchange *x)
{
    const struct busi_template_value none[] = {{.name = BUSI_STR("password_fault")},
                                               {.name = BUSI_STR("confirm_fault")}};
    page_write(x->response, 200, PAGE_reset, none, 2);
}

/* The form once more, with what was wrong; or that the link is. */
static void show_refused(struct exchange *x)
{
    const struct busi_template_value faults[] = {
        {.name = BUSI_STR("password_fault"), .value = page_form_fault(x, "password")},
        {.name = BUSI_STR("confirm_fault"), .value = page_form_fault(x, "password_confirm")}};
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
    accesspass_shape_change_password(&fields, &request);
    request.secret = x->id;
    request.door = x->gateway->site->resets;
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
