/* Methods whose parts are being built right now. */
#include "auth.h"

#define UNIMPLEMENTED(name, request, reply)                                                                  \
    enum busi_code auth_##name(struct auth *self, struct busi_call *call, const struct busi_##request *in,   \
                               struct busi_##reply *out)                                                     \
    {                                                                                                        \
        (void)self, (void)in, (void)out;                                                                     \
        return busi_call_fail(call, BUSI_UNIMPLEMENTED, "not yet");                                          \
    }
UNIMPLEMENTED(list_sessions, user_id_request, list_sessions_reply)
UNIMPLEMENTED(end_session, session_id_request, count_reply)
UNIMPLEMENTED(end_other_sessions, check_token_request, count_reply)
