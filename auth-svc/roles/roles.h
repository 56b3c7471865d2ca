/* Names of roles as they are typed. */
#pragma once
#include "base/roles.h"
#include "core/auth.h"

/* As Postgres has it; "" if it can be no role's. ptr NULL: out of memory. */
[[nodiscard]] struct busi_str auth_role_key(struct busi_arena *arena, struct busi_str name);
