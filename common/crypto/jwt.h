/* JWS compact tokens (RFC 7515/7519) with HMAC keys, by RFC 8725: the key decides the algorithm, the header
 * must be that key's one exact text, nothing in a token is believed before its signature. Pure; any thread.
 */
#pragma once
#include "base/arena.h"

enum busi_jwt_algorithm { BUSI_JWT_HS256, BUSI_JWT_HS512 };
struct busi_jwt_key {
    enum busi_jwt_algorithm algorithm;
    struct busi_str secret;           /* raw bytes; at least 32 (HS256) or 64 (HS512) */
    struct busi_str issuer, audience; /* checked exactly; absent: the claim is not looked at */
};
struct busi_jwt_claims {
    struct busi_str jti, subject, type, session_id; /* jti, sub, typ, sid */
    int64_t issued_at, not_before, expires_at;      /* seconds since 1970 */
    struct busi_str
        more; /* to sign only: a JSON object whose members are claims besides; ours win. Or absent */
};
enum busi_jwt_verdict { BUSI_JWT_OK, BUSI_JWT_INVALID, BUSI_JWT_EXPIRED, BUSI_JWT_NOT_YET };

/* {"alg":"HS512","typ":"JWT"} and {"aud","exp","iat","iss","jti","nbf","sid","sub","typ"} and
 * then what claims->more has. ptr NULL: too long, or out of memory. */
[[nodiscard]] struct busi_str busi_jwt_sign(struct busi_arena *arena, const struct busi_jwt_key *key,
                                            const struct busi_jwt_claims *claims);
/* now_s: seconds since 1970. EXPIRED and NOT_YET come with claims filled (well signed). exp == now is
 * expired. */
[[nodiscard]] enum busi_jwt_verdict busi_jwt_verify(struct busi_arena *arena, const struct busi_jwt_key *key,
                                                    struct busi_str token, int64_t now_s,
                                                    struct busi_jwt_claims *claims);
