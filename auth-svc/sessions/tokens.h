/* Tokens of every door, made and read. Pure but for the clock; loop thread only. */
#pragma once
#include "core/auth.h"

struct auth_session;

/* What a token says of itself and of its session, which must still be looked up. */
struct auth_token {
    enum auth_token_use use;
    struct busi_str session_id;
    int64_t expires_s;                  /* seconds since 1970; 0: with the session */
    int64_t created_s;                  /* of the session; 0: it does not say */
    const struct auth_door *door;       /* of a JWT; NULL: the session says */
    const struct auth_profile *profile; /* of a JWT; else NULL */
    struct busi_str id;                 /* of a JWT, to which the session is bound; may be absent */
    int64_t user_id;                    /* of a JWT; 0: the session says */
};

/* A new session's names and, for JWTs, its token's. False: out of memory. */
[[nodiscard]] bool auth_token_name(struct busi_arena *arena, struct auth_session *session);
/* Another JWT's name, as the tokens of this door have one; "" where they have none. ptr NULL: out of memory.
 */
[[nodiscard]] struct busi_str auth_token_new_id(struct busi_arena *arena, const struct auth_door *door);
/* The session's JWT with this profile (of the session's door), id, beginning (created_s) and end. ptr NULL:
 * out of memory. */
[[nodiscard]] struct busi_str auth_token_sign(struct busi_arena *arena, const struct auth_session *session,
                                              const struct auth_token *token);
/* An access token of a session that now_s is a time of, and when it expires. ptr NULL: out of memory. */
[[nodiscard]] struct busi_str auth_token_access(struct auth *self, struct busi_arena *arena,
                                                const struct auth_session *session, int64_t now_s,
                                                int64_t *expires_s);
/* ptr NULL also when the session's door hands out none: ask the door's format. */
[[nodiscard]] struct busi_str auth_token_refresh(struct auth *self, struct busi_arena *arena,
                                                 const struct auth_session *session);

enum auth_token_verdict {
    AUTH_TOKEN_GOOD,
    AUTH_TOKEN_INVALID,
    AUTH_TOKEN_EXPIRED,
    AUTH_TOKEN_NOT_YET,
    AUTH_TOKEN_UNREAD /* there was no memory to read it */
};
/* Believed only as far as signature or seal go. All but INVALID and UNREAD fill token; texts in the arena. */
[[nodiscard]] enum auth_token_verdict auth_token_read(struct auth *self, struct busi_arena *arena,
                                                      struct busi_str text, struct auth_token *token);
/* Whether the session, as Redis holds it, is what the token speaks of. */
[[nodiscard]] bool auth_token_of(const struct auth_token *token, const struct auth_session *session);
/* Also one that has expired, or that a later one has taken the place of. */
[[nodiscard]] bool auth_token_may_end(const struct auth_token *token, const struct auth_session *session);
