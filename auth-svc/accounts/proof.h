/* Signing in by a secret that works once, out of a mail or from one page to the next. */
#pragma once
#include "core/auth.h"
#include "core/one_time.h"
#include "limits/limiter.h"

struct auth_proof {
    enum auth_one_time_kind kind;
    struct busi_str secret; /* as somebody gives it */
    struct busi_str name;   /* whose it must be, as typed; or absent */
    struct busi_str door;   /* through which a session begins */
    enum auth_limit limit;  /* what the try counts as */
};
/* Of many who give it at once one uses it up; whoever a hook does not let in may come again with it.
 * out->user_id 0: it is good for nobody, the caller says how. Whoever read a mail has confirmed the address.
 */
[[nodiscard]] enum busi_code auth_proof_sign_in(struct auth *self, struct busi_call *call,
                                                const struct auth_proof *proof,
                                                struct busi_session_reply *out);
