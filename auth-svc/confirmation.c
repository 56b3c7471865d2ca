/* auth.ConfirmEmail */
#include "account.h"
#include "answers.h"
#include "audit.h"
#include "base/log.h"
#include "base/roles.h"
#include "hooks.h"
#include "limits.h"
#include "sessions.h"

/* The account of a secret that was good until now. NOT_FOUND: there is none. */
static enum busi_code confirm(struct auth *self, struct busi_call *call,
                              const struct busi_confirm_email_request *in, struct auth_account *account)
{
    struct busi_pg_result result;
    const struct auth_deed deed = {.event = AUTH_AUDIT_confirm_email, .door = in->door};
    struct auth_name_keys name = {0};
    if (in->name.ptr && !auth_name_keys(&call->arena, in->name, &name))
        return auth_no_memory(call);
    struct busi_str params[] = {
        auth_one_time_hash(&call->arena, &self->one_time, AUTH_ONE_TIME_confirm_email, in->secret),
        {0},
        auth_audit_row(self, call, &deed),
        name.email,
        name.username};
    if (!params[0].ptr || !params[2].ptr ||
        !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_confirm, in->door, &params[1]))
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_CONFIRM_EMAIL, params, call->until_ms, &result);
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return auth_database_lost(call, "the database went away; the address may be confirmed");
    if (code != BUSI_OK || account->id)
        return code;
    auth_audit_failed(self, call, &deed, "unknown_secret");
    return busi_call_fail(call, BUSI_NOT_FOUND, "email confirmation failed");
}

/* Those that are open already: guests from now on, no longer unconfirmed. */
static enum busi_code update_sessions(struct auth *self, struct busi_call *call,
                                      const struct auth_account *account)
{
    return busi_roles_have(account->roles, BUSI_STR("unconfirmed"))
               ? auth_session_update_roles(self, call, account->id)
               : BUSI_OK;
}

/* The session is opened with the account as it is now: confirmed. */
enum busi_code auth_confirm_email(struct auth *self, struct busi_call *call,
                                  const struct busi_confirm_email_request *in, struct busi_session_reply *out)
{
    struct auth_account account = {0};
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    enum busi_code code = auth_need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_confirm_email, (struct busi_str){0});
    if (code == BUSI_OK)
        code = confirm(self, call, in, &account);
    if (code != BUSI_OK)
        return code;
    busi_log(BUSI_INFO, "email_confirmed", BUSI_I("user_id", account.id),
             BUSI_S("request_id", call->request_id));
    auth_hooks_wake(self->hooks);
    code = update_sessions(self, call, &account);
    return code == BUSI_OK ? auth_session_open(self, call, &account, door, NULL, out) : code;
}
