/* Steps of strategies of the ash surface that a mail is part of. */
#pragma once
#include "rpc/methods.h"
#include "surfaces/ash_outcome.h"

/* The whole handler of a request for a mail; method takes an account_name_request. */
void ash_ask_for_mail(struct exchange *x, const struct ash_activity *activity, enum busi_method_id method);
/* The whole handler of what signs in with a secret of this kind (auth-svc/core/one_time.def), which is the
 * parameter of that name. */
void ash_sign_in_by_link(struct exchange *x, const struct ash_activity *activity, struct busi_str kind,
                         const char *name);
