#include "answers.h"
#include "session_store.h"

enum { RETRY_AFTER_MS = 1000 };

enum busi_code auth_no_memory(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_INTERNAL, "the call's memory is used up");
}

enum busi_code auth_no_such_door(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "no such door");
}

enum busi_code auth_unauthorized(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_UNAUTHENTICATED, "unauthorized");
}

enum busi_code auth_database_lost(struct busi_call *call, const char *message)
{
    call->retry_after_ms = RETRY_AFTER_MS;
    return busi_call_fail(call, BUSI_UNAVAILABLE, message);
}

enum busi_code auth_need_sessions(struct auth *self, struct busi_call *call)
{
    return busi_redis_ready(self->redis) ? BUSI_OK : auth_store_away(call);
}
