/* A provider and what it publishes of itself: endpoints (OpenID Connect Discovery 1.0) and keys, fetched when
 * needed and kept for an hour. Functions block; several threads may use one provider. */
#pragma once
#include "oidc/fetch.h"
#include "oidc/rules.h"
#include "oidc/token.h"

struct auth_oidc_provider;
/* Rule and web are borrowed while it lives. NULL: out of memory. */
[[nodiscard]] struct auth_oidc_provider *auth_oidc_provider_new(const struct auth_oidc_rule *rule,
                                                                const struct auth_oidc_web *web);
void auth_oidc_provider_free(struct auth_oidc_provider **provider);
const struct auth_oidc_rule *auth_oidc_provider_rule(const struct auth_oidc_provider *provider);

enum auth_oidc_outcome {
    AUTH_OIDC_DONE,
    AUTH_OIDC_AWAY,   /* nobody can say: it did not answer, or nonsense */
    AUTH_OIDC_REFUSED /* it says no, or what it says is not good enough */
};
/* Why it came out so, for logs: the name of a step and words without secrets. */
struct auth_oidc_reason {
    const char *step; /* static */
    char text[160];
};

struct auth_oidc_visit {
    struct busi_arena *arena;     /* of what comes back; nobody else's meanwhile */
    struct busi_str redirect_uri; /* where the browser comes back to, as the provider knows it */
    int64_t until_ms;             /* busi_now_ms() scale */
    struct auth_oidc_reason reason;
};
/* Where to send the browser: the authorization request (RFC 6749 section 4.1.1, RFC 7636, Core 3.1.2.1). */
struct auth_oidc_state;
[[nodiscard]] enum auth_oidc_outcome auth_oidc_provider_location(struct auth_oidc_provider *provider,
                                                                 struct auth_oidc_visit *visit,
                                                                 const struct auth_oidc_state *state,
                                                                 struct busi_str *location);
/* Exchanges the code for who somebody is. An e-mail that the ID token lacks is asked of the UserInfo
 * endpoint. */
[[nodiscard]] enum auth_oidc_outcome auth_oidc_provider_redeem(struct auth_oidc_provider *provider,
                                                               struct auth_oidc_visit *visit,
                                                               const struct auth_oidc_state *state,
                                                               struct busi_str code,
                                                               struct auth_oidc_identity *identity);
