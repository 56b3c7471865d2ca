#include "sessions/retired_roles.h"
#include "base/embed.h"
#include "base/roles.h"
#include "core/answers.h"
#include "core/session_store.h"
#include "sessions/record.h"

BUSI_EMBED(auth_strike_retired_lua, "sessions/strike.lua");

#define RETIRED BUSI_STR("busi:retired")

enum { ATTEMPTS = 8 };

/* ---- written down ---- */

enum busi_code auth_retired_role_note(struct auth *self, struct busi_call *call, struct busi_str name,
                                      int64_t id)
{
    struct busi_redis_reply reply;
    struct busi_str value = busi_arena_int(&call->arena, id);
    return value.ptr ? AUTH_STORE_RUN(self, call, &reply, BUSI_STR("HSET"), RETIRED, name, value)
                     : auth_no_memory(call);
}

enum busi_code auth_retired_roles_note(struct auth *self, struct busi_call *call)
{
    enum { NAME, ID };
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(self->pg, AUTH_LIST_RETIRED, NULL, call->until_ms, &result);
    for (int row = 0; row < result.rows && code == BUSI_OK; row++)
        code = auth_retired_role_note(self, call, busi_pg_value(&result, row, NAME),
                                      busi_pg_int(&result, row, ID));
    busi_pg_clear(&result);
    return code;
}

/* ---- looked for ---- */

void auth_retired_roles_count(struct busi_str *words)
{
    words[0] = BUSI_STR("HLEN");
    words[1] = RETIRED;
}

/* What is left of roles when those that have been found are gone. */
static struct busi_str keep(struct busi_arena *arena, struct busi_str roles,
                            const struct busi_redis_reply *found)
{
    size_t i = 0, len = 0;
    char *kept = busi_arena_alloc(arena, roles.len + 1);
    for (struct busi_str one = busi_roles_next(&roles); kept && one.ptr; one = busi_roles_next(&roles)) {
        if (found[i++].type != BUSI_REDIS_NIL)
            continue;
        if (len > 0)
            kept[len++] = ',';
        memcpy(kept + len, one.ptr, one.len);
        len += one.len;
    }
    return (struct busi_str){kept, len};
}

/* The words of HMGET for these. 0: out of memory. */
static int look_for(struct busi_arena *arena, struct busi_str roles, struct busi_str **argv)
{
    int argc = 2;
    size_t names = 0;
    struct busi_str left = roles;
    while (busi_roles_next(&left).ptr)
        names++;
    *argv = busi_arena_array(arena, names + 2, sizeof(**argv));
    if (!*argv)
        return 0;
    (*argv)[0] = BUSI_STR("HMGET");
    (*argv)[1] = RETIRED;
    for (struct busi_str one = busi_roles_next(&roles); one.ptr; one = busi_roles_next(&roles))
        (*argv)[argc++] = one;
    return argc;
}

/* The hash first, then the record once more: a name leaves the hash when it has left all records, so one that
 * still stands in the record was in the hash if it was ever to be. Roles that change in between are looked
 * for again. */
enum busi_code auth_retired_roles_strip(struct auth *self, struct busi_call *call,
                                        struct auth_session *session)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct busi_str *names, roles = session->roles;
        const struct busi_str get[] = {BUSI_STR("GET"), auth_session_key(call, session->id)};
        if (roles.len == 0)
            return BUSI_OK;
        int n = look_for(&call->arena, roles, &names);
        if (n == 0 || !get[1].ptr)
            return auth_no_memory(call);
        struct busi_redis_command commands[] = {{.argc = n, .argv = names}, {.argc = 2, .argv = get}};
        enum busi_code code = auth_store_run_all(self, call, commands, 2);
        if (code != BUSI_OK)
            return code;
        if (commands[0].reply.n_items != (size_t)n - 2)
            return auth_store_away(call);
        code = auth_store_text(call, &commands[1].reply);
        if (code != BUSI_OK)
            return code;
        if (commands[1].reply.type != BUSI_REDIS_TEXT ||
            !auth_record_read_living(self, commands[1].reply.text, session))
            return busi_call_fail(call, BUSI_UNAUTHENTICATED, "invalid_token");
        if (!busi_str_eq(session->roles, roles))
            continue;
        session->roles = keep(&call->arena, roles, commands[0].reply.items);
        return session->roles.ptr ? BUSI_OK : auth_no_memory(call);
    }
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the roles change all the time");
}

/* ---- free again ---- */

enum busi_code auth_retired_role_forget(struct auth *self, struct busi_call *call, struct busi_str name,
                                        struct busi_str id)
{
    struct busi_redis_reply reply;
    const struct busi_str argv[] = {RETIRED, name, id};
    return auth_store_script(self, call, auth_strike_retired_lua, 1, 3, argv, &reply);
}

static bool is_retired(const struct busi_pg_result *result, struct busi_str name)
{
    for (int row = 0; row < result->rows; row++)
        if (busi_str_eq(busi_pg_value(result, row, 0), name))
            return true;
    return false;
}

enum busi_code auth_retired_roles_tidy(struct auth *self, struct busi_call *call)
{
    struct busi_redis_reply all;
    struct busi_pg_result result;
    enum busi_code code = AUTH_STORE_RUN(self, call, &all, BUSI_STR("HGETALL"), RETIRED);
    if (code != BUSI_OK)
        return code;
    code = busi_pg_run(self->pg, AUTH_LIST_RETIRED, NULL, call->until_ms, &result);
    for (size_t i = 0; i + 1 < all.n_items && code == BUSI_OK; i += 2)
        if (!is_retired(&result, all.items[i].text))
            code = auth_retired_role_forget(self, call, all.items[i].text, all.items[i + 1].text);
    busi_pg_clear(&result);
    return code;
}
