/* auth.GrantRole, RevokeRole, ListUserRoles, CountUserRoles */
#include "audit/audit.h"
#include "base/log.h"
#include "core/account.h"
#include "core/answers.h"
#include "core/listing.h"
#include "roles/roles.h"
#include "sessions/sessions.h"

enum { ROLE, USER_ID, EMAIL, USERNAME, NAMED }; /* parameters of all statements here */

/* The user by id or, where that is 0, by a name. */
static bool name(struct busi_arena *arena, struct busi_str role, int64_t user_id, struct busi_str user,
                 struct busi_str params[NAMED])
{
    struct auth_name_keys keys = {0};
    if (user_id == 0 && user.ptr && !auth_name_keys(arena, user, &keys))
        return false;
    params[ROLE] = role.ptr ? auth_role_key(arena, role) : role;
    params[USER_ID] = user_id ? busi_arena_int(arena, user_id) : (struct busi_str){0};
    params[EMAIL] = keys.email;
    params[USERNAME] = keys.username;
    return (params[ROLE].ptr || !role.ptr) && (params[USER_ID].ptr || !user_id);
}

/* What one of the two statements found, and whether it changed anything. */
struct change {
    int64_t user_id; /* 0: no such user */
    bool role;       /* there is one of this name */
    bool done;
};

static enum busi_code change(struct auth *self, struct busi_call *call, enum auth_statement statement,
                             const struct busi_user_role_request *in, struct change *change)
{
    const enum auth_audit_event event =
        statement == AUTH_GRANT_ROLE ? AUTH_AUDIT_grant_role : AUTH_AUDIT_revoke_role;
    enum { FOUND_USER, FOUND_ROLE, DONE };
    struct busi_pg_result result;
    struct busi_str params[NAMED + 1];
    if (!name(&call->arena, in->role, in->user_id, in->name, params))
        return auth_no_memory(call);
    params[NAMED] = auth_audit_row(self, call, &(struct auth_deed){.event = event, .detail = params[ROLE]});
    if (!params[NAMED].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    *change = (struct change){busi_pg_int(&result, 0, FOUND_USER), busi_pg_int(&result, 0, FOUND_ROLE) != 0,
                              busi_pg_int(&result, 0, DONE) != 0};
    if (code == BUSI_FAILED_PRECONDITION)
        code = auth_refused(call, result.constraint);
    busi_pg_clear(&result);
    if (code == BUSI_OK && change->done)
        busi_log(BUSI_INFO, event == AUTH_AUDIT_grant_role ? "role_granted" : "role_revoked",
                 BUSI_I("user_id", change->user_id), BUSI_S("role", params[ROLE]),
                 BUSI_S("request_id", call->request_id));
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; it may be done") : code;
}

/* Sessions are seen to also when nothing changed: somebody may have failed between the database and them, and
 * tries again. */
enum busi_code auth_grant_role(struct auth *self, struct busi_call *call,
                               const struct busi_user_role_request *in, struct busi_count_reply *out)
{
    struct change done = {0};
    enum busi_code code = change(self, call, AUTH_GRANT_ROLE, in, &done);
    if (code != BUSI_OK)
        return code;
    if (!done.role || done.user_id == 0)
        return busi_call_fail(call, BUSI_NOT_FOUND, done.role ? "no such user" : "no such role");
    code = auth_session_update_roles(self, call, done.user_id);
    if (code == BUSI_OK && !done.done)
        return busi_call_fail(call, BUSI_ALREADY_EXISTS, "the user has the role");
    out->count = done.done;
    return code;
}

/* Count 0: there is no such user, no such role, or it did not have it. */
enum busi_code auth_revoke_role(struct auth *self, struct busi_call *call,
                                const struct busi_user_role_request *in, struct busi_count_reply *out)
{
    struct change done = {0};
    enum busi_code code = change(self, call, AUTH_REVOKE_ROLE, in, &done);
    if (code == BUSI_OK && done.user_id != 0)
        code = auth_session_update_roles(self, call, done.user_id);
    out->count = done.done;
    return code;
}

/* ---- listing ---- */

enum busi_code auth_list_user_roles(struct auth *self, struct busi_call *call,
                                    const struct busi_list_user_roles_request *in,
                                    struct busi_list_user_roles_reply *out)
{
    struct busi_pg_result result;
    struct busi_str params[NAMED + 2];
    void *items;
    if (!name(&call->arena, in->role, in->user_id, in->name, params))
        return auth_no_memory(call);
    enum busi_code code = auth_listing_page(call, in->limit, in->offset, params + NAMED);
    if (code != BUSI_OK)
        return code;
    code = busi_pg_run(self->pg, AUTH_LIST_USER_ROLES, params, call->until_ms, &result);
    if (code == BUSI_OK)
        code = auth_listing_read(call, &result, busi_desc_user_role(), &items, &out->grants.n);
    if (code == BUSI_OK)
        out->grants.items = items;
    busi_pg_clear(&result);
    return code;
}

enum busi_code auth_count_user_roles(struct auth *self, struct busi_call *call,
                                     const struct busi_list_user_roles_request *in,
                                     struct busi_count_reply *out)
{
    struct busi_str params[NAMED];
    if (!name(&call->arena, in->role, in->user_id, in->name, params))
        return auth_no_memory(call);
    return auth_listing_count(self, call, AUTH_COUNT_USER_ROLES, params, out);
}
