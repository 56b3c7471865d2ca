/* Methods whose parts are being built right now. */
#include "auth.h"

#define UNIMPLEMENTED(name, request, reply)                                                                  \
    enum busi_code auth_##name(struct auth *self, struct busi_call *call, const struct busi_##request *in,   \
                               struct busi_##reply *out)                                                     \
    {                                                                                                        \
        (void)self, (void)in, (void)out;                                                                     \
        return busi_call_fail(call, BUSI_UNIMPLEMENTED, "not yet");                                          \
    }
UNIMPLEMENTED(list_roles, list_roles_request, list_roles_reply)
UNIMPLEMENTED(count_roles, list_roles_request, count_reply)
UNIMPLEMENTED(create_role, role, empty)
UNIMPLEMENTED(update_role, role, count_reply)
UNIMPLEMENTED(delete_role, role_name_request, count_reply)
UNIMPLEMENTED(grant_role, user_role_request, count_reply)
UNIMPLEMENTED(revoke_role, user_role_request, count_reply)
UNIMPLEMENTED(list_user_roles, list_user_roles_request, list_user_roles_reply)
UNIMPLEMENTED(count_user_roles, list_user_roles_request, count_reply)
