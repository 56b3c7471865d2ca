/* The handlers that take a token or name a session. */
#include "limits.h"
#include "sessions.h"

static enum busi_code invalid(struct busi_call *call, enum auth_token_verdict verdict)
{
    return busi_call_fail(call, BUSI_UNAUTHENTICATED,
                          verdict == AUTH_TOKEN_EXPIRED ? "token_expired" : "invalid_token");
}

/* The session of a token of this kind; OK only if both are good. */
static enum busi_code admit(struct auth *self, struct busi_call *call, struct busi_str text,
                            enum auth_token_kind kind, struct auth_token *token, struct auth_session *session)
{
    enum auth_token_verdict verdict = auth_token_read(self, &call->arena, text, token);
    if (verdict == AUTH_TOKEN_GOOD && token->kind != kind)
        verdict = AUTH_TOKEN_INVALID;
    if (verdict != AUTH_TOKEN_GOOD)
        return invalid(call, verdict);
    return auth_session_check(self, call, token, session);
}

enum busi_code auth_check_token(struct auth *self, struct busi_call *call,
                                const struct busi_check_token_request *in, struct busi_principal *out)
{
    struct auth_token token;
    struct auth_session session;
    enum busi_code code = admit(self, call, in->token, AUTH_TOKEN_ACCESS, &token, &session);
    if (code != BUSI_OK)
        return code;
    out->user_id = session.user_id;
    out->session_id = session.id;
    out->door = busi_str_of(session.door->name);
    out->expires_at = token.expires_s * 1000000;
    out->email = session.email;
    out->username = session.username;
    out->user_code = session.user_code;
    out->email_confirmed = session.confirmed;
    out->meta = session.meta;
    out->checked_at = busi_wall_us();
    out->data = session.data;
    return BUSI_OK;
}

/* Writes nothing: the refresh token stays as it is, earlier access tokens stay good for their time. */
enum busi_code auth_refresh_token(struct auth *self, struct busi_call *call,
                                  const struct busi_refresh_token_request *in, struct busi_session_reply *out)
{
    struct auth_token token;
    struct auth_session session;
    enum busi_code code = auth_limit(self, call, AUTH_LIMIT_refresh_token, (struct busi_str){0});
    if (code == BUSI_OK)
        code = admit(self, call, in->refresh_token, AUTH_TOKEN_REFRESH, &token, &session);
    return code == BUSI_OK ? auth_session_hand_out(self, call, &session, out) : code;
}

/* Whoever could have used the token may end its session, also when it has expired; a token that is not ours,
 * or not for access, ends nothing and is told the same. */
enum busi_code auth_sign_out(struct auth *self, struct busi_call *call,
                             const struct busi_check_token_request *in, struct busi_empty *out)
{
    struct auth_token token;
    (void)out;
    if (auth_token_read(self, &call->arena, in->token, &token) == AUTH_TOKEN_INVALID ||
        token.kind != AUTH_TOKEN_ACCESS)
        return BUSI_OK;
    return auth_session_revoke_by(self, call, &token);
}
