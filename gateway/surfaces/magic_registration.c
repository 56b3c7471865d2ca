/* New accounts with double opt-in: `unconfirmed` until the mail is, then `guest`. What somebody could learn
 * about others is the same answer for addresses there are and addresses there are not; user names are public
 * here. */
#include "core/gateway.h"
#include "params/fields.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_auth.h"
#include "surfaces/magic_shape.h"

enum { LINK_MOST = 2048, NAME_MOST = 1024 }; /* bytes */

/* Of the page that mails shall lead to; absent when none was named. False: answered. */
static bool take_link(struct exchange *x, struct busi_str *link)
{
    struct busi_str page = magic_text(x, "frontendUrl"), base = x->gateway->settings->base_url;
    struct busi_buf out;
    *link = (struct busi_str){0};
    if (page.len == 0)
        return true;
    busi_buf_init(&out, LINK_MOST);
    busi_buf_str(&out, page);
    busi_buf_str(&out, BUSI_STR("?token={secret}&username="));
    magic_write_url(&out, magic_text(x, "username"));
    busi_buf_str(&out, BUSI_STR("&url="));
    magic_write_url(&out, base);
    if (!out.failed)
        *link = busi_arena_dup(&x->request->call.arena, (struct busi_str){out.ptr, out.len});
    busi_buf_fini(&out);
    if (!link->ptr)
        magic_refuse(x, 400, BUSI_STR("frontendUrl"), "Too long for a link for [frontendUrl]");
    return link->ptr;
}

/* ---- register ---- */

/* name and email of `extra`; false: there is another, and that is answered. */
static bool take_extra(struct exchange *x, struct busi_str *name, struct busi_str *email)
{
    const struct param *extra = magic_object(x, "extra");
    *name = *email = (struct busi_str){0};
    for (const struct param *at = extra ? extra->children : NULL; at; at = at->next) {
        bool is_name = busi_str_eq(at->name, BUSI_STR("name"));
        if (!is_name && !busi_str_eq(at->name, BUSI_STR("email"))) {
            struct busi_str shown = fields_cut(at->name, MAGIC_SHOWN_MOST);
            magic_refuse(x, 400, shown, "Unsupported extra field '%.*s' supplied to endpoint",
                         BUSI_ARG(shown));
            return false;
        }
        if (at->type != PARAM_TEXT && at->type != PARAM_NULL) {
            magic_refuse(x, 400, at->name, "Not a valid string for [%.*s]", BUSI_ARG(at->name));
            return false;
        }
        *(is_name ? name : email) = at->text;
    }
    if (name->len > NAME_MOST) {
        magic_refuse(x, 400, BUSI_STR("name"), "Not a valid string of at most %d in length for [name]",
                     NAME_MOST);
        return false;
    }
    return true;
}

static bool is_taken(const struct busi_call *call, const char *field)
{
    for (size_t i = 0; i < call->n_violations; i++)
        if (call->violations[i].rule == BUSI_RULE_TAKEN &&
            busi_str_eq(call->violations[i].field, busi_str_of(field)))
            return true;
    return false;
}

void on_magic_register(struct exchange *x)
{
    struct busi_call *call = &x->request->call;
    struct busi_sign_up_request request = {.door = MAGIC_DOOR,
                                           .username = magic_text(x, "username"),
                                           .password = magic_text(x, "password"),
                                           .discreet = true};
    struct busi_session_reply session = {0};
    if (!take_extra(x, &request.name, &request.email) || !take_link(x, &request.link))
        return;
    enum busi_code code = busi_rpc_auth_sign_up(x->gateway->rpc, call, &request, &session);
    if (code == BUSI_OK)
        magic_answer(x, 200, "confirm-email-address-email-sent");
    else if (is_taken(call, "username"))
        magic_answer(x, 200, "already-registered");
    else
        magic_fail(x, code);
}

/* ---- confirming ---- */

void on_magic_verify_email(struct exchange *x)
{
    const struct busi_confirm_email_request request = {
        .door = MAGIC_DOOR, .secret = magic_text(x, "token"), .name = magic_text(x, "username")};
    struct busi_session_reply session = {0};
    enum busi_code code = busi_rpc_auth_confirm_email(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK)
        magic_answer_welcome(x, &session);
    else
        magic_fail(x, exchange_is_verdict(code) ? BUSI_UNAUTHENTICATED : code);
}

/* ---- mails ---- */

/* Known, unknown, confirmed, blocked: one answer. */
static void ask_for_mail(struct exchange *x, enum busi_method_id method, const char *answer)
{
    struct busi_account_name_request request = {.door = MAGIC_DOOR, .name = magic_text(x, "username")};
    struct busi_call *call = &x->request->call;
    struct busi_empty nothing = {0};
    if (!take_link(x, &request.link))
        return;
    enum busi_code code = busi_rpc_call(x->gateway->rpc, call, method, &request, &nothing);
    if (code == BUSI_OK || (exchange_is_verdict(code) && call->n_violations == 0))
        magic_answer(x, 200, answer);
    else
        magic_fail(x, code);
}

void on_magic_resend_confirm(struct exchange *x)
{
    ask_for_mail(x, BUSI_METHOD_auth_send_confirmation, "new-email-sent");
}

void on_magic_send_reset(struct exchange *x)
{
    ask_for_mail(x, BUSI_METHOD_auth_start_reset, "success");
}

/* ---- who is there ---- */

/* Where it is not allowed, there is no such route. */
static void tell_taken(struct exchange *x, const char *argument, const char *taken, const char *available)
{
    const struct busi_account_name_request request = {.door = MAGIC_DOOR, .name = magic_text(x, argument)};
    struct busi_count_reply reply = {0};
    if (!x->gateway->settings->magic_tells_taken) {
        exchange_error(x, 404);
        return;
    }
    enum busi_code code = busi_rpc_auth_name_taken(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        magic_answer(x, 200, reply.count ? taken : available);
    else
        magic_fail(x, code);
}

void on_magic_username_taken(struct exchange *x)
{
    tell_taken(x, "username", "username-taken", "username-available");
}

void on_magic_email_taken(struct exchange *x)
{
    tell_taken(x, "email", "email-taken", "email-available");
}
