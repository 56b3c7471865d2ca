/* The settings BUSI_OIDC_PROVIDERS and BUSI_OIDC_SECRETS, read. Pure.
 *
 *   providers  "google=https://accounts.google.com CLIENT_ID; corp=https://id.example.com CLIENT_ID known"
 *   secrets    a line each: "google SECRET"
 *
 * known: only those sign in who have an account already. A provider without a secret is a public client,
 * which PKCE alone protects. */
#pragma once
#include "base/str.h"

enum { AUTH_OIDC_PROVIDERS_MOST = 8, AUTH_OIDC_NAME_MOST = 32, AUTH_OIDC_TEXT_MOST = 256 };

struct auth_oidc_rule {
    struct busi_str name;      /* in paths: /auth/user/<name> */
    struct busi_str issuer;    /* as its tokens say it, exactly */
    struct busi_str client_id; /* what we are to it */
    struct busi_str secret;    /* absent: none */
    bool known_only;           /* it makes no accounts */
};
/* Texts are borrowed from the settings. */
struct auth_oidc_rules {
    struct auth_oidc_rule list[AUTH_OIDC_PROVIDERS_MOST];
    size_t n;
};
/* NULL: understood. Otherwise what is wrong (static), and in *culprit where (borrowed; never a secret). */
[[nodiscard]] const char *auth_oidc_rules_read(struct auth_oidc_rules *rules, struct busi_str providers,
                                               struct busi_str secrets, struct busi_str *culprit);
