/* auth.FinishReset, auth.ChangePassword: a new password, which ends every session that began under the old
 * one. */
#include "accounts/admission.h"
#include "accounts/new_user.h"
#include "audit/audit.h"
#include "base/log.h"
#include "core/account.h"
#include "core/answers.h"
#include "core/passwords.h"
#include "hooks/hooks.h"
#include "limits/limiter.h"
#include "mails/outbox.h"
#include "sessions/sessions.h"

/* The statement said nothing, but the salt makes the hash unique: if the account has it, it was changed by
 * us. */
static enum busi_code resolve(struct auth *self, struct busi_call *call, int64_t user_id,
                              struct busi_str hash, struct auth_account *account)
{
    enum busi_code code = auth_account_find_by_id(self, call, user_id, account);
    if (code == BUSI_OK && account->id != 0 && busi_str_eq(account->hash, hash))
        return BUSI_OK;
    return auth_database_lost(call, "the database went away; the password may be changed");
}

/* One of the two statements that set it. The password, the journal and the mail that tells of it: all or
 * nothing. *account is as it is then; id 0: there was nothing to change. */
static enum busi_code set(struct auth *self, struct busi_call *call, enum auth_statement statement,
                          const struct busi_str *params, struct busi_str hash, struct auth_account *account)
{
    struct busi_pg_result result;
    int64_t user_id = account->id;
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    return code == BUSI_UNKNOWN ? resolve(self, call, user_id, hash, account) : code;
}

/* Before it is answered, all sessions of before are ended, but the spared one. */
static enum busi_code settle(struct auth *self, struct busi_call *call, const struct auth_account *account,
                             struct busi_str spared, int64_t *ended)
{
    busi_log(BUSI_INFO, "password_changed", BUSI_I("user_id", account->id),
             BUSI_S("request_id", call->request_id));
    auth_outbox_wake(self->outbox);
    auth_hooks_wake(self->hooks);
    return auth_session_end_below(self, call, account->id, account->epoch, spared, ended);
}

/* ---- by a secret out of a mail ---- */

static enum busi_code no_reset(struct auth *self, struct busi_call *call, struct busi_str door)
{
    auth_audit_failed(self, call, &(struct auth_deed){.event = AUTH_AUDIT_reset_password, .door = door},
                      "unknown_secret");
    return busi_call_fail(call, BUSI_NOT_FOUND, "reset for account does not exist");
}

static enum busi_code find_reset(struct auth *self, struct busi_call *call, struct busi_str hash,
                                 struct busi_str door, struct auth_account *account)
{
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(self->pg, AUTH_FIND_RESET, &hash, call->until_ms, &result);
    bool expired = busi_pg_int(&result, 0, AUTH_ACCOUNT_COLUMNS) != 0;
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    if (code != BUSI_OK)
        return code;
    if (account->id == 0)
        return no_reset(self, call, door);
    if (!expired)
        return BUSI_OK;
    auth_audit_failed(
        self, call,
        &(struct auth_deed){.event = AUTH_AUDIT_reset_password, .user_id = account->id, .door = door},
        "expired_secret");
    busi_call_refuse(call, "password_reset_expire", BUSI_RULE_EXPIRED, 0);
    return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the reset has expired");
}

/* The secret stays good when what comes with it is not. */
static enum busi_code check_reset(struct auth *self, struct busi_call *call, const struct auth_door *door,
                                  const struct busi_finish_reset_request *in,
                                  const struct auth_account *account)
{
    const struct auth_new_password chosen = {in->password, door->least_password, &self->common,
                                             account->email, account->username};
    if (auth_new_password_check(call, "password", &chosen) &&
        (!(door->asks & AUTH_ASKS_CONFIRMATION) ||
         auth_password_confirmed(call, in->password, in->password_confirm)))
        return BUSI_OK;
    return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the password is not valid");
}

/* Who has the secret could read the account's mail: its address is confirmed, too. */
static enum busi_code reset(struct auth *self, struct busi_call *call, struct busi_str secret_hash,
                            const struct busi_finish_reset_request *in, struct auth_account *account)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    struct busi_str told,
        row = auth_audit_row(self, call,
                             &(struct auth_deed){.event = AUTH_AUDIT_reset_password, .door = in->door});
    if (!row.ptr || !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_password_change, in->door, &told))
        return auth_no_memory(call);
    enum busi_code code = auth_password_hash(self->passwords, call, in->password, hash);
    if (code != BUSI_OK)
        return code;
    const struct busi_str params[] = {secret_hash, busi_str_of(hash), auth_mail_language(call), told, row};
    code = set(self, call, AUTH_RESET_PASSWORD, params, params[1], account);
    return code == BUSI_OK && account->id == 0 ? no_reset(self, call, in->door) : code;
}

/* With the password that is set. */
static enum busi_code sign_in(struct auth *self, struct busi_call *call, struct auth_account *account,
                              const struct auth_door *door, const struct auth_hook_answer *added,
                              struct busi_finish_reset_reply *out)
{
    out->session = busi_arena_alloc(&call->arena, sizeof(*out->session));
    if (!out->session)
        return auth_no_memory(call);
    *out->session = (struct busi_session_reply){0};
    return auth_admit_asked(self, call, account, door, added,
                            auth_one_time_name(AUTH_ONE_TIME_reset_password), out->session);
}

enum busi_code auth_finish_reset(struct auth *self, struct busi_call *call,
                                 const struct busi_finish_reset_request *in,
                                 struct busi_finish_reset_reply *out)
{
    struct auth_account account = {0};
    struct auth_hook_answer added;
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    struct busi_str hash =
        auth_one_time_hash(&call->arena, &self->one_time, AUTH_ONE_TIME_reset_password, in->secret);
    if (!hash.ptr)
        return auth_no_memory(call);
    enum busi_code code = auth_need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_finish_reset, (struct busi_str){0});
    if (code == BUSI_OK)
        code = find_reset(self, call, hash, in->door, &account);
    if (code == BUSI_OK)
        code = check_reset(self, call, door, in, &account);
    if (code == BUSI_OK && in->sign_in)
        code = auth_admission_ask(self, call, &account, door, &added);
    if (code == BUSI_OK)
        code = reset(self, call, hash, in, &account);
    if (code == BUSI_OK)
        code = settle(self, call, &account, (struct busi_str){0}, NULL);
    if (code == BUSI_OK)
        auth_limit_proved(self, call, account.email, account.username);
    return code == BUSI_OK && in->sign_in ? sign_in(self, call, &account, door, &added, out) : code;
}

/* ---- by the password so far ---- */

static enum busi_code wrong_password(struct auth *self, struct busi_call *call,
                                     const struct busi_principal *who)
{
    auth_audit_failed(self, call,
                      &(struct auth_deed){.event = AUTH_AUDIT_change_password,
                                          .user_id = who->user_id,
                                          .actor_id = who->user_id,
                                          .door = who->door},
                      "wrong_password");
    busi_call_refuse(call, "password", BUSI_RULE_INVALID, 0);
    return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the password is wrong");
}

static enum busi_code check_change(struct auth *self, struct busi_call *call, const struct auth_door *door,
                                   const struct busi_change_password_request *in,
                                   const struct auth_account *account)
{
    const struct auth_new_password chosen = {in->new_password, door->least_password, &self->common,
                                             account->email, account->username};
    if (auth_new_password_check(call, "new_password", &chosen) &&
        (!(door->asks & AUTH_ASKS_CONFIRMATION) ||
         auth_password_confirmed(call, in->new_password, in->password_confirm)))
        return BUSI_OK;
    return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the password is not valid");
}

/* The tries are counted by the account, whoever holds a token of it. */
static enum busi_code find_changer(struct auth *self, struct busi_call *call, int64_t user_id,
                                   struct auth_account *account)
{
    struct busi_str name = busi_arena_int(&call->arena, user_id);
    if (!name.ptr)
        return auth_no_memory(call);
    enum busi_code code = auth_limit(self, call, AUTH_LIMIT_change_password, name);
    if (code == BUSI_OK)
        code = auth_account_find_by_id(self, call, user_id, account);
    if (code == BUSI_OK && (account->id == 0 || account->blocked))
        return auth_unauthorized(call);
    return code;
}

static enum busi_code verify(struct auth *self, struct busi_call *call, struct busi_str password,
                             const struct busi_principal *who, const struct auth_account *account)
{
    struct auth_password_check check = {.stored = account->hash, .password = password};
    enum busi_code code = auth_password_verify(self->passwords, call, &check);
    if (code != BUSI_OK)
        return code;
    bool right = check.verdict == BUSI_PASSWORD_RIGHT || check.verdict == BUSI_PASSWORD_WEAK;
    return right ? BUSI_OK : wrong_password(self, call, who);
}

/* Whether it is the one so far; tries count as those to change it. */
enum busi_code auth_verify_password(struct auth *self, struct busi_call *call,
                                    const struct busi_change_password_request *in, struct busi_empty *out)
{
    struct busi_principal who = {0};
    struct auth_account account = {0};
    (void)out;
    enum busi_code code =
        auth_check_token(self, call, &(struct busi_check_token_request){.token = in->token}, &who);
    if (code == BUSI_OK)
        code = find_changer(self, call, who.user_id, &account);
    return code == BUSI_OK ? verify(self, call, in->password, &who, &account) : code;
}

/* Nothing to change: somebody was quicker, and the password so far is so no more. */
static enum busi_code change(struct auth *self, struct busi_call *call, struct busi_str password,
                             const struct busi_principal *who, struct auth_account *account)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    struct busi_str told, id = busi_arena_int(&call->arena, account->id),
                          row = auth_audit_row(self, call,
                                               &(struct auth_deed){.event = AUTH_AUDIT_change_password,
                                                                   .actor_id = account->id,
                                                                   .door = who->door});
    if (!id.ptr || !row.ptr ||
        !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_password_change, who->door, &told))
        return auth_no_memory(call);
    enum busi_code code = auth_password_hash(self->passwords, call, password, hash);
    if (code != BUSI_OK)
        return code;
    const struct busi_str params[] = {
        id, account->hash, busi_str_of(hash), who->session_id, auth_mail_language(call), told, row};
    code = set(self, call, AUTH_CHANGE_PASSWORD, params, params[2], account);
    return code == BUSI_OK && account->id == 0 ? wrong_password(self, call, who) : code;
}

enum busi_code auth_change_password(struct auth *self, struct busi_call *call,
                                    const struct busi_change_password_request *in,
                                    struct busi_count_reply *out)
{
    struct busi_principal who = {0};
    struct auth_account account = {0};
    enum busi_code code =
        auth_check_token(self, call, &(struct busi_check_token_request){.token = in->token}, &who);
    if (code == BUSI_OK)
        code = find_changer(self, call, who.user_id, &account);
    if (code == BUSI_OK)
        code = check_change(self, call, auth_door_find(self->doors, who.door), in, &account);
    if (code == BUSI_OK)
        code = verify(self, call, in->password, &who, &account);
    if (code == BUSI_OK)
        code = change(self, call, in->new_password, &who, &account);
    return code == BUSI_OK ? settle(self, call, &account, who.session_id, &out->count) : code;
}
