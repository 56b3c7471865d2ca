/* Sign-in by OpenID providers: the methods of auth.h that name one. What a provider says is fetched on
 * threads of its own; the loop never waits for it. */
#pragma once
#include "core/auth.h"

struct auth_oidc;
/* NULL and *error (static): the settings are unusable, or no threads. Without providers it has none. */
[[nodiscard]] struct auth_oidc *auth_oidc_new(struct busi_loop *loop, const struct busi_settings *settings,
                                              const char **error);
void auth_oidc_free(struct auth_oidc **oidc);
