/* Accounts as messages of that name, out of rows with the columns of statements.def's MANAGED. */
#pragma once
#include "core/auth.h"

enum { AUTH_EXTRAS_MOST = 32, AUTH_EXTRA_MOST_BYTES = 1024 }; /* of one account, of a value */

/* INTERNAL: out of memory, or the row has other columns. */
[[nodiscard]] enum busi_code auth_managed_user_read(struct busi_call *call,
                                                    const struct busi_pg_result *result, int row,
                                                    struct busi_account *out);
/* Their extras, for as many of the n accounts as one answer can hold with them: *fit, at least one. */
[[nodiscard]] enum busi_code auth_managed_users_complete(struct auth *self, struct busi_call *call,
                                                         struct busi_account *accounts, size_t n,
                                                         size_t *fit);

/* Somebody a caller names: by id or, when that is 0, by user name or e-mail. Fills three parameters of
 * statements, of which all but one are null; all when nobody is named. False: out of memory. */
[[nodiscard]] bool auth_named_user(struct busi_call *call, int64_t user_id, struct busi_str name,
                                   struct busi_str params[3]);
/* "no such user" */
[[nodiscard]] enum busi_code auth_no_such_user(struct busi_call *call);
