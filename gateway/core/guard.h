/* Lets only requests with a valid token of a living session pass, which also holds to the route's rules. */
#pragma once
#include "core/exchange.h"

/* True: call.user_id and x->principal say who asks; that is *principal, its texts in the call's arena. False:
 * answered. */
[[nodiscard]] bool guard_admit(struct exchange *x, struct busi_principal *principal);
/* Whose token it is, remembered or asked for; as auth.CheckToken answers. */
[[nodiscard]] enum busi_code guard_check(struct exchange *x, struct busi_str token,
                                         struct busi_principal *principal);
