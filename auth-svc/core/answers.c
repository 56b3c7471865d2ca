#include "core/answers.h"
#include "core/session_store.h"

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

enum busi_code auth_refused(struct busi_call *call, const char *constraint)
{
    static const struct {
        const char *constraint, *message;
    } rules[] = {{"roles_last_root", "nobody would be root"},
                 {"roles_root", "the role root stays"},
                 {"users_roles_length", "too many roles"}};
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (strcmp(constraint, rules[i].constraint) == 0)
            return busi_call_fail(call, BUSI_FAILED_PRECONDITION, rules[i].message);
    return busi_call_fail(call, BUSI_FAILED_PRECONDITION, "a rule of the database");
}
