/* The page of who is signed in in this browser: whose account it is, where else it is signed in, its
 * password, and the way out. */
#include "core/gateway.h"
#include "core/page_form.h"
#include "core/page_session.h"
#include "http/agent.h"
#include "params/fields.h"
#include <time.h>

#define VALUE(name_, text)                                                                                   \
    {                                                                                                        \
        .name = BUSI_STR(name_), .value = (text)                                                             \
    }

enum { SESSIONS_MOST = 100, LIST_MOST_BYTES = 128 * 1024 };

/* ---- who ---- */

/* Whoever signs in comes back. */
static void ask_to_sign_in(struct exchange *x)
{
    struct busi_arena *arena = &x->request->call.arena;
    struct busi_str prefix = x->gateway->site->account;
    struct busi_str home = busi_arena_printf(arena, "%.*s/account", BUSI_ARG(prefix));
    struct busi_str onward = page_form_onward(x, home, false);
    exchange_redirect(x, busi_arena_printf(arena, "%.*s/sign-in%.*s", BUSI_ARG(prefix), BUSI_ARG(onward)));
}

/* False: nobody, or it cannot be told; and that is answered. */
static bool known(struct exchange *x, struct busi_principal *who)
{
    enum busi_code code = page_session_who(x, who);
    if (code == BUSI_UNAUTHENTICATED)
        ask_to_sign_in(x);
    else if (code != BUSI_OK)
        exchange_fail(x, code);
    return code == BUSI_OK;
}

/* A session remembers its account as it was: that it is confirmed since then is asked for. */
static enum busi_code refresh(struct exchange *x, struct busi_principal *who)
{
    const struct busi_user_id_request request = {.user_id = who->user_id};
    struct busi_account account = {0};
    if (who->email_confirmed)
        return BUSI_OK;
    enum busi_code code = busi_rpc_auth_get_user(x->gateway->rpc, &x->request->call, &request, &account);
    who->email_confirmed = account.email_confirmed;
    return code;
}

/* ---- sessions ---- */

static const char *print_time(char out[32], int64_t at_us, const char *format)
{
    struct tm utc;
    time_t seconds = (time_t)(at_us / 1000000);
    if (!gmtime_r(&seconds, &utc) || strftime(out, 32, format, &utc) == 0)
        out[0] = '\0';
    return out;
}

static bool add_session(struct busi_buf *out, const struct exchange *x,
                        const struct busi_session_info *session, bool here)
{
    char name[AGENT_NAME_BYTES], since[32], iso[32];
    agent_name(name, session->user_agent);
    const char *agent = name[0] ? name : page_text(PAGE_TEXT_session_unknown, x->response->language);
    const struct busi_template_value values[] = {
        VALUE("agent", busi_str_of(agent)),
        VALUE("address", session->remote_addr),
        VALUE("since", busi_str_of(print_time(since, session->created_at, "%Y-%m-%d %H:%M UTC"))),
        VALUE("since_iso", busi_str_of(print_time(iso, session->created_at, "%Y-%m-%dT%H:%MZ"))),
        VALUE("session", session->session_id),
        VALUE("here", busi_str_of(here ? "yes" : NULL)),
        VALUE("elsewhere", busi_str_of(here ? NULL : "yes"))};
    return page_part(out, x->response, PAGE_PART_session, values, sizeof values / sizeof values[0]);
}

/* This one first. False: they do not fit. */
static bool write_sessions(struct busi_buf *out, const struct exchange *x, const struct busi_principal *who,
                           const struct busi_list_sessions_reply *list)
{
    size_t shown = 0;
    for (int here = 1; here >= 0; here--)
        for (size_t i = 0; i < list->sessions.n && shown < SESSIONS_MOST; i++) {
            const struct busi_session_info *session = &list->sessions.items[i];
            if (busi_str_eq(session->session_id, who->session_id) != here)
                continue;
            if (!add_session(out, x, session, here))
                return false;
            shown++;
        }
    return true;
}

/* ---- the page ---- */

/* What was done before the browser was sent here: absent when it does not say, or says what nobody does. */
static struct busi_str notice_of(const struct exchange *x)
{
    static const struct {
        const char *done;
        enum page_text text;
    } notices[] = {{"password", PAGE_TEXT_change_done},
                   {"session", PAGE_TEXT_sessions_done},
                   {"others", PAGE_TEXT_others_done},
                   {"confirmed", PAGE_TEXT_confirmed_title},
                   {"mail", PAGE_TEXT_account_resent}};
    const struct param *done = param_find(x->query, "done");
    for (size_t i = 0; done && done->type == PARAM_TEXT && i < sizeof notices / sizeof notices[0]; i++)
        if (busi_str_eq(done->text, busi_str_of(notices[i].done)))
            return busi_str_of(page_text(notices[i].text, x->response->language));
    return (struct busi_str){0};
}

/* Why the present password was refused; absent when it was not. */
static struct busi_str fault_of_present(struct exchange *x)
{
    bool wrong = page_form_fault(x, "password").len > 0;
    return busi_str_of(wrong ? page_text(PAGE_TEXT_change_wrong, x->response->language) : NULL);
}

/* With what was wrong with the form, if anything was. */
static void show(struct exchange *x, int status, struct busi_principal *who)
{
    struct busi_call *call = &x->request->call;
    struct busi_list_sessions_reply list = {0};
    const struct busi_user_id_request whose = {.user_id = who->user_id};
    struct busi_str present = fault_of_present(x), chosen = page_form_fault(x, "new_password"),
                    again = page_form_fault(x, "password_confirm");
    struct busi_buf sessions;
    enum busi_code code = refresh(x, who);
    if (code == BUSI_OK)
        code = busi_rpc_auth_list_sessions(x->gateway->rpc, call, &whose, &list);
    if (code != BUSI_OK) {
        exchange_fail(x, code);
        return;
    }
    busi_buf_init(&sessions, LIST_MOST_BYTES);
    bool fits = write_sessions(&sessions, x, who, &list);
    const struct busi_template_value values[] = {
        VALUE("notice", notice_of(x)),
        VALUE("email", who->email),
        VALUE("unconfirmed", busi_str_of(who->email_confirmed ? NULL : "yes")),
        VALUE("roles", who->roles),
        {.name = BUSI_STR("sessions"), .value = {sessions.ptr, sessions.len}, .markup = true},
        VALUE("others", busi_str_of(list.sessions.n > 1 ? "yes" : NULL)),
        VALUE("old_fault", present),
        VALUE("password_fault", chosen),
        VALUE("confirm_fault", again)};
    if (fits)
        page_write(x->response, status, PAGE_account, values, sizeof values / sizeof values[0]);
    else
        exchange_error(x, 500);
    busi_buf_fini(&sessions);
}

void on_account_show(struct exchange *x)
{
    struct busi_principal who = {0};
    if (known(x, &who))
        show(x, 200, &who);
}

static void go_home(struct exchange *x, const char *done)
{
    exchange_redirect(x, busi_arena_printf(&x->request->call.arena, "%.*s/account?done=%s",
                                           BUSI_ARG(x->gateway->site->account), done));
}

/* ---- what can be done on it ---- */

static void end_others(struct exchange *x)
{
    const struct busi_check_token_request request = {.token = page_session_token(x)};
    struct busi_count_reply count = {0};
    enum busi_code code =
        busi_rpc_auth_end_other_sessions(x->gateway->rpc, &x->request->call, &request, &count);
    if (code == BUSI_OK)
        go_home(x, "others");
    else
        exchange_fail(x, code);
}

/* Of the user's own, whatever name is sent. */
void on_account_end_sessions(struct exchange *x)
{
    struct busi_principal who = {0};
    struct busi_count_reply count = {0};
    if (!known(x, &who))
        return;
    if (page_form_text(x, NULL, "others").len) {
        end_others(x);
        return;
    }
    const struct busi_session_id_request request = {.user_id = who.user_id,
                                                    .session_id = page_form_text(x, NULL, "session")};
    if (request.session_id.len == 0 || request.session_id.len > 64) {
        exchange_error(x, 400);
        return;
    }
    enum busi_code code = busi_rpc_auth_end_session(x->gateway->rpc, &x->request->call, &request, &count);
    if (code == BUSI_OK || exchange_is_verdict(code))
        go_home(x, "session");
    else
        exchange_fail(x, code);
}

static struct busi_str or_blank(struct fields *fields, const char *name)
{
    struct busi_str text = fields_text(fields, name, FIELDS_PASSWORD_MOST);
    return text.ptr ? text : BUSI_STR("");
}

void on_account_change_password(struct exchange *x)
{
    struct busi_call *call = &x->request->call;
    struct busi_principal who = {0};
    struct busi_count_reply count = {0};
    struct fields fields = {.object = x->body};
    if (!known(x, &who))
        return;
    const struct busi_change_password_request request = {.token = page_session_token(x),
                                                         .password = or_blank(&fields, "password"),
                                                         .new_password = or_blank(&fields, "new_password"),
                                                         .password_confirm =
                                                             or_blank(&fields, "password_confirm")};
    enum busi_code code = BUSI_INVALID_ARGUMENT;
    if (fields_fine(&fields, call))
        code = busi_rpc_auth_change_password(x->gateway->rpc, call, &request, &count);
    if (code == BUSI_OK)
        go_home(x, "password");
    else if (call->n_violations)
        show(x, 400, &who);
    else if (exchange_is_verdict(code))
        ask_to_sign_in(x); /* the session has ended meanwhile */
    else
        exchange_fail(x, code);
}

/* One that is confirmed meanwhile is not mailed to. */
void on_account_send_confirmation(struct exchange *x)
{
    struct busi_principal who = {0};
    struct busi_empty nothing = {0};
    if (!known(x, &who))
        return;
    const struct busi_account_name_request request = {.door = BUSI_STR("ash_page"), .name = who.email};
    enum busi_code code =
        busi_rpc_auth_send_confirmation(x->gateway->rpc, &x->request->call, &request, &nothing);
    if (code == BUSI_OK)
        go_home(x, "mail");
    else
        exchange_fail(x, code);
}

void on_account_sign_out(struct exchange *x)
{
    enum busi_code code = page_session_end(x);
    if (code == BUSI_OK)
        page_write(x->response, 200, PAGE_signed_out, NULL, 0);
    else
        exchange_fail(x, code);
}
