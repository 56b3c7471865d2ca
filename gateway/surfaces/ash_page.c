#include "surfaces/ash_page.h"
#include "core/gateway.h"
#include "core/page_session.h"
#include "http/same_site.h"
#include "surfaces/account_forms.h"

enum { SECRET_MOST = 128 }; /* characters: one of ours has 48 */

static bool is(const struct ash_activity *activity, const char *strategy, const char *phase)
{
    return busi_str_eq(activity->strategy, busi_str_of(strategy)) &&
           busi_str_eq(activity->phase, busi_str_of(phase));
}

bool ash_page_begin(struct exchange *x)
{
    struct busi_str target;
    return page_form_return_to(x, &target);
}

/* ---- links: a GET of them shows a button, or is one of ours ---- */

static bool is_word(struct busi_str secret)
{
    for (size_t i = 0; i < secret.len; i++) {
        char c = busi_lower(secret.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return secret.len > 0 && secret.len <= SECRET_MOST;
}

static void show_button(struct exchange *x, const char *path, struct busi_str secret, enum page_id failed)
{
    const struct page_site *site = x->gateway->site;
    struct busi_str target = {0};
    if (is_word(secret))
        target = busi_arena_printf(&x->request->call.arena, "%.*s/%s/%.*s", BUSI_ARG(site->pages), path,
                                   BUSI_ARG(secret));
    if (site->pages.ptr && target.ptr)
        exchange_redirect(x, target);
    else
        page_write(x->response, 401, failed, NULL, 0);
}

/* By a link of another site nobody is signed out, or in as somebody else. */
static void sign_out(struct exchange *x)
{
    enum busi_code code = BUSI_OK;
    if (!same_site_visit(x->request)) {
        page_write(x->response, 200, PAGE_sign_out, NULL, 0);
        return;
    }
    code = page_session_end(x);
    if (code == BUSI_OK)
        page_write(x->response, 200, PAGE_signed_out, NULL, 0);
    else
        exchange_fail(x, code);
}

bool ash_page_begin_by_link(struct exchange *x, const struct ash_activity *activity, struct busi_str secret)
{
    if (is(activity, "password", "sign_in_with_token")) {
        if (same_site_visit(x->request))
            return ash_page_begin(x);
        exchange_error(x, 403);
    } else if (is(activity, "magic_link", "sign_in")) {
        show_button(x, "magic-link", secret, PAGE_magic_failed);
    } else if (is(activity, "confirm", "confirm")) {
        show_button(x, "confirm", secret, PAGE_confirm_failed);
    } else {
        sign_out(x);
    }
    return false;
}

/* ---- outcomes ---- */

static void succeed(struct exchange *x, const struct busi_session_reply *session, struct busi_str target)
{
    const struct page_site *site = x->gateway->site;
    if (target.len == 0 && !page_form_return_to(x, &target))
        return;
    if (target.ptr && !page_site_may_return(site, target)) /* it was allowed when the browser left */
        target = (struct busi_str){0};
    if (session)
        page_session_begin(x, session);
    else if (!target.ptr)
        target = busi_arena_printf(&x->request->call.arena, "%.*s/mail-sent", BUSI_ARG(site->account));
    exchange_redirect(x, target.ptr ? target : site->home);
}

/* A hook's refusal, or a provider's, is not the password's fault. */
static void show_form(struct exchange *x, const struct ash_activity *activity, enum busi_code reason)
{
    size_t language = x->response->language;
    struct account_form form = {0};
    if (!page_form_return_to(x, &form.return_to))
        return;
    if (is(activity, "password", "register")) {
        enum page_text text =
            x->request->call.n_violations ? PAGE_TEXT_register_failed : PAGE_TEXT_register_refused;
        form.alert = page_text(text, language);
        account_forms_register(x, 401, &form);
    } else {
        bool wrong = is(activity, "password", "sign_in") && reason != BUSI_PERMISSION_DENIED;
        enum page_text text = wrong ? PAGE_TEXT_sign_in_failed : PAGE_TEXT_sign_in_refused;
        form.alert = page_text(text, language);
        account_forms_sign_in(x, 401, &form);
    }
}

static void fail(struct exchange *x, const struct ash_activity *activity, enum busi_code reason)
{
    if (is(activity, "password", "reset_request"))
        account_forms_ask(x, 401, PAGE_ask_reset);
    else if (is(activity, "magic_link", "request"))
        account_forms_ask(x, 401, PAGE_ask_magic);
    else if (is(activity, "password", "sign_in_with_token") || is(activity, "magic_link", "sign_in"))
        page_write(x->response, 401, PAGE_magic_failed, NULL, 0);
    else if (is(activity, "confirm", "confirm"))
        page_write(x->response, 401, PAGE_confirm_failed, NULL, 0);
    else if (is(activity, "password", "reset"))
        page_write(x->response, 401, PAGE_reset_failed, NULL, 0);
    else
        show_form(x, activity, reason);
    http_add_header(x->response, "WWW-Authenticate", BUSI_STR("Bearer"));
}

void ash_page_answer(struct exchange *x, const struct ash_activity *activity,
                     const struct ash_outcome *outcome)
{
    if (outcome->result == ASH_SUCCESS)
        succeed(x, outcome->session, outcome->return_to);
    else if (outcome->result == ASH_FAILURE)
        fail(x, activity, outcome->reason);
}
