/* An account as the message of that name, out of a row with the columns of statements.def's MANAGED. */
#pragma once
#include "auth.h"

/* INTERNAL: out of memory, or the row has other columns. */
[[nodiscard]] enum busi_code auth_managed_user_read(struct busi_call *call,
                                                    const struct busi_pg_result *result, int row,
                                                    struct busi_account *out);
