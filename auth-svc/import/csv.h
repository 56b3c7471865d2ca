/* One record of CSV as RFC 4180 has it: fields with commas between, quotes around those that hold commas,
 * quotes or line ends, a quote within them doubled. Strict: no other quotes, no blanks around them. Pure. */
#pragma once
#include "base/arena.h"

/* Fills at most `most` fields (texts in the record or in the arena; an empty one that had no quotes has ptr
 * NULL) and says in *n how many. NULL, or what is wrong (static): quotes out of place, more fields than that,
 * no memory. */
[[nodiscard]] const char *auth_import_csv_split(struct busi_arena *arena, struct busi_str record,
                                                struct busi_str *fields, size_t most, size_t *n);
