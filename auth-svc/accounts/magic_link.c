/* auth.SignInSecret, auth.IssueSignInToken: secrets that sign in, out of a mail or from one page to the next.
 */
#include "accounts/proof.h"
#include "audit/audit.h"
#include "core/answers.h"
#include "hooks/hooks.h"
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

enum busi_code auth_sign_in_secret(struct auth *self, struct busi_call *call,
                                   const struct busi_sign_in_secret_request *in,
                                   struct busi_session_reply *out)
{
    struct auth_proof proof = {.secret = in->secret, .door = in->door, .limit = AUTH_LIMIT_sign_in_secret};
    if (!find_kind(in->kind, &proof.kind))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "no such kind of secret");
    enum busi_code code = auth_proof_sign_in(self, call, &proof, out);
    if (code != BUSI_OK || out->user_id != 0)
        return code;
    auth_audit_failed(self, call, &(struct auth_deed){.event = AUTH_AUDIT_sign_in, .door = in->door},
                      "unknown_secret");
    auth_hooks_tell_failure(self->hooks, call, 0, in->door);
    return auth_unauthorized(call);
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
