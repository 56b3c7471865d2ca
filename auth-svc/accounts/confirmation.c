/* auth.ConfirmEmail */
#include "accounts/admission.h"
#include "audit/audit.h"
#include "base/log.h"
#include "core/account.h"
#include "core/answers.h"
#include "hooks/hooks.h"
#include "limits/limiter.h"
#include "sessions/sessions.h"

static enum busi_code unknown(struct auth *self, struct busi_call *call, const struct auth_deed *deed)
{
    auth_audit_failed(self, call, deed, "unknown_secret");
    return busi_call_fail(call, BUSI_NOT_FOUND, "email confirmation failed");
}

/* NOT_FOUND: it is none, or none any more. *account is as it is then. */
static enum busi_code use(struct auth *self, struct busi_call *call,
                          const struct busi_confirm_email_request *in, struct busi_str hash,
                          const struct auth_deed *deed, struct auth_account *account)
{
    struct busi_pg_result result;
    struct auth_name_keys name = {0};
    if (in->name.ptr && !auth_name_keys(&call->arena, in->name, &name))
        return auth_no_memory(call);
    struct busi_str params[] = {hash, {0}, auth_audit_row(self, call, deed), name.email, name.username};
    if (!params[2].ptr || !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_confirm, in->door, &params[1]))
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_CONFIRM_EMAIL, params, call->until_ms, &result);
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return auth_database_lost(call, "the database went away; the address may be confirmed");
    return code == BUSI_OK && account->id == 0 ? unknown(self, call, deed) : code;
}

/* Whoever a hook does not let in may come again with the same secret. */
static enum busi_code confirm(struct auth *self, struct busi_call *call,
                              const struct busi_confirm_email_request *in, const struct auth_door *door,
                              struct auth_account *account, struct auth_hook_answer *added)
{
    const struct auth_deed deed = {.event = AUTH_AUDIT_confirm_email, .door = in->door};
    const enum auth_one_time_kind kind = AUTH_ONE_TIME_confirm_email;
    struct busi_str hash = auth_one_time_hash(&call->arena, &self->one_time, kind, in->secret);
    if (!hash.ptr)
        return auth_no_memory(call);
    enum busi_code code = auth_account_find_by_secret(self, call, kind, hash, account);
    if (code == BUSI_OK && account->id == 0)
        return unknown(self, call, &deed);
    if (code == BUSI_OK)
        code = auth_admission_ask(self, call, account, door, added);
    return code == BUSI_OK ? use(self, call, in, hash, &deed, account) : code;
}

/* The session is opened with the account as it is now: confirmed. */
enum busi_code auth_confirm_email(struct auth *self, struct busi_call *call,
                                  const struct busi_confirm_email_request *in, struct busi_session_reply *out)
{
    struct auth_account account = {0};
    struct auth_hook_answer added;
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    enum busi_code code = auth_need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_confirm_email, (struct busi_str){0});
    if (code == BUSI_OK)
        code = confirm(self, call, in, door, &account, &added);
    if (code != BUSI_OK)
        return code;
    busi_log(BUSI_INFO, "email_confirmed", BUSI_I("user_id", account.id),
             BUSI_S("request_id", call->request_id));
    auth_hooks_wake(self->hooks);
    code = auth_session_welcome(self, call, &account);
    return code == BUSI_OK ? auth_admit_asked(self, call, &account, door, &added, out) : code;
}
