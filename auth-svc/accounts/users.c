#include "accounts/admission.h"
#include "audit/audit.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/account.h"
#include "core/answers.h"
#include "core/passwords.h"
#include "hooks/hooks.h"
#include "limits/limiter.h"
#include "mails/requests.h"
#include "sessions/sessions.h"

/* ---- signing in ---- */

/* A login that can be nobody's is looked up as well: "" is no key of any account. */
static enum busi_code find_login(struct auth *self, struct busi_call *call, const struct auth_door *door,
                                 struct busi_str login, struct auth_account *account)
{
    struct auth_name_keys keys;
    if (!auth_name_keys(&call->arena, login, &keys))
        return auth_no_memory(call);
    if (keys.username.ptr && door->logins == AUTH_LOGIN_EMAIL_OR_USERNAME)
        return auth_account_find(self, call, AUTH_FIND_BY_USERNAME, keys.username, account);
    return auth_account_find(self, call, AUTH_FIND_BY_EMAIL, keys.email.ptr ? keys.email : BUSI_STR(""),
                             account);
}

/* A failure is counted, not told: the password was right. *account gets what it has then. */
static void replace_hash(struct auth *self, struct busi_call *call, struct auth_account *account,
                         const char *better)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, account->id), account->hash,
                                      busi_str_of(better)};
    enum busi_code code = BUSI_INTERNAL;
    if (*better && params[0].ptr) {
        code = busi_pg_run(self->pg, AUTH_REPLACE_HASH, params, call->until_ms, &result);
        busi_pg_clear(&result);
    }
    if (code == BUSI_OK) {
        account->hash = params[2];
        return;
    }
    busi_metric_add(BUSI_METRIC_password_rehash_failed, 1);
    busi_log(BUSI_WARN, "rehash_failed", BUSI_I("user_id", account->id),
             BUSI_C("code", busi_code_name((int)code)));
}

/* Whatever the reason, one row and one answer: they take alike. */
static enum busi_code refuse(struct auth *self, struct busi_call *call, const struct busi_sign_in_request *in,
                             const struct auth_account *account, const char *why)
{
    auth_audit_failed(self, call,
                      &(struct auth_deed){.event = AUTH_AUDIT_sign_in,
                                          .user_id = account->id,
                                          .name = account->id ? (struct busi_str){0} : in->login,
                                          .door = in->door},
                      why);
    auth_hooks_tell_failure(self->hooks, call, account->id, in->door);
    return auth_unauthorized(call);
}

/* Wrong once too often: its owner hears how to get in. The same row is written for a name of nobody. */
static void tell_of_lock(struct auth *self, struct busi_call *call, struct busi_str login)
{
    if (auth_mail_request_named(self, call, "sign_in_paused", login) != BUSI_OK)
        busi_log(BUSI_WARN, "lock_untold", BUSI_S("request_id", call->request_id));
}

enum busi_code auth_sign_in(struct auth *self, struct busi_call *call, const struct busi_sign_in_request *in,
                            struct busi_session_reply *out)
{
    struct auth_account account = {0};
    bool locks = false;
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    enum busi_code code = auth_need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_passwords_room(self->passwords, call);
    if (code == BUSI_OK)
        code = auth_limit_strike(self, call, AUTH_LIMIT_sign_in, in->login, &locks);
    if (locks)
        busi_fiber_commit(); /* nobody locks an account unheard by hanging up */
    if (code == BUSI_OK)
        code = find_login(self, call, door, in->login, &account);
    if (code != BUSI_OK)
        return code;
    struct auth_password_check check = {.stored = account.hash, .password = in->password};
    code = auth_password_verify(self->passwords, call, &check);
    if (code != BUSI_OK)
        return code;
    if (check.verdict == BUSI_PASSWORD_UNREADABLE)
        busi_log(BUSI_ERR, "stored_hash_unreadable", BUSI_I("user_id", account.id));
    bool right = check.verdict == BUSI_PASSWORD_RIGHT || check.verdict == BUSI_PASSWORD_WEAK;
    if (locks && !right)
        tell_of_lock(self, call, in->login);
    if (!right || account.blocked)
        return refuse(self, call, in, &account,
                      !account.id ? "unknown_name"
                      : right     ? "blocked"
                                  : "wrong_password");
    auth_limit_passed(self, call, AUTH_LIMIT_sign_in, in->login);
    if (check.verdict == BUSI_PASSWORD_WEAK)
        replace_hash(self, call, &account, check.better);
    return auth_admit(self, call, &account, door, BUSI_STR("password"), out);
}

/* ---- ending ---- */

/* One of the statements that say how many accounts they found: 0 or 1. until_us: where it asks for a time. */
static enum busi_code change_until(struct auth *self, struct busi_call *call, enum auth_statement statement,
                                   enum auth_audit_event event, int64_t user_id, int64_t until_us,
                                   int64_t *count)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, user_id),
                                      auth_audit_row(self, call, &(struct auth_deed){.event = event}),
                                      busi_arena_int(&call->arena, until_us)};
    if (!params[0].ptr || !params[1].ptr || !params[2].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    *count = busi_pg_int(&result, 0, 0);
    if (code == BUSI_FAILED_PRECONDITION)
        code = auth_refused(call, result.constraint);
    busi_pg_clear(&result);
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; it may be done") : code;
}

static enum busi_code change(struct auth *self, struct busi_call *call, enum auth_statement statement,
                             enum auth_audit_event event, int64_t user_id, int64_t *count)
{
    return change_until(self, call, statement, event, user_id, 0, count);
}

/* First the account, so that no session can begin any more, then the sessions. Asked again after a failure,
 * it goes on where it stopped. */
enum busi_code auth_delete_user(struct auth *self, struct busi_call *call,
                                const struct busi_user_id_request *in, struct busi_count_reply *out)
{
    enum busi_code code =
        change(self, call, AUTH_DELETE_USER, AUTH_AUDIT_delete_user, in->user_id, &out->count);
    return code == BUSI_OK ? auth_session_end_all(self, call, in->user_id, (struct busi_str){0}) : code;
}

enum busi_code auth_block_user(struct auth *self, struct busi_call *call,
                               const struct busi_user_id_request *in, struct busi_count_reply *out)
{
    enum busi_code code =
        change(self, call, AUTH_BLOCK_USER, AUTH_AUDIT_block_user, in->user_id, &out->count);
    return code == BUSI_OK ? auth_session_end_all(self, call, in->user_id, (struct busi_str){0}) : code;
}

/* The sweeper lets it in again. */
enum busi_code auth_imprison_user(struct auth *self, struct busi_call *call,
                                  const struct busi_imprison_user_request *in, struct busi_count_reply *out)
{
    if (in->until <= busi_wall_us()) {
        busi_call_refuse(call, "until", BUSI_RULE_INVALID, 0);
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "that time is over");
    }
    enum busi_code code = change_until(self, call, AUTH_IMPRISON_USER, AUTH_AUDIT_block_user, in->user_id,
                                       in->until, &out->count);
    return code == BUSI_OK ? auth_session_end_all(self, call, in->user_id, (struct busi_str){0}) : code;
}

/* By whatever it was shut: wrong passwords are forgotten as well. */
enum busi_code auth_unblock_user(struct auth *self, struct busi_call *call,
                                 const struct busi_user_id_request *in, struct busi_count_reply *out)
{
    struct auth_account account = {0};
    enum busi_code code =
        change(self, call, AUTH_UNBLOCK_USER, AUTH_AUDIT_unblock_user, in->user_id, &out->count);
    if (code == BUSI_OK)
        code = auth_account_find_by_id(self, call, in->user_id, &account);
    if (code == BUSI_OK && account.id)
        auth_limit_forget(self, call, account.email, account.username);
    return code;
}

/* What its own secret would do. */
enum busi_code auth_confirm_user(struct auth *self, struct busi_call *call,
                                 const struct busi_user_id_request *in, struct busi_count_reply *out)
{
    enum busi_code code =
        change(self, call, AUTH_CONFIRM_USER, AUTH_AUDIT_confirm_email, in->user_id, &out->count);
    if (code == BUSI_OK && out->count > 0)
        code = auth_session_update_roles(self, call, in->user_id);
    return code == BUSI_OK && out->count > 0 ? auth_session_update_account(self, call, in->user_id) : code;
}
