/* auth.SignInSecret, auth.IssueSignInToken: secrets that sign in, out of a mail or from one page to the next.
 */
#include "account.h"
#include "admission.h"
#include "answers.h"
#include "base/log.h"
#include "hooks.h"
#include "limits.h"
#include "sessions.h"

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

/* By one of the statements that find it, or find it and use it up. */
static enum busi_code look(struct auth *self, struct busi_call *call, enum auth_statement statement,
                           const struct busi_str *params, struct auth_account *account)
{
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return auth_database_lost(call, "the database went away; the secret may be used up");
    return code == BUSI_OK && account->id == 0 ? auth_unauthorized(call) : code;
}

/* Whoever a hook does not let in may come again with the same secret. Of many who give it at once one uses it
 * up. */
static enum busi_code use(struct auth *self, struct busi_call *call, enum auth_one_time_kind kind,
                          const struct busi_sign_in_secret_request *in, struct auth_account *account,
                          struct auth_hook_answer *added)
{
    struct busi_str params[] = {
        auth_one_time_hash(&call->arena, &self->one_time, kind, in->secret), auth_one_time_name(kind), {0}};
    if (!params[0].ptr || !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_confirm, in->door, &params[2]))
        return auth_no_memory(call);
    enum busi_code code = look(self, call, AUTH_FIND_SECRET, params, account);
    if (code == BUSI_OK)
        code = auth_hooks_ask(self->hooks, call, AUTH_EVENT_before_login, account, in->door, added);
    if (code == BUSI_OK)
        code = look(self, call, AUTH_USE_SECRET, params, account);
    return code;
}

enum busi_code auth_sign_in_secret(struct auth *self, struct busi_call *call,
                                   const struct busi_sign_in_secret_request *in,
                                   struct busi_session_reply *out)
{
    struct auth_account account = {0};
    struct auth_hook_answer added;
    enum auth_one_time_kind kind;
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    if (!find_kind(in->kind, &kind))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "no such kind of secret");
    enum busi_code code = auth_need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_sign_in_secret, (struct busi_str){0});
    if (code == BUSI_OK)
        code = use(self, call, kind, in, &account, &added);
    if (code == BUSI_UNAUTHENTICATED)
        auth_hooks_tell_failure(self->hooks, call, 0, in->door);
    if (code != BUSI_OK)
        return code;
    auth_hooks_wake(self->hooks);
    return auth_admit_asked(self, call, &account, door, &added, out);
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
