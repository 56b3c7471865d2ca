/* auth.SignInSecret, auth.IssueSignInToken: secrets that sign in, out of a mail or from one page to the next.
 */
#include "accounts/admission.h"
#include "audit/audit.h"
#include "core/account.h"
#include "core/answers.h"
#include "hooks/hooks.h"
#include "limits/limiter.h"
#include "sessions/sessions.h"

/* ---- signing in ---- */

/* False: no kind that signs in. */
static bool find_kind(struct busi_str name, enum auth_one_time_kind *kind)
{
    static const enum auth_one_time_kind kinds[] = {AUTH_ONE_TIME_magic_link, AUTH_ONE_TIME_sign_in_token};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (busi_str_eq(name, auth_one_time_name(kinds[i]))) {
            *kind = kinds[i];
            return true;
        }
    return false;
}

static enum busi_code unknown(struct auth *self, struct busi_call *call, struct busi_str door)
{
    auth_audit_failed(self, call, &(struct auth_deed){.event = AUTH_AUDIT_sign_in, .door = door},
                      "unknown_secret");
    auth_hooks_tell_failure(self->hooks, call, 0, door);
    return auth_unauthorized(call);
}

/* Of many who give it at once one uses it up. *account is as it is then. */
static enum busi_code use(struct auth *self, struct busi_call *call, enum auth_one_time_kind kind,
                          struct busi_str hash, struct busi_str door, struct auth_account *account)
{
    struct busi_pg_result result;
    struct busi_str params[] = {
        hash,
        auth_one_time_name(kind),
        {0},
        auth_audit_row(self, call, &(struct auth_deed){.event = AUTH_AUDIT_confirm_email, .door = door})};
    if (!params[3].ptr || !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_confirm, door, &params[2]))
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_USE_SECRET, params, call->until_ms, &result);
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return auth_database_lost(call, "the database went away; the secret may be used up");
    return code == BUSI_OK && account->id == 0 ? unknown(self, call, door) : code;
}

/* Whoever a hook does not let in may come again with the same secret. */
static enum busi_code prove(struct auth *self, struct busi_call *call,
                            const struct busi_sign_in_secret_request *in, const struct auth_door *door,
                            struct auth_account *account, struct auth_hook_answer *added)
{
    enum auth_one_time_kind kind;
    if (!find_kind(in->kind, &kind))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "no such kind of secret");
    struct busi_str hash = auth_one_time_hash(&call->arena, &self->one_time, kind, in->secret);
    if (!hash.ptr)
        return auth_no_memory(call);
    enum busi_code code = auth_account_find_by_secret(self, call, kind, hash, account);
    if (code == BUSI_OK && account->id == 0)
        return unknown(self, call, in->door);
    if (code == BUSI_OK)
        code = auth_admission_ask(self, call, account, door, added);
    return code == BUSI_OK ? use(self, call, kind, hash, in->door, account) : code;
}

enum busi_code auth_sign_in_secret(struct auth *self, struct busi_call *call,
                                   const struct busi_sign_in_secret_request *in,
                                   struct busi_session_reply *out)
{
    struct auth_account account = {0};
    struct auth_hook_answer added;
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    enum busi_code code = auth_need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_sign_in_secret, (struct busi_str){0});
    if (code == BUSI_OK)
        code = prove(self, call, in, door, &account, &added);
    if (code != BUSI_OK)
        return code;
    auth_hooks_wake(self->hooks);
    code = auth_session_welcome(self, call, &account);
    return code == BUSI_OK ? auth_admit_asked(self, call, &account, door, &added, out) : code;
}

/* ---- from one page to the next ---- */

static enum busi_code keep(struct auth *self, struct busi_call *call, const struct auth_session *session,
                           const struct auth_one_time *secret, int64_t *expires_at)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, session->user_id), secret->hash,
                                      secret->lifetime_s, busi_arena_int(&call->arena, session->epoch)};
    if (!params[0].ptr || !params[3].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_KEEP_SIGN_IN_TOKEN, params, call->until_ms, &result);
    *expires_at = busi_pg_int(&result, 0, 0);
    bool kept = result.rows > 0;
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return auth_database_lost(call, "the database went away; no token is known");
    return code == BUSI_OK && !kept ? auth_unauthorized(call) : code;
}

enum busi_code auth_issue_sign_in_token(struct auth *self, struct busi_call *call,
                                        const struct busi_check_token_request *in,
                                        struct busi_sign_in_token_reply *out)
{
    struct auth_token token = {0};
    struct auth_session session = {0};
    struct auth_one_time secret;
    if (auth_token_read(self, &call->arena, in->token, &token) != AUTH_TOKEN_GOOD ||
        token.use != AUTH_TOKEN_ACCESS)
        return auth_unauthorized(call);
    enum busi_code code = auth_session_check(self, call, &token, &session);
    if (code != BUSI_OK)
        return code;
    if (!auth_one_time_make(&call->arena, &self->one_time, AUTH_ONE_TIME_sign_in_token, &secret))
        return auth_no_memory(call);
    out->secret = secret.secret;
    return keep(self, call, &session, &secret, &out->expires_at);
}
