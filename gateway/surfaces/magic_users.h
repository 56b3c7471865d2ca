/* Accounts as Magic names them: by user name, or by e-mail where they have none. */
#pragma once
#include "core/exchange.h"

/* The account the argument `username` names; user_id 0: there is none. */
[[nodiscard]] enum busi_code magic_find_user(struct exchange *x, struct busi_account *out);
