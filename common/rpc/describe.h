/* The answer of rpc.Describe, from the rows of proto. Pure. */
#pragma once
#include "base/arena.h"
#include "rpc/methods.h"

/* These methods, those that every service has, and all their messages; lists are in the arena. False: it is
 * too small. */
[[nodiscard]] bool busi_describe(const struct busi_endpoint *endpoints, size_t n, struct busi_arena *arena,
                                 struct busi_describe_reply *out);
