#include "tokens.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "sessions.h"

/* A JWT's typ. */
#define ACCESS BUSI_STR("access")

enum {
    JWT_SESSION_ID_BYTES = 16,
    UUID_CHARS = 36,
    ACCESS_MOST_S = 86400, /* the longest life an opaque access token can be given: proto/settings.def */
    CLOCKS_DIFFER_S = 60,
    FIRST_SESSION_S = 1735689600, /* 2025: none began before */
};

/* ---- making ---- */

/* An opaque token has room for its session's locator only, so that is the session's id. */
bool auth_token_name(struct busi_arena *arena, struct auth_session *session)
{
    bool jwt = session->door->format == AUTH_TOKENS_JWT;
    session->id = busi_random_text(arena, jwt ? JWT_SESSION_ID_BYTES : BUSI_LOCATOR_BYTES);
    if (!jwt)
        return session->id.ptr;
    char *uuid = busi_arena_alloc(arena, UUID_CHARS + 1);
    if (!uuid)
        return false;
    busi_uuid4(uuid);
    session->token_id = (struct busi_str){uuid, UUID_CHARS};
    return session->id.ptr;
}

static struct busi_str sign(struct busi_arena *arena, const struct auth_session *session)
{
    struct busi_jwt_claims claims = {
        .jti = session->token_id,
        .subject = busi_arena_int(arena, session->user_id),
        .type = ACCESS,
        .session_id = session->id,
        .issued_at = session->created_s,
        .not_before = session->created_s - 1, /* clocks differ a little */
        .expires_at = session->expires_s,
        .more = session->claims,
    };
    if (!claims.subject.ptr)
        return (struct busi_str){0};
    return busi_jwt_sign(arena, &session->door->key, &claims);
}

static struct busi_str seal(struct auth *self, struct busi_arena *arena, const struct auth_session *session,
                            enum auth_token_kind kind, int64_t time_s)
{
    struct busi_sealed content = {.kind = kind, .time_s = (uint32_t)time_s};
    char *text = busi_arena_alloc(arena, BUSI_SEALED_CHARS);
    if (kind == AUTH_TOKEN_ACCESS) /* two of one second shall differ; of refresh tokens a session has one */
        busi_random_bytes(&content.salt, sizeof(content.salt));
    if (!text ||
        busi_base64url_decode(content.locator, sizeof(content.locator), session->id) != BUSI_LOCATOR_BYTES ||
        !busi_seal(self->sealer, &content, text))
        return (struct busi_str){0};
    return (struct busi_str){text, BUSI_SEALED_CHARS};
}

struct busi_str auth_token_access(struct auth *self, struct busi_arena *arena,
                                  const struct auth_session *session, int64_t now_s, int64_t *expires_s)
{
    *expires_s = session->expires_s;
    if (session->door->format == AUTH_TOKENS_JWT)
        return sign(arena, session);
    if (session->expires_s == 0 || now_s + session->door->access_s < session->expires_s)
        *expires_s = now_s + session->door->access_s;
    return seal(self, arena, session, AUTH_TOKEN_ACCESS, *expires_s);
}

/* It lives as long as the session, whose record says until when. What it says itself is when the session
 * began: should another ever get the same locator, no old token opens it. */
struct busi_str auth_token_refresh(struct auth *self, struct busi_arena *arena,
                                   const struct auth_session *session)
{
    if (session->door->format == AUTH_TOKENS_JWT)
        return (struct busi_str){0};
    return seal(self, arena, session, AUTH_TOKEN_REFRESH, session->created_s);
}

/* ---- reading ---- */

/* A time no token of this kind can say is a guess's. */
static bool is_likely(const struct busi_sealed *content, int64_t now_s)
{
    if (content->kind == AUTH_TOKEN_REFRESH)
        return content->salt == 0 && content->time_s >= FIRST_SESSION_S &&
               content->time_s <= now_s + CLOCKS_DIFFER_S;
    return content->kind == AUTH_TOKEN_ACCESS && content->time_s >= FIRST_SESSION_S &&
           content->time_s <= now_s + ACCESS_MOST_S + CLOCKS_DIFFER_S;
}

static enum auth_token_verdict unseal(struct auth *self, struct busi_arena *arena, struct busi_str text,
                                      struct auth_token *token)
{
    struct busi_sealed content;
    const int64_t now_s = busi_wall_us() / 1000000;
    char *id = busi_arena_alloc(arena, BUSI_LOCATOR_CHARS);
    if (!id || !busi_unseal(self->sealer, text, &content) || !is_likely(&content, now_s))
        return AUTH_TOKEN_INVALID;
    busi_base64url_encode(id, content.locator, sizeof(content.locator));
    *token = (struct auth_token){.kind = (enum auth_token_kind)content.kind,
                                 .session_id = {id, BUSI_LOCATOR_CHARS}};
    if (content.kind == AUTH_TOKEN_REFRESH) {
        token->created_s = content.time_s;
        return AUTH_TOKEN_GOOD;
    }
    token->expires_s = content.time_s;
    return token->expires_s <= now_s ? AUTH_TOKEN_EXPIRED : AUTH_TOKEN_GOOD;
}

static enum auth_token_verdict verdict_of(enum busi_jwt_verdict verdict)
{
    switch (verdict) {
    case BUSI_JWT_OK:
        return AUTH_TOKEN_GOOD;
    case BUSI_JWT_EXPIRED:
        return AUTH_TOKEN_EXPIRED;
    case BUSI_JWT_NOT_YET:
        return AUTH_TOKEN_NOT_YET;
    case BUSI_JWT_INVALID:
        break;
    }
    return AUTH_TOKEN_INVALID;
}

static enum auth_token_verdict verify(const struct auth_door *door, struct busi_arena *arena,
                                      struct busi_str text, struct auth_token *token)
{
    struct busi_jwt_claims claims;
    enum auth_token_verdict verdict =
        verdict_of(busi_jwt_verify(arena, &door->key, text, busi_wall_us() / 1000000, &claims));
    if (verdict == AUTH_TOKEN_INVALID)
        return verdict;
    *token = (struct auth_token){.kind = AUTH_TOKEN_ACCESS,
                                 .session_id = claims.session_id,
                                 .expires_s = claims.expires_at,
                                 .created_s = claims.issued_at,
                                 .door = door,
                                 .id = claims.jti};
    if (!busi_str_eq(claims.type, ACCESS) || !busi_str_int(claims.subject, &token->user_id))
        return AUTH_TOKEN_INVALID;
    return verdict;
}

enum auth_token_verdict auth_token_read(struct auth *self, struct busi_arena *arena, struct busi_str text,
                                        struct auth_token *token)
{
    enum auth_token_verdict verdict = AUTH_TOKEN_INVALID;
    *token = (struct auth_token){0};
    if (text.len == BUSI_SEALED_CHARS)
        return unseal(self, arena, text, token); /* no JWT is so short */
    for (size_t i = 0; i < AUTH_DOORS && verdict == AUTH_TOKEN_INVALID; i++)
        if (self->doors[i].format == AUTH_TOKENS_JWT)
            verdict = verify(&self->doors[i], arena, text, token);
    return verdict;
}

bool auth_token_of(const struct auth_token *token, const struct auth_session *session)
{
    if (token->door) /* its one token lives as long as the session */
        return session->door == token->door && session->user_id == token->user_id &&
               session->created_s == token->created_s && session->expires_s == token->expires_s;
    return session->door->format == AUTH_TOKENS_OPAQUE &&
           (token->kind == AUTH_TOKEN_REFRESH ? session->created_s == token->created_s
                                              : session->created_s <= token->expires_s);
}
