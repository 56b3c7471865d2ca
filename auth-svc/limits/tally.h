/* What the limits refuse, which a flood can make more of than rows could be written: counted, and written to
 * the audit log (audit/audit.h), a row a minute for each kind. Loop thread only. */
#pragma once
#include "limits/limiter.h"
#include "loop/fiber.h"

struct auth_limit_tally;
/* NULL: no fiber is left, or out of memory. */
[[nodiscard]] struct auth_limit_tally *auth_limit_tally_new(struct auth *self, struct busi_fibers *fibers);
void auth_limit_tally_free(struct auth_limit_tally **tally);
void auth_limit_tally_add(struct auth_limit_tally *tally, enum auth_limit limit);
/* Ends its fiber when what was counted is written, or could not be. */
void auth_limit_tally_stop(struct auth_limit_tally *tally);
bool auth_limit_tally_stopped(const struct auth_limit_tally *tally);
