#include "accounts/proof.h"
#include "accounts/admission.h"
#include "audit/audit.h"
#include "base/log.h"
#include "core/account.h"
#include "core/answers.h"
#include "hooks/hooks.h"
#include "mails/outbox.h"
#include "sessions/sessions.h"

/* *account is as it is then; id 0: it is none, or none any more. *claimed: what was set before must end. */
static enum busi_code use(struct auth *self, struct busi_call *call, const struct auth_proof *proof,
                          struct busi_str hash, struct auth_account *account, bool *claimed)
{
    struct busi_pg_result result;
    struct auth_name_keys name = {0};
    if (proof->name.ptr && !auth_name_keys(&call->arena, proof->name, &name))
        return auth_no_memory(call);
    struct auth_deed deed = {.event = AUTH_AUDIT_confirm_email, .door = proof->door};
    if (proof->kind == AUTH_ONE_TIME_magic_link)
        deed.detail = BUSI_STR("claimed by a link");
    struct busi_str params[] = {
        hash,          auth_one_time_name(proof->kind), {0}, auth_audit_row(self, call, &deed), name.email,
        name.username, auth_mail_language(call)};
    if (!params[3].ptr ||
        !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_confirm, proof->door, &params[2]))
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_USE_SECRET, params, call->until_ms, &result);
    *claimed = busi_pg_int(&result, 0, AUTH_ACCOUNT_COLUMNS) != 0;
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    return code == BUSI_UNKNOWN
               ? auth_database_lost(call, "the database went away; the secret may be used up")
               : code;
}

/* Before it is answered, all sessions of before are ended: a stranger's, maybe. */
static enum busi_code settle(struct auth *self, struct busi_call *call, const struct auth_account *account,
                             bool claimed)
{
    busi_log(BUSI_INFO, "email_confirmed", BUSI_I("user_id", account->id),
             BUSI_C("claimed", claimed ? "yes" : "no"), BUSI_S("request_id", call->request_id));
    if (!claimed)
        return BUSI_OK;
    auth_outbox_wake(self->outbox);
    return auth_session_end_below(self, call, account->id, account->epoch, (struct busi_str){0}, NULL);
}

/* The hooks are asked before it is used up. */
static enum busi_code prove(struct auth *self, struct busi_call *call, const struct auth_proof *proof,
                            const struct auth_door *door, struct auth_account *account,
                            struct auth_hook_answer *added)
{
    bool claimed = false;
    struct busi_str hash = auth_one_time_hash(&call->arena, &self->one_time, proof->kind, proof->secret);
    if (!hash.ptr)
        return auth_no_memory(call);
    enum busi_code code = auth_account_find_by_secret(self, call, proof->kind, hash, account);
    if (code != BUSI_OK || account->id == 0)
        return code;
    bool confirmed = account->confirmed;
    code = auth_admission_ask(self, call, account, door, added);
    if (code == BUSI_OK)
        code = use(self, call, proof, hash, account, &claimed);
    if (code != BUSI_OK || account->id == 0)
        return code;
    auth_hooks_wake(self->hooks);
    if (claimed || (account->confirmed && !confirmed))
        code = settle(self, call, account, claimed);
    return code == BUSI_OK ? auth_session_welcome(self, call, account) : code;
}

enum busi_code auth_proof_sign_in(struct auth *self, struct busi_call *call, const struct auth_proof *proof,
                                  struct busi_session_reply *out)
{
    struct auth_account account = {0};
    struct auth_hook_answer added;
    const struct auth_door *door = auth_door_find(self->doors, proof->door);
    out->user_id = 0;
    if (!door)
        return auth_no_such_door(call);
    enum busi_code code = auth_need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, proof->limit, (struct busi_str){0});
    if (code == BUSI_OK)
        code = prove(self, call, proof, door, &account, &added);
    if (code != BUSI_OK || account.id == 0)
        return code;
    auth_limit_proved(self, call, account.email, account.username);
    return auth_admit_asked(self, call, &account, door, &added, auth_one_time_name(proof->kind), out);
}
