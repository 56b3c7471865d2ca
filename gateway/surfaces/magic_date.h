/* Dates as Magic's clients write and read them: ISO 8601. Pure; any thread. */
#pragma once
#include "base/buf.h"

/* "2024-01-31", or with a time: "T12:00", "T12:00:59", "T12:00:59.123456", in UTC or with "Z", "+02:00"
 * behind it. Years 1970 to 9999. */
[[nodiscard]] bool magic_date_read(struct busi_str text, int64_t *us);
/* "2024-01-31T12:00:59.123456Z", with quotes. us: since 1970, not negative. */
void magic_date_write(struct busi_buf *out, int64_t us);
