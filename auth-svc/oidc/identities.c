#include "oidc/identities.h"
#include "accounts/admission.h"
#include "audit/audit.h"
#include "base/log.h"
#include "core/answers.h"
#include "core/email.h"
#include "hooks/hooks.h"
#include "limits/limiter.h"
#include "mails/outbox.h"
#include "sessions/sessions.h"

enum { ATTEMPTS = 3 }; /* somebody else may make the account, or the link, in between */

struct newcomer {
    const struct auth_oidc_rule *rule;
    const struct auth_oidc_identity *identity;
    struct busi_str door;      /* through which */
    struct busi_str email_key; /* absent: its e-mail proves nothing */
    bool made;                 /* the account is new */
};

/* One of the statements that give an account by an identity. id 0: there is none, or another was quicker to
 * make what this one would, and it will be found. */
static enum busi_code run(struct auth *self, struct busi_call *call, enum auth_statement statement,
                          const struct busi_str *params, struct auth_account *account)
{
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    if (code == BUSI_ALREADY_EXISTS)
        return BUSI_OK;
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; it may be done") : code;
}

static enum busi_code find(struct auth *self, struct busi_call *call, const struct newcomer *who,
                           struct auth_account *account)
{
    const struct busi_str params[] = {who->rule->name, who->identity->subject};
    return run(self, call, AUTH_FIND_BY_IDENTITY, params, account);
}

/* Of what happens to the account, or with failed what is tried, for the audit log. ptr NULL: out of memory.
 */
static struct busi_str row(struct auth *self, struct busi_call *call, const struct newcomer *who,
                           enum auth_audit_event event, bool failed)
{
    return auth_audit_row(
        self, call,
        &(struct auth_deed){.event = event, .failed = failed, .door = who->door, .detail = who->rule->name});
}

/* The account with this e-mail becomes its, too. What a stranger may have left in it ends. */
static enum busi_code link_by_email(struct auth *self, struct busi_call *call, const struct newcomer *who,
                                    struct auth_account *account)
{
    struct busi_str params[] = {
        who->rule->name,          who->identity->subject,
        who->email_key,           row(self, call, who, AUTH_AUDIT_link_identity, false),
        auth_mail_language(call), {0}};
    if (!params[3].ptr ||
        !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_confirm, who->door, &params[5]))
        return auth_no_memory(call);
    enum busi_code code = run(self, call, AUTH_LINK_IDENTITY, params, account);
    if (code != BUSI_OK || account->id == 0)
        return code;
    auth_hooks_wake(self->hooks);
    auth_outbox_wake(self->outbox);
    busi_log(BUSI_INFO, "identity_linked", BUSI_I("user_id", account->id),
             BUSI_S("provider", who->rule->name), BUSI_S("request_id", call->request_id));
    code = auth_session_end_below(self, call, account->id, account->epoch, (struct busi_str){0}, NULL);
    return code == BUSI_OK ? auth_session_welcome(self, call, account) : code;
}

static enum busi_code create(struct auth *self, struct busi_call *call, struct newcomer *who,
                             struct auth_account *account)
{
    const struct busi_str params[] = {who->rule->name, who->identity->subject, who->identity->email,
                                      who->email_key, row(self, call, who, AUTH_AUDIT_sign_up, false)};
    if (!params[4].ptr)
        return auth_no_memory(call);
    enum busi_code code = run(self, call, AUTH_CREATE_BY_IDENTITY, params, account);
    who->made = code == BUSI_OK && account->id != 0;
    return code;
}

/* *account->id stays 0 when it is nobody's. */
static enum busi_code find_or_make(struct auth *self, struct busi_call *call, struct newcomer *who,
                                   struct auth_account *account)
{
    enum busi_code code = BUSI_OK;
    for (int i = 0; i < ATTEMPTS && code == BUSI_OK && account->id == 0; i++) {
        code = find(self, call, who, account);
        if (code != BUSI_OK || account->id != 0 || !who->email_key.ptr)
            return code;
        code = link_by_email(self, call, who, account);
        if (code == BUSI_OK && account->id == 0 && !who->rule->known_only)
            code = create(self, call, who, account);
    }
    return code;
}

/* A hook may refuse a new account, as at any sign-up. */
static enum busi_code welcome(struct auth *self, struct busi_call *call, const struct newcomer *who,
                              const struct auth_account *account)
{
    struct auth_hook_answer added;
    struct busi_pg_result result;
    busi_log(BUSI_INFO, "user_created", BUSI_I("user_id", account->id),
             BUSI_S("request_id", call->request_id));
    enum busi_code code =
        auth_hooks_ask(self->hooks, call, AUTH_EVENT_after_register, account, who->door, &added);
    const struct busi_str params[] = {busi_arena_int(&call->arena, account->id),
                                      row(self, call, who, AUTH_AUDIT_sign_up, true)};
    if (code == BUSI_OK || !params[0].ptr || !params[1].ptr)
        return code;
    if (busi_pg_run(self->pg, AUTH_UNDO_USER, params, call->until_ms, &result) != BUSI_OK)
        busi_log(BUSI_ERR, "refused_account_left_behind", BUSI_I("user_id", account->id));
    busi_pg_clear(&result);
    return code;
}

enum busi_code auth_identity_sign_in(struct auth *self, struct busi_call *call,
                                     const struct auth_oidc_rule *rule,
                                     const struct auth_oidc_identity *identity, const struct auth_door *door,
                                     struct busi_session_reply *out)
{
    struct auth_account account = {0};
    struct newcomer who = {.rule = rule, .identity = identity, .door = busi_str_of(door->name)};
    if (identity->email_verified && identity->email.ptr && auth_email_valid(identity->email)) {
        who.email_key = auth_name_key(&call->arena, identity->email);
        if (!who.email_key.ptr)
            return auth_no_memory(call);
    }
    enum busi_code code = find_or_make(self, call, &who, &account);
    if (code != BUSI_OK)
        return code;
    if (account.id == 0 || account.blocked) {
        busi_log(BUSI_INFO, "identity_refused", BUSI_S("provider", rule->name),
                 BUSI_C("reason", account.id           ? "the account is blocked"
                                  : !who.email_key.ptr ? "the provider has verified no e-mail"
                                                       : "there is no such account"),
                 BUSI_S("request_id", call->request_id));
        auth_audit_failed(
            self, call,
            &(struct auth_deed){.event = AUTH_AUDIT_sign_in, .user_id = account.id, .door = who.door},
            account.id ? "blocked" : "unknown_identity");
        return auth_unauthorized(call);
    }
    if (who.made)
        code = welcome(self, call, &who, &account);
    if (code == BUSI_OK)
        auth_limit_proved(self, call, account.email, account.username);
    return code == BUSI_OK ? auth_admit(self, call, &account, door, rule->name, out) : code;
}
