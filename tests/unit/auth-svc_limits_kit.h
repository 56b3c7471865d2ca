/* Tries as a client's, counted by a real Redis. */
#pragma once
#include "auth-svc_kit.h"
#include "limits/limiter.h"

static inline enum busi_code try_from(struct busi_call *call, enum auth_limit limit, const char *address,
                                      const char *name)
{
    begin(call);
    call->origin.remote_addr = busi_str_of(address);
    return auth_limit(world.auth, call, limit, busi_str_of(name));
}

/* One try to sign in; address or name NULL: unknown. */
static inline bool may(const char *address, const char *name)
{
    enum busi_code code = try_from(&world.call, AUTH_LIMIT_sign_in, address, name);
    cr_assert(code == BUSI_OK || (code == BUSI_RESOURCE_EXHAUSTED && world.call.quota.limit > 0), "%s",
              busi_code_name((int)code));
    return code == BUSI_OK;
}

/* How many of n tries pass. */
static inline int pass(int n, const char *address, const char *name)
{
    int passed = 0;
    for (int i = 0; i < n; i++)
        passed += may(address, name);
    return passed;
}
