/* Times as other systems write them. Pure. */
#pragma once
#include "base/arena.h"

/* "2018-11-11T07:00:53Z", "2018-11-11 07:00:53.229068", "2018-11-11 07:00:53+02:00", UTC where no offset is
 * given: out becomes a text that Postgres reads as timestamptz (may be the same as text). False: it is none,
 * or of a year before 1970; or out of memory. */
[[nodiscard]] bool auth_import_time(struct busi_arena *arena, struct busi_str text, struct busi_str *out);
