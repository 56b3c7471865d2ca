/* auth.ListRoles, CountRoles, CreateRole, UpdateRole, DeleteRole */
#include "roles/roles.h"
#include "audit/audit.h"
#include "base/log.h"
#include "base/text.h"
#include "core/answers.h"
#include "core/email.h"
#include "core/listing.h"
#include "roles/remover.h"
#include "sessions/feed.h"
#include "sessions/retired_roles.h"

enum { DESCRIPTION_MOST_BYTES = 1024 };

struct busi_str auth_role_key(struct busi_arena *arena, struct busi_str name)
{
    return busi_role_name_valid(name) ? auth_name_key(arena, name) : BUSI_STR("");
}

/* ---- listing ---- */

/* What $1 and $2 are; a name that can be no role's lists nothing. */
static enum busi_code filter(struct busi_call *call, const struct busi_list_roles_request *in,
                             struct busi_str params[2])
{
    params[0] = in->name.ptr ? auth_role_key(&call->arena, in->name) : (struct busi_str){0};
    if (in->name.ptr && !params[0].ptr)
        return auth_no_memory(call);
    return auth_listing_pattern(call, "name_like", in->name_like, &params[1]);
}

enum busi_code auth_list_roles(struct auth *self, struct busi_call *call,
                               const struct busi_list_roles_request *in, struct busi_list_roles_reply *out)
{
    struct busi_pg_result result;
    struct busi_str params[5] = {[2] = in->descending ? BUSI_STR("t") : BUSI_STR("f")};
    void *items;
    enum busi_code code = filter(call, in, params);
    if (code == BUSI_OK)
        code = auth_listing_page(call, in->limit, in->offset, params + 3);
    if (code != BUSI_OK)
        return code;
    code = busi_pg_run(self->pg, AUTH_LIST_ROLES, params, call->until_ms, &result);
    if (code == BUSI_OK)
        code = auth_listing_read(call, &result, busi_desc_role(), &items, &out->roles.n);
    if (code == BUSI_OK)
        out->roles.items = items;
    busi_pg_clear(&result);
    return code;
}

static enum busi_code count(struct auth *self, struct busi_call *call, enum auth_statement statement,
                            const struct busi_str *params, struct busi_count_reply *out)
{
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    out->count = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; it may be done") : code;
}

enum busi_code auth_count_roles(struct auth *self, struct busi_call *call,
                                const struct busi_list_roles_request *in, struct busi_count_reply *out)
{
    struct busi_str params[2];
    enum busi_code code = filter(call, in, params);
    return code == BUSI_OK ? count(self, call, AUTH_COUNT_ROLES, params, out) : code;
}

/* ---- changing ---- */

static void refuse_name(struct busi_call *call, struct busi_str name)
{
    if (busi_utf8_blank(name))
        busi_call_refuse(call, "name", BUSI_RULE_BLANK, 0);
    else if (name.len > BUSI_ROLE_MOST)
        busi_call_refuse(call, "name", BUSI_RULE_TOO_LONG, BUSI_ROLE_MOST);
    else if (!busi_role_name_valid(name))
        busi_call_refuse(call, "name", BUSI_RULE_FORMAT, 0);
}

/* A change that is kept in the audit log; ptr NULL: out of memory. */
static struct busi_str deed(struct auth *self, struct busi_call *call, enum auth_audit_event event,
                            struct busi_str role)
{
    return auth_audit_row(self, call, &(struct auth_deed){.event = event, .detail = role});
}

static enum busi_code check(struct auth *self, struct busi_call *call, const struct busi_role *in,
                            enum auth_audit_event event, struct busi_str params[3])
{
    refuse_name(call, in->name);
    if (in->description.len > DESCRIPTION_MOST_BYTES)
        busi_call_refuse(call, "description", BUSI_RULE_TOO_LONG, DESCRIPTION_MOST_BYTES);
    if (call->n_violations > 0)
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the role is not valid");
    params[0] = auth_role_key(&call->arena, in->name);
    params[1] = in->description;
    params[2] = deed(self, call, event, params[0]);
    return params[0].ptr && params[2].ptr ? BUSI_OK : auth_no_memory(call);
}

enum busi_code auth_create_role(struct auth *self, struct busi_call *call, const struct busi_role *in,
                                struct busi_empty *out)
{
    enum { MADE, RETIRED };
    struct busi_pg_result result;
    struct busi_str params[3];
    (void)out;
    enum busi_code code = check(self, call, in, AUTH_AUDIT_create_role, params);
    if (code != BUSI_OK)
        return code;
    code = busi_pg_run(self->pg, AUTH_CREATE_ROLE, params, call->until_ms, &result);
    bool made = busi_pg_int(&result, 0, MADE) != 0, retired = busi_pg_int(&result, 0, RETIRED) != 0;
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return auth_database_lost(call, "the database went away; the role may exist");
    if (code != BUSI_OK || made)
        return code;
    if (!retired)
        return busi_call_fail(call, BUSI_ALREADY_EXISTS, "the role exists");
    call->retry_after_ms = 1000;
    return busi_call_fail(call, BUSI_ABORTED, "the role of this name is still being taken away");
}

enum busi_code auth_update_role(struct auth *self, struct busi_call *call, const struct busi_role *in,
                                struct busi_count_reply *out)
{
    struct busi_str params[3];
    enum busi_code code = check(self, call, in, AUTH_AUDIT_update_role, params);
    return code == BUSI_OK ? count(self, call, AUTH_UPDATE_ROLE, params, out) : code;
}

static enum busi_code retire(struct auth *self, struct busi_call *call, struct busi_str name, int64_t *id)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {name, deed(self, call, AUTH_AUDIT_delete_role, name)};
    if (!params[1].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_RETIRE_ROLE, params, call->until_ms, &result);
    *id = busi_pg_int(&result, 0, 0);
    if (code == BUSI_FAILED_PRECONDITION)
        code = auth_refused(call, result.constraint);
    busi_pg_clear(&result);
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; it may be done") : code;
}

/* One that is not there may have gone a moment ago without a gateway knowing: whoever tries again must not be
 * answered before they do. */
enum busi_code auth_delete_role(struct auth *self, struct busi_call *call,
                                const struct busi_role_name_request *in, struct busi_count_reply *out)
{
    struct auth_told told = {.arena = &call->arena};
    struct busi_str name = auth_role_key(&call->arena, in->name);
    int64_t id = 0;
    if (!name.ptr || name.len == 0)
        return name.ptr ? BUSI_OK : auth_no_memory(call);
    enum busi_code code = retire(self, call, name, &id);
    if (code == BUSI_OK && id != 0)
        code = auth_retired_role_note(self, call, name, id);
    if (code == BUSI_OK)
        code = auth_feed_tell_everything(self, call, &told);
    if (code != BUSI_OK)
        return code;
    auth_role_remover_wake(self->role_remover);
    if (id != 0)
        busi_log(BUSI_INFO, "role_retired", BUSI_S("role", name), BUSI_S("request_id", call->request_id));
    out->count = id != 0;
    return auth_feed_settle(self, call, &told);
}
