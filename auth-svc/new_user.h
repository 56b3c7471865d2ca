/* What a new account must look like. Pure. */
#pragma once
#include "rpc/call.h"

/* Adds a violation to the call for each field that is wrong; false when there is any. */
bool auth_new_user_check(struct busi_call *call, const struct busi_sign_up_request *in,
                         size_t least_password);
