#include "retired_roles.h"
#include "answers.h"
#include "base/embed.h"
#include "base/log.h"
#include "base/roles.h"
#include "feed.h"
#include "journal.h"
#include "record.h"
#include "relay.h"
#include "session_store.h"
#include <stdlib.h>

BUSI_EMBED(auth_strike_retired_lua, "strike.lua");

#define RETIRED BUSI_STR("busi:retired")

enum {
    ARENA_BYTES = 1 << 20,
    STEP_MS = 5000,  /* longest for one step of the fiber */
    TIDY_MS = 60000, /* between looks for what an old copy of Redis brought back */
    ATTEMPTS = 8
};

struct auth_retired_roles {
    struct auth *auth; /* borrowed */
    struct auth_relay relay;
    int64_t told_id; /* the last role that gateways were told of by this fiber */
    uint64_t tidied; /* generation of the Redis that was last tidied */
    int64_t tidy_ms; /* when next; busi_now_ms() scale */
};

/* ---- in Redis ---- */

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
        if (commands[1].reply.type != BUSI_REDIS_TEXT ||
            !auth_record_read(self, commands[1].reply.text, session))
            return busi_call_fail(call, BUSI_UNAUTHENTICATED, "invalid_token");
        if (!busi_str_eq(session->roles, roles))
            continue;
        session->roles = keep(&call->arena, roles, commands[0].reply.items);
        return session->roles.ptr ? BUSI_OK : auth_no_memory(call);
    }
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the roles change all the time");
}

/* ---- taking away ---- */

static bool is_retired(const struct busi_pg_result *result, struct busi_str name)
{
    for (int row = 0; row < result->rows; row++)
        if (busi_str_eq(busi_pg_value(result, row, 0), name))
            return true;
    return false;
}

/* An old copy of Redis may hold names that are free again, or another's. */
static void tidy(struct auth_retired_roles *retired, struct busi_call *call)
{
    struct auth *auth = retired->auth;
    struct busi_redis_reply all, reply;
    struct busi_pg_result result;
    uint64_t generation = busi_redis_generation(auth->redis);
    if (generation == retired->tidied && busi_now_ms() < retired->tidy_ms)
        return;
    enum busi_code code = AUTH_STORE_RUN(auth, call, &all, BUSI_STR("HGETALL"), RETIRED);
    if (code != BUSI_OK)
        return;
    code = busi_pg_run(auth->pg, AUTH_LIST_RETIRED, NULL, call->until_ms, &result);
    for (size_t i = 0; i + 1 < all.n_items && code == BUSI_OK; i += 2) {
        const struct busi_str argv[] = {RETIRED, all.items[i].text, all.items[i + 1].text};
        if (!is_retired(&result, argv[1]))
            code = auth_store_script(auth, call, auth_strike_retired_lua, 1, 3, argv, &reply);
    }
    busi_pg_clear(&result);
    retired->tidied = generation;
    retired->tidy_ms = busi_now_ms() + TIDY_MS;
}

/* Nobody has it any more. Some of those who had may have been taken care of by a replica that died before it
 * told their sessions: the journal is told, which has a row for each. Only then may Redis forget the name. */
static bool finish(struct auth_retired_roles *retired, struct busi_call *call, struct busi_str name,
                   struct busi_str id)
{
    struct auth *auth = retired->auth;
    struct busi_redis_reply reply;
    struct busi_pg_result result;
    const struct busi_str argv[] = {RETIRED, name, id};
    if (!auth_journal_tell(auth->journal))
        return false;
    call->until_ms = busi_now_ms() + STEP_MS; /* that may have taken long */
    if (auth_store_script(auth, call, auth_strike_retired_lua, 1, 3, argv, &reply) != BUSI_OK)
        return false;
    bool done = busi_pg_run(auth->pg, AUTH_DELETE_RETIRED, &id, call->until_ms, &result) == BUSI_OK;
    if (done && result.affected > 0)
        busi_log(BUSI_INFO, "role_deleted", BUSI_S("role", name));
    busi_pg_clear(&result);
    return done;
}

/* True: there is more to do. */
static bool take(struct auth_retired_roles *retired, struct busi_call *call, struct busi_str name, int64_t id)
{
    struct auth *auth = retired->auth;
    struct busi_pg_result result;
    struct busi_str param = busi_arena_int(&call->arena, id);
    if (!param.ptr)
        return false;
    if (retired->told_id != id) { /* whoever retired it may have died before it told */
        if (auth_retired_role_note(auth, call, name, id) != BUSI_OK ||
            auth_feed_tell_everything(auth, call, NULL) != BUSI_OK)
            return false;
        retired->told_id = id;
    }
    enum busi_code code = busi_pg_run(auth->pg, AUTH_TAKE_RETIRED, &param, call->until_ms, &result);
    bool had = busi_pg_int(&result, 0, 0) != 0;
    busi_pg_clear(&result);
    if (code != BUSI_OK)
        return false;
    return had || finish(retired, call, name, param);
}

static bool work(void *state)
{
    enum { NAME, ID };
    struct auth_retired_roles *retired = state;
    struct busi_call call;
    struct busi_pg_result result;
    bool more = false;
    if (!busi_pg_ready(retired->auth->pg) || !auth_store_knows(retired->auth))
        return false;
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + STEP_MS;
    tidy(retired, &call);
    enum busi_code code = busi_pg_run(retired->auth->pg, AUTH_LIST_RETIRED, NULL, call.until_ms, &result);
    if (code == BUSI_OK && result.rows > 0)
        more = take(retired, &call, busi_pg_value(&result, 0, NAME), busi_pg_int(&result, 0, ID));
    busi_pg_clear(&result);
    busi_call_fini(&call);
    return more;
}

struct auth_retired_roles *auth_retired_roles_new(struct auth *auth, struct busi_fibers *fibers)
{
    struct auth_retired_roles *retired = calloc(1, sizeof(*retired));
    if (!retired)
        return NULL;
    retired->auth = auth;
    if (!auth_relay_start(&retired->relay, fibers, work, retired))
        auth_retired_roles_free(&retired);
    return retired;
}

void auth_retired_roles_wake(struct auth_retired_roles *retired)
{
    auth_relay_wake(&retired->relay);
}

void auth_retired_roles_stop(struct auth_retired_roles *retired)
{
    auth_relay_stop(&retired->relay);
}

bool auth_retired_roles_stopped(const struct auth_retired_roles *retired)
{
    return !retired->relay.running;
}

void auth_retired_roles_free(struct auth_retired_roles **retired)
{
    free(*retired);
    *retired = NULL;
}
