/* JWS compact tokens (RFC 7515/7519) with HMAC keys, by RFC 8725: the key decides the algorithm, the header
 * must be that key's one exact text, nothing in a token is believed before its signature. Pure; any thread.
 */
#pragma once
#include "base/arena.h"

enum busi_jwt_algorithm { BUSI_JWT_HS256, BUSI_JWT_HS512 };
/* Claims that tokens of a key may come without; sid, exp, iat and nbf all have. */
enum { BUSI_JWT_NO_JTI = 1, BUSI_JWT_NO_SUB = 2, BUSI_JWT_NO_TYP = 4 };
struct busi_jwt_key {
    enum busi_jwt_algorithm algorithm;
    struct busi_str secret;           /* raw bytes; at least 32 (HS256) or 64 (HS512) */
    struct busi_str issuer, audience; /* checked exactly; absent: the claim is not looked at */
    unsigned without;                 /* BUSI_JWT_NO_ bits */
    int64_t early_s, late_s; /* clocks may differ so much: a token is good before nbf and after exp */
    struct busi_str header;  /* encoded, with a kid (busi_jwt_header()); absent: the one without */
};
struct busi_jwt_claims {
    struct busi_str jti, subject, type, session_id; /* jti, sub, typ, sid; absent: not among the claims */
    struct busi_str purpose, name;                  /* purpose, unique_name; likewise */
    struct busi_str role;                           /* to sign only: a JSON value, or absent */
    int64_t issued_at, not_before, expires_at;      /* seconds since 1970 */
    /* to sign only: a JSON object whose members are claims besides; ours win. Or absent */
    struct busi_str more;
};
enum busi_jwt_verdict { BUSI_JWT_OK, BUSI_JWT_INVALID, BUSI_JWT_EXPIRED, BUSI_JWT_NOT_YET };

/* Once, before threads: from then on JSON for which there is no memory ends the process. */
void busi_jwt_init(void);
/* A key's name: 1 to BUSI_JWT_KID_MOST of A-Z a-z 0-9 - _ . */
bool busi_jwt_kid_valid(struct busi_str kid);
/* {"alg":"HS512","kid":kid,"typ":"JWT"}, encoded into out. The kid is valid. */
enum { BUSI_JWT_KID_MOST = 64, BUSI_JWT_HEADER_MOST = 144 };
struct busi_str busi_jwt_header(char out[BUSI_JWT_HEADER_MOST], enum busi_jwt_algorithm algorithm,
                                struct busi_str kid);
/* {"alg":"HS512","typ":"JWT"} or the key's header, and {"aud","exp","iat","iss","jti","nbf","purpose","role",
 * "sid","sub","typ","unique_name"} and then what claims->more has besides. ptr NULL: too long, or out of
 * memory. */
[[nodiscard]] struct busi_str busi_jwt_sign(struct busi_arena *arena, const struct busi_jwt_key *key,
                                            const struct busi_jwt_claims *claims);
/* now_s: seconds since 1970. EXPIRED and NOT_YET come with claims filled (well signed). exp + late == now is
 * expired. */
[[nodiscard]] enum busi_jwt_verdict busi_jwt_verify(struct busi_arena *arena, const struct busi_jwt_key *key,
                                                    struct busi_str token, int64_t now_s,
                                                    struct busi_jwt_claims *claims);
/* What a token that was verified says besides our claims, as a JSON object. Absent: nothing, or out of
 * memory. */
[[nodiscard]] struct busi_str busi_jwt_more(struct busi_arena *arena, struct busi_str token);
