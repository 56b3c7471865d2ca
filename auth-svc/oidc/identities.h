/* Who somebody is elsewhere, and which account that is here (auth.identities). */
#pragma once
#include "core/auth.h"
#include "oidc/rules.h"
#include "oidc/token.h"

/* Signs in whom a provider vouches for. The account is the one its subject has signed in to before; else the
 * one with its e-mail, which the provider must have verified; else a new one, unless the provider's rule says
 * that it makes none. An account whose address its owner has never confirmed may have been made by a stranger
 * in wait: the owner takes it over, the password and all sessions of it end. UNAUTHENTICATED: none of these,
 * or the account is blocked. */
[[nodiscard]] enum busi_code auth_identity_sign_in(struct auth *self, struct busi_call *call,
                                                   const struct auth_oidc_rule *rule,
                                                   const struct auth_oidc_identity *identity,
                                                   const struct auth_door *door,
                                                   struct busi_session_reply *out);
