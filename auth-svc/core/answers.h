/* Failures that several handlers answer with, worded once. */
#pragma once
#include "core/auth.h"

[[nodiscard]] enum busi_code auth_no_memory(struct busi_call *call);
[[nodiscard]] enum busi_code auth_no_such_door(struct busi_call *call);
/* One text for all reasons, which differ in nothing that can be seen. */
[[nodiscard]] enum busi_code auth_unauthorized(struct busi_call *call);
/* A write whose outcome is unknown; message says what may have happened. */
[[nodiscard]] enum busi_code auth_database_lost(struct busi_call *call, const char *message);
/* OK, or UNAVAILABLE: to be asked before work begins that would be of no use without sessions. */
[[nodiscard]] enum busi_code auth_need_sessions(struct auth *self, struct busi_call *call);
/* A change that a rule of the database refused; constraint is its name. FAILED_PRECONDITION, in words for the
 * rules that somebody can run into, as "nobody would be root". */
[[nodiscard]] enum busi_code auth_refused(struct busi_call *call, const char *constraint);
