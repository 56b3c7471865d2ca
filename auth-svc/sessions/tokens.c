#include "sessions/tokens.h"
#include "base/buf.h"
#include "base/memory.h"
#include "base/roles.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "sessions/sessions.h"

/* How the subject of ash's tokens begins. */
#define USER_QUERY "user?id="

enum {
    JWT_SESSION_ID_BYTES = 16,
    UUID_CHARS = 36,
    BASE32_CHARS = 24,
    ACCESS_MOST_S = 366 * 86400, /* an opaque access token can be given no longer life: proto/settings.def */
    CLOCKS_DIFFER_S = 60,
    FIRST_SESSION_S = 1735689600, /* 2025: none began before */
};

/* ---- making ---- */

struct busi_str auth_token_new_id(struct busi_arena *arena, const struct auth_door *door)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    char *text = busi_arena_alloc(arena, UUID_CHARS + 1);
    if (!text || door->jwt.id == AUTH_TOKEN_ID_NONE)
        return (struct busi_str){text, 0};
    if (door->jwt.id == AUTH_TOKEN_ID_UUID) {
        busi_uuid4(text);
        return (struct busi_str){text, UUID_CHARS};
    }
    busi_random_bytes(text, BASE32_CHARS);
    for (int i = 0; i < BASE32_CHARS; i++)
        text[i] = digits[text[i] & 31];
    return (struct busi_str){text, BASE32_CHARS};
}

/* An opaque token has room for its session's locator only, so that is the session's id. */
bool auth_token_name(struct busi_arena *arena, struct auth_session *session)
{
    bool jwt = session->door->format == AUTH_TOKENS_JWT;
    session->id = busi_random_text(arena, jwt ? JWT_SESSION_ID_BYTES : BUSI_LOCATOR_BYTES);
    if (!jwt)
        return session->id.ptr;
    session->token_id = auth_token_new_id(arena, session->door);
    return session->id.ptr && session->token_id.ptr;
}

/* As Magic says them: absent for none, a text for one, an array for more. False: out of memory. */
static bool say_roles(struct busi_arena *arena, struct busi_str roles, struct busi_str *out)
{
    struct busi_buf json;
    struct busi_str role, left = roles;
    size_t n = 0;
    *out = (struct busi_str){0};
    busi_buf_init(&json, 4 * BUSI_ROLES_MOST);
    while ((role = busi_roles_next(&left)).ptr) {
        if (n++ > 0)
            busi_buf_char(&json, ',');
        busi_buf_json(&json, role);
    }
    bool good = !json.failed;
    if (good && n > 0) {
        *out = busi_arena_printf(arena, n == 1 ? "%.*s" : "[%.*s]", (int)json.len, json.ptr);
        good = out->ptr;
    }
    busi_buf_fini(&json);
    return good;
}

/* False: out of memory. */
static bool say_who(struct busi_arena *arena, const struct auth_session *session,
                    struct busi_jwt_claims *claims)
{
    switch (session->door->jwt.subject) {
    case AUTH_SUBJECT_ID:
        claims->subject = busi_arena_int(arena, session->user_id);
        return claims->subject.ptr;
    case AUTH_SUBJECT_USER_QUERY:
        claims->subject = busi_arena_printf(arena, USER_QUERY "%lld", (long long)session->user_id);
        return claims->subject.ptr;
    case AUTH_SUBJECT_NAME:
        break;
    }
    claims->name = session->username.ptr ? session->username : session->email;
    return say_roles(arena, session->roles, &claims->role);
}

struct busi_str auth_token_sign(struct busi_arena *arena, const struct auth_session *session,
                                const struct auth_token *token)
{
    const struct auth_door *door = session->door;
    struct busi_jwt_claims claims = {
        .session_id = session->id,
        .issued_at = token->created_s,
        .not_before = token->created_s - door->jwt.begins_s,
        .expires_at = token->expires_s - door->jwt.pattern.late_s,
        .more = session->claims,
    };
    if (door->jwt.id != AUTH_TOKEN_ID_NONE)
        claims.jti = token->id;
    if (door->jwt.kind == AUTH_KIND_typ)
        claims.type = token->profile->says;
    if (door->jwt.kind == AUTH_KIND_purpose)
        claims.purpose = token->profile->says;
    if (door->jwt.ring.n == 0 || !say_who(arena, session, &claims))
        return (struct busi_str){0};
    return busi_jwt_sign(arena, &door->jwt.ring.keys[0], &claims);
}

/* A new session's one token lives as long as itself. */
static struct busi_str sign_first(struct busi_arena *arena, const struct auth_session *session)
{
    const struct auth_token first = {.profile = session->door->profile,
                                     .id = session->token_id,
                                     .created_s = session->created_s,
                                     .expires_s = session->expires_s};
    return auth_token_sign(arena, session, &first);
}

static struct busi_str seal(struct auth *self, struct busi_arena *arena, const struct auth_session *session,
                            enum auth_token_use use, int64_t time_s)
{
    struct busi_sealed content = {.kind = use, .time_s = (uint32_t)time_s};
    char *text = busi_arena_alloc(arena, BUSI_SEALED_CHARS);
    if (use == AUTH_TOKEN_ACCESS) /* two of one second shall differ; of refresh tokens a session has one */
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
    *expires_s = session->expires_s - session->door->jwt.pattern.late_s;
    if (session->door->format == AUTH_TOKENS_JWT)
        return sign_first(arena, session);
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
    *token =
        (struct auth_token){.use = (enum auth_token_use)content.kind, .session_id = {id, BUSI_LOCATOR_CHARS}};
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

/* Whom it speaks for: 0 when it only names the session, which says. */
static bool read_subject(enum auth_subject form, struct busi_str subject, int64_t *user_id)
{
    enum { SKIP = sizeof(USER_QUERY) - 1 };
    *user_id = 0;
    if (form == AUTH_SUBJECT_NAME)
        return true;
    if (form == AUTH_SUBJECT_USER_QUERY) {
        if (subject.len < SKIP || memcmp(subject.ptr, USER_QUERY, SKIP) != 0)
            return false;
        subject = (struct busi_str){subject.ptr + SKIP, subject.len - SKIP};
    }
    return busi_str_int(subject, user_id) && *user_id > 0;
}

static const struct auth_profile *profile_of(const struct auth *self, const struct auth_door *door,
                                             const struct busi_jwt_claims *claims)
{
    struct busi_str says = door->jwt.kind == AUTH_KIND_typ       ? claims->type
                           : door->jwt.kind == AUTH_KIND_purpose ? claims->purpose
                                                                 : BUSI_STR("");
    return says.ptr ? auth_profile_of(self->profiles, door, says) : NULL;
}

static enum auth_token_verdict verify(const struct auth *self, const struct auth_door *door,
                                      const struct busi_jwt_key *key, struct busi_arena *arena,
                                      struct busi_str text, struct auth_token *token)
{
    struct busi_jwt_claims claims;
    enum auth_token_verdict verdict =
        verdict_of(busi_jwt_verify(arena, key, text, busi_wall_us() / 1000000, &claims));
    if (verdict == AUTH_TOKEN_INVALID)
        return verdict;
    const struct auth_profile *profile = profile_of(self, door, &claims);
    int64_t user_id;
    if (!profile || !read_subject(door->jwt.subject, claims.subject, &user_id))
        return AUTH_TOKEN_INVALID;
    *token = (struct auth_token){
        .use = profile->use,
        .session_id = claims.session_id,
        .expires_s = claims.expires_at + key->late_s,
        .created_s = claims.issued_at,
        .door = door,
        .profile = profile,
        .id = door->jwt.id == AUTH_TOKEN_ID_NONE ? (struct busi_str){0} : claims.jti,
        .user_id = user_id,
    };
    return verdict;
}

/* A key tries only a token whose header is its own, to the letter: of most doors none does. */
static enum auth_token_verdict try_keys(struct auth *self, struct busi_arena *arena, struct busi_str text,
                                        struct auth_token *token)
{
    enum auth_token_verdict verdict = AUTH_TOKEN_INVALID;
    for (size_t i = 0; i < AUTH_DOORS; i++) {
        const struct auth_key_ring *ring = &self->doors[i].jwt.ring;
        for (size_t j = 0; j < ring->n && verdict == AUTH_TOKEN_INVALID; j++)
            verdict = verify(self, &self->doors[i], &ring->keys[j], arena, text, token);
    }
    return verdict;
}

enum auth_token_verdict auth_token_read(struct auth *self, struct busi_arena *arena, struct busi_str text,
                                        struct auth_token *token)
{
    const int64_t refusals = busi_memory_refusals();
    const bool sealed = text.len == BUSI_SEALED_CHARS; /* no JWT is so short */
    *token = (struct auth_token){0};
    enum auth_token_verdict verdict =
        sealed ? unseal(self, arena, text, token) : try_keys(self, arena, text, token);
    return verdict == AUTH_TOKEN_INVALID && busi_memory_refusals() != refusals ? AUTH_TOKEN_UNREAD : verdict;
}

static bool names(const struct auth_token *token, const struct auth_session *session)
{
    return session->door == token->door && (session->user_id == token->user_id || token->user_id == 0);
}

bool auth_token_of(const struct auth_token *token, const struct auth_session *session)
{
    if (token->door)
        return names(token, session) && session->created_s <= token->created_s &&
               session->expires_s >= token->expires_s;
    return session->door->format == AUTH_TOKENS_OPAQUE &&
           (token->use == AUTH_TOKEN_REFRESH ? session->created_s == token->created_s
                                             : session->created_s <= token->expires_s);
}

/* Locators of opaque tokens may come again, ids of JWTs' sessions do not. */
bool auth_token_may_end(const struct auth_token *token, const struct auth_session *session)
{
    return token->door ? names(token, session) : auth_token_of(token, session);
}
