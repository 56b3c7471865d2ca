#include "roles/remover.h"
#include "base/log.h"
#include "core/relay.h"
#include "core/session_store.h"
#include "sessions/feed.h"
#include "sessions/journal.h"
#include "sessions/retired_roles.h"
#include <stdlib.h>

enum {
    ARENA_BYTES = 1 << 20,
    STEP_MS = 5000,  /* longest for one step of the fiber */
    TIDY_MS = 60000, /* between looks for what an old copy of Redis brought back */
};

struct auth_role_remover {
    struct auth *auth; /* borrowed */
    struct auth_relay relay;
    int64_t told_id; /* the last role that gateways were told of by this fiber */
    uint64_t tidied; /* generation of the Redis that was last tidied */
    int64_t tidy_ms; /* when next; busi_now_ms() scale */
};

static void tidy(struct auth_role_remover *remover, struct busi_call *call)
{
    uint64_t generation = busi_redis_generation(remover->auth->redis);
    if (generation == remover->tidied && busi_now_ms() < remover->tidy_ms)
        return;
    if (auth_retired_roles_tidy(remover->auth, call) != BUSI_OK)
        return;
    remover->tidied = generation;
    remover->tidy_ms = busi_now_ms() + TIDY_MS;
}

/* Nobody has it any more. Some of those who had may have been taken care of by a replica that died before it
 * told their sessions: the journal is told, which has a row for each. Only then may Redis forget the name. */
static bool finish(struct auth_role_remover *remover, struct busi_call *call, struct busi_str name,
                   struct busi_str id)
{
    struct auth *auth = remover->auth;
    struct busi_pg_result result;
    if (!auth_journal_tell(auth->journal))
        return false;
    call->until_ms = busi_now_ms() + STEP_MS; /* that may have taken long */
    if (auth_retired_role_forget(auth, call, name, id) != BUSI_OK)
        return false;
    bool done = busi_pg_run(auth->pg, AUTH_DELETE_RETIRED, &id, call->until_ms, &result) == BUSI_OK;
    if (done && result.affected > 0)
        busi_log(BUSI_INFO, "role_deleted", BUSI_S("role", name));
    busi_pg_clear(&result);
    return done;
}

/* True: there is more to do. */
static bool take(struct auth_role_remover *remover, struct busi_call *call, struct busi_str name, int64_t id)
{
    struct auth *auth = remover->auth;
    struct busi_pg_result result;
    struct busi_str param = busi_arena_int(&call->arena, id);
    if (!param.ptr)
        return false;
    if (remover->told_id != id) { /* whoever retired it may have died before it told */
        if (auth_retired_role_note(auth, call, name, id) != BUSI_OK ||
            auth_feed_tell_everything(auth, call, NULL) != BUSI_OK)
            return false;
        remover->told_id = id;
    }
    enum busi_code code = busi_pg_run(auth->pg, AUTH_TAKE_RETIRED, &param, call->until_ms, &result);
    bool had = busi_pg_int(&result, 0, 0) != 0;
    busi_pg_clear(&result);
    if (code != BUSI_OK)
        return false;
    return had || finish(remover, call, name, param);
}

static bool work(void *state)
{
    enum { NAME, ID };
    struct auth_role_remover *remover = state;
    struct busi_call call;
    struct busi_pg_result result;
    bool more = false;
    if (!busi_pg_ready(remover->auth->pg) || !auth_store_knows(remover->auth))
        return false;
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + STEP_MS;
    tidy(remover, &call);
    enum busi_code code = busi_pg_run(remover->auth->pg, AUTH_LIST_RETIRED, NULL, call.until_ms, &result);
    if (code == BUSI_OK && result.rows > 0)
        more = take(remover, &call, busi_pg_value(&result, 0, NAME), busi_pg_int(&result, 0, ID));
    busi_pg_clear(&result);
    busi_call_fini(&call);
    return more;
}

struct auth_role_remover *auth_role_remover_new(struct auth *auth, struct busi_fibers *fibers)
{
    struct auth_role_remover *remover = calloc(1, sizeof(*remover));
    if (!remover)
        return NULL;
    remover->auth = auth;
    if (!auth_relay_start(&remover->relay, fibers, work, remover))
        auth_role_remover_free(&remover);
    return remover;
}

void auth_role_remover_wake(struct auth_role_remover *remover)
{
    auth_relay_wake(&remover->relay);
}

void auth_role_remover_stop(struct auth_role_remover *remover)
{
    auth_relay_stop(&remover->relay);
}

bool auth_role_remover_stopped(const struct auth_role_remover *remover)
{
    return !remover->relay.running;
}

void auth_role_remover_free(struct auth_role_remover **remover)
{
    free(*remover);
    *remover = NULL;
}
