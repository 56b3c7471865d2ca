/* What people get at the ash surface: a cookie and the way on, or the form once more with what was wrong. */
#pragma once
#include "surfaces/ash_outcome.h"

/* Those of ash_outcome.h, for people. */
[[nodiscard]] bool ash_page_begin(struct exchange *x);
[[nodiscard]] bool ash_page_begin_by_link(struct exchange *x, const struct ash_activity *activity,
                                          struct busi_str secret);
void ash_page_answer(struct exchange *x, const struct ash_activity *activity,
                     const struct ash_outcome *outcome);
