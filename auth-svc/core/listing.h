/* Answers that list rows. */
#pragma once
#include "core/auth.h"

enum { AUTH_LISTING_USUAL = 100 };
/* LIMIT and OFFSET as parameters of a statement; limit 0: AUTH_LISTING_USUAL. INVALID_ARGUMENT with
 * violations: less than 0. */
[[nodiscard]] enum busi_code auth_listing_page(struct busi_call *call, int64_t limit, int64_t offset,
                                               struct busi_str params[2]);
/* A pattern of SQL's LIKE as it meets names and texts in lower case; absent when absent. INVALID_ARGUMENT
 * with a violation of that field: it escapes nothing at its end. */
[[nodiscard]] enum busi_code auth_listing_pattern(struct busi_call *call, const char *field,
                                                  struct busi_str pattern, struct busi_str *param);
/* All rows as messages of one kind, *items (a struct busi_X *) in the call's arena. */
[[nodiscard]] enum busi_code auth_listing_read(struct busi_call *call, const struct busi_pg_result *result,
                                               const struct busi_desc *desc, void **items, size_t *n);
/* By a statement that counts. */
[[nodiscard]] enum busi_code auth_listing_count(struct auth *self, struct busi_call *call,
                                                enum auth_statement statement, const struct busi_str *params,
                                                struct busi_count_reply *out);
