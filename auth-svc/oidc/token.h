/* ID tokens (OpenID Connect Core 1.0, section 3.1.3.7), verified over cjose with the provider's published
 * keys. The key decides the algorithm (RFC 8725): a signature counts only if its alg is one of the key's
 * type. No HMAC and no `none`: the client secret signs nothing. Pure. */
#pragma once
#include "base/arena.h"

struct auth_oidc_expected {
    struct busi_str issuer, client_id, nonce;
    int64_t now_s; /* since 1970 */
};
/* Who somebody is to a provider. Texts in the arena. */
struct auth_oidc_identity {
    struct busi_str subject; /* at most 255 bytes */
    struct busi_str email;   /* absent: it did not say */
    bool email_verified;
};
enum auth_oidc_verdict {
    AUTH_OIDC_GOOD,
    AUTH_OIDC_UNKNOWN_KEY, /* signed with a key that is not in the set: it may be a new one */
    AUTH_OIDC_INVALID
};
/* jwks: a JWK set (RFC 7517). *why (static) is for logs. */
[[nodiscard]] enum auth_oidc_verdict auth_oidc_token_read(struct busi_arena *arena, struct busi_str token,
                                                          struct busi_str jwks,
                                                          const struct auth_oidc_expected *expected,
                                                          struct auth_oidc_identity *identity,
                                                          const char **why);
/* The claims of an answer of the UserInfo endpoint; only the subject is sure to be there. */
[[nodiscard]] bool auth_oidc_user_info_read(struct busi_arena *arena, struct busi_str json,
                                            struct auth_oidc_identity *identity);
