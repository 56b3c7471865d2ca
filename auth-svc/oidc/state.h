/* What the browser keeps while it is at the provider, in a cookie: who it is to come back from, a random
 * text, until when, where it wanted to go, and a keyed hash over that. The nonce and the verifier of PKCE
 * (RFC 7636) are derived from the random text under a key, so nothing is stored and any replica can finish
 * what another began. The text itself goes to the provider as `state` (RFC 6749 section 10.12). Pure. */
#pragma once
#include "base/arena.h"

enum { AUTH_OIDC_STATE_S = 600, AUTH_OIDC_RETURN_MOST = 1024 };

struct auth_oidc_state {
    struct busi_str state;     /* random, 43 characters */
    struct busi_str nonce;     /* 43 characters */
    struct busi_str verifier;  /* 43 characters, RFC 7636 section 4.1 */
    struct busi_str challenge; /* S256 of it */
    struct busi_str return_to; /* the caller's own text, "" if there was none */
};
/* *cookie: base64url and dots. False: out of memory, or return_to is too long. */
[[nodiscard]] bool auth_oidc_state_make(struct busi_arena *arena, struct busi_str key,
                                        struct busi_str provider, struct busi_str return_to, int64_t now_s,
                                        struct auth_oidc_state *out, struct busi_str *cookie);
/* False: not one of ours for this provider, expired, or its text is not `state`. */
[[nodiscard]] bool auth_oidc_state_read(struct busi_arena *arena, struct busi_str key,
                                        struct busi_str provider, struct busi_str cookie,
                                        struct busi_str state, int64_t now_s, struct auth_oidc_state *out);
