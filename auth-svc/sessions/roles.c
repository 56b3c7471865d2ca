/* A change of roles does not end sessions: their records are rewritten, upwards only in the account's version
 * of its roles. docs/sessions.md says why none that was taken away comes back. */
#include "base/roles.h"
#include "core/answers.h"
#include "core/session_store.h"
#include "sessions/feed.h"
#include "sessions/index.h"
#include "sessions/sessions.h"

/* What sessions of a user are to have. */
struct having {
    int64_t user_id;
    struct busi_str roles;
    int64_t version;        /* the account's for these */
    struct auth_told *told; /* NULL: nobody waits */
};

static bool raise(struct auth_session *session, const void *arg)
{
    const struct having *having = arg;
    if (session->roles_version >= having->version)
        return false;
    session->roles = having->roles;
    session->roles_version = having->version;
    return true;
}

enum busi_code auth_session_raise_roles(struct auth *self, struct busi_call *call,
                                        struct auth_session *session, struct busi_str roles, int64_t version)
{
    const struct having having = {.user_id = session->user_id, .roles = roles, .version = version};
    if (session->roles_version >= version)
        return BUSI_OK;
    struct auth_session stands = {.id = session->id};
    enum busi_code code = auth_session_rewrite(self, call, &stands, raise, &having);
    session->roles = stands.roles;
    session->roles_version = stands.roles_version;
    return code;
}

/* One that cannot be read is ended, as by all that changes what an account may do: whoever wrote it might be
 * able to. Gateways are told of all of them, also of those that are right already: who made them so may have
 * died before it told. */
static enum busi_code raise_some(struct auth *self, struct busi_call *part, const struct busi_str *ids,
                                 size_t n, void *state)
{
    const struct having *having = state;
    struct auth_session *sessions;
    enum busi_code code = auth_session_load_named(self, part, ids, n, &sessions);
    for (size_t i = 0; i < n && code == BUSI_OK; i++)
        code = sessions[i].door
                   ? auth_session_raise_roles(self, part, &sessions[i], having->roles, having->version)
                   : auth_session_tell(self, part, ids[i], having->user_id);
    return code == BUSI_OK && n > 0 ? auth_feed_tell(self, part, ids, n, having->told) : code;
}

enum busi_code auth_session_tell_roles(struct auth *self, struct busi_call *call, int64_t user_id,
                                       struct busi_str roles, int64_t version)
{
    struct having having = {.user_id = user_id, .roles = roles, .version = version};
    return auth_index_visit(self, call, user_id, raise_some, &having);
}

/* *found is false when the account is gone: its sessions end, and others see to that. */
static enum busi_code find(struct auth *self, struct busi_call *call, struct having *having, bool *found)
{
    struct busi_pg_result result;
    struct busi_str id = busi_arena_int(&call->arena, having->user_id);
    *found = false;
    if (!id.ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_FIND_ROLES, &id, call->until_ms, &result);
    if (code == BUSI_OK && result.rows == 1) {
        having->roles = busi_arena_dup(&call->arena, busi_pg_value(&result, 0, 0));
        having->version = busi_pg_int(&result, 0, 1);
        *found = having->roles.ptr != NULL;
        if (!*found)
            code = auth_no_memory(call);
    }
    busi_pg_clear(&result);
    return code;
}

enum busi_code auth_session_update_roles(struct auth *self, struct busi_call *call, int64_t user_id)
{
    struct auth_told told = {.arena = &call->arena};
    struct having having = {.user_id = user_id, .told = &told};
    bool found;
    enum busi_code code = find(self, call, &having, &found);
    if (code == BUSI_OK && found)
        code = auth_index_visit(self, call, user_id, raise_some, &having);
    return code == BUSI_OK ? auth_feed_settle(self, call, &told) : code;
}

enum busi_code auth_session_welcome(struct auth *self, struct busi_call *call,
                                    const struct auth_account *account)
{
    return busi_roles_have(account->roles, BUSI_STR("unconfirmed"))
               ? auth_session_update_roles(self, call, account->id)
               : BUSI_OK;
}
