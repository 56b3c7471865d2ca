#include "tokens.h"

#define TYPE BUSI_STR("access")

struct busi_str auth_token_make(struct busi_arena *arena, const struct auth_session *session)
{
    struct busi_jwt_claims claims = {
        .jti = session->token_id,
        .subject = busi_arena_int(arena, session->user_id),
        .type = TYPE,
        .session_id = session->id,
        .issued_at = session->created_s,
        .not_before = session->created_s - 1, /* clocks differ a little */
        .expires_at = session->expires_s,
    };
    if (!claims.subject.ptr)
        return (struct busi_str){0};
    return busi_jwt_sign(arena, &session->door->key, &claims);
}

enum busi_jwt_verdict auth_token_read(const struct auth *self, struct busi_arena *arena,
                                      struct busi_str token, struct auth_session *session)
{
    struct busi_jwt_claims claims;
    enum busi_jwt_verdict verdict = BUSI_JWT_INVALID;
    int64_t now_s = busi_wall_us() / 1000000;
    size_t i = 0;
    while (i < AUTH_DOORS &&
           (verdict = busi_jwt_verify(arena, &self->doors[i].key, token, now_s, &claims)) == BUSI_JWT_INVALID)
        i++;
    if (verdict == BUSI_JWT_INVALID)
        return verdict;
    *session = (struct auth_session){.id = claims.session_id,
                                     .token_id = claims.jti,
                                     .door = &self->doors[i],
                                     .created_s = claims.issued_at,
                                     .expires_s = claims.expires_at};
    if (!busi_str_eq(claims.type, TYPE) || !busi_str_int(claims.subject, &session->user_id))
        return BUSI_JWT_INVALID;
    return verdict;
}

enum busi_code auth_check_token(struct auth *self, struct busi_call *call,
                                const struct busi_check_token_request *in, struct busi_principal *out)
{
    struct auth_session session;
    enum busi_jwt_verdict verdict = auth_token_read(self, &call->arena, in->token, &session);
    if (verdict != BUSI_JWT_OK)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED,
                              verdict == BUSI_JWT_EXPIRED ? "token_expired" : "invalid_token");
    enum busi_code code = auth_session_check(self, call, &session);
    if (code != BUSI_OK)
        return code;
    out->user_id = session.user_id;
    out->session_id = session.id;
    out->door = busi_str_of(session.door->name);
    out->expires_at = session.expires_s * 1000000;
    return BUSI_OK;
}

/* Whoever could have used the token may end its session, also when it has expired; a token that is not ours
 * ends nothing and is told the same. */
enum busi_code auth_sign_out(struct auth *self, struct busi_call *call,
                             const struct busi_check_token_request *in, struct busi_empty *out)
{
    struct auth_session session;
    (void)out;
    if (auth_token_read(self, &call->arena, in->token, &session) == BUSI_JWT_INVALID)
        return BUSI_OK;
    return auth_session_revoke(self, call, &session);
}
