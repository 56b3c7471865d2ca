/* Answers that list rows. */
#pragma once
#include "auth.h"

/* $LIMIT and $OFFSET of a statement; limit 0: 100. False: out of memory. */
[[nodiscard]] bool auth_listing_page(struct busi_arena *arena, int64_t limit, int64_t offset,
                                     struct busi_str params[2]);
/* All rows as messages of one kind, *items (a struct busi_X *) in the call's arena. */
[[nodiscard]] enum busi_code auth_listing_read(struct busi_call *call, const struct busi_pg_result *result,
                                               const struct busi_desc *desc, void **items, size_t *n);
