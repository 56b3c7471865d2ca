#include "sessions/journal.h"
#include "base/log.h"
#include "core/session_store.h"
#include "sessions/index.h"
#include "sessions/retired_roles.h"
#include "sessions/safety.h"
#include "sessions/sessions.h"
#include <stdlib.h>

#define MARK BUSI_STR("busi:journal")

enum {
    BATCH = 500, /* revocations read at once */
    ARENA_BYTES = 1024 * 1024,
    STEP_MS = 5000,    /* longest for one batch */
    EAGER_MS = 10,     /* between looks while tokens cannot be judged */
    LOOK_MS = 250,     /* between looks at the connection */
    ADVANCE_MS = 2000, /* between moves of the mark */
    /* A number is handed out before its row can be seen. Rows so much older than the longest statement have
     * no unseen row before them. */
    SETTLED_MORE_S = 4
};

struct auth_journal {
    struct auth *auth;         /* borrowed */
    struct busi_fiber *fiber;  /* works; NULL before and after */
    struct auth_safety safety; /* of the Redis we are connected to */
    int64_t settled_s;         /* rows of this age are in order; seconds */
    int64_t advance_ms;        /* when the mark is moved next; busi_now_ms() scale */
    bool resting;              /* waits for time to pass */
    bool stopping;             /* leave at the next occasion */
    bool stopped;              /* the fiber has ended */
};

/* ---- the mark ---- */

static bool run(struct auth_journal *journal, struct busi_call *call, int argc, const struct busi_str *argv,
                struct busi_redis_reply *reply)
{
    return busi_redis_run(journal->auth->redis, &call->arena, argc, argv, call->until_ms, reply) == BUSI_OK;
}

/* The numbers of the last revocation, and of the last that is settled; 0 when there is none. */
static bool last_of(struct auth_journal *journal, struct busi_call *call, int64_t *last, int64_t *settled)
{
    enum { LAST, SETTLED };
    struct busi_pg_result result;
    struct busi_str age = busi_arena_int(&call->arena, journal->settled_s);
    bool good = age.ptr && busi_pg_run(journal->auth->pg, AUTH_LAST_REVOCATION, &age, call->until_ms,
                                       &result) == BUSI_OK;
    *last = good ? busi_pg_int(&result, 0, LAST) : 0;
    *settled = good ? busi_pg_int(&result, 0, SETTLED) : 0;
    if (age.ptr)
        busi_pg_clear(&result);
    return good;
}

/* 0 when there is none, or none that makes sense: everything is told again. One past the last number is of
 * another journal than ours: that of before a restore of the database, whose numbers are used anew. */
static bool read_mark(struct auth_journal *journal, struct busi_call *call, int64_t last, int64_t *mark)
{
    struct busi_redis_reply reply;
    *mark = 0;
    if (!run(journal, call, 2, (const struct busi_str[]){BUSI_STR("GET"), MARK}, &reply))
        return false;
    if (reply.type == BUSI_REDIS_TEXT && (!busi_str_int(reply.text, mark) || *mark < 0 || *mark > last))
        *mark = 0;
    return true;
}

static bool write_mark(struct auth_journal *journal, struct busi_call *call, int64_t mark)
{
    struct busi_redis_reply reply;
    struct busi_str number = busi_arena_int(&call->arena, mark);
    return number.ptr &&
           run(journal, call, 3, (const struct busi_str[]){BUSI_STR("SET"), MARK, number}, &reply);
}

/* ---- telling again ---- */

enum { ID, USER_ID, SESSION_ID, EPOCH, SPARED, OF_ROLES, ROLES, ROLES_VERSION };

static bool tell(struct auth_journal *journal, struct busi_call *call, const struct busi_pg_result *result,
                 int row)
{
    int64_t user_id = busi_pg_int(result, row, USER_ID);
    struct busi_str session_id = busi_pg_value(result, row, SESSION_ID),
                    roles = busi_pg_value(result, row, ROLES);
    if (busi_pg_int(result, row, OF_ROLES)) /* of an account that is gone all sessions end by another row */
        return !roles.ptr || auth_session_tell_roles(journal->auth, call, user_id, roles,
                                                     busi_pg_int(result, row, ROLES_VERSION)) == BUSI_OK;
    if (session_id.ptr)
        return auth_session_tell(journal->auth, call, session_id, user_id) == BUSI_OK;
    return auth_session_tell_below(journal->auth, call, user_id, busi_pg_int(result, row, EPOCH),
                                   busi_pg_value(result, row, SPARED)) == BUSI_OK;
}

/* When a role goes that many had, or many accounts go, most of them have no session: these are passed over,
 * many at once. */
static bool tell_some(struct auth_journal *journal, struct busi_call *call,
                      const struct busi_pg_result *result, int from, int n)
{
    int64_t users[AUTH_LOADED_AT_ONCE];
    bool idle[AUTH_LOADED_AT_ONCE];
    for (int i = 0; i < n; i++)
        users[i] = busi_pg_int(result, from + i, USER_ID);
    bool good = auth_index_idle(journal->auth, call, users, (size_t)n, idle) == BUSI_OK;
    for (int i = 0; i < n && good; i++)
        if (busi_pg_value(result, from + i, SESSION_ID).ptr || !idle[i])
            good = tell(journal, call, result, from + i);
    return good;
}

/* One batch after *mark, which moves on. False: a store is away. */
static bool tell_batch(struct auth_journal *journal, int64_t *mark, int64_t age_s, int *told)
{
    struct busi_call call;
    struct busi_pg_result result = {0};
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + STEP_MS;
    const struct busi_str params[] = {busi_arena_int(&call.arena, *mark), busi_arena_int(&call.arena, age_s),
                                      busi_arena_int(&call.arena, BATCH)};
    /* beyond an absent mark there is nothing, and that would be taken for all having been told */
    bool good =
        params[0].ptr && params[1].ptr && params[2].ptr &&
        busi_pg_run(journal->auth->pg, AUTH_LIST_REVOCATIONS, params, call.until_ms, &result) == BUSI_OK;
    for (int row = 0, n; good && row < result.rows; row += n) {
        n = result.rows - row < AUTH_LOADED_AT_ONCE ? result.rows - row : AUTH_LOADED_AT_ONCE;
        good = tell_some(journal, &call, &result, row, n);
    }
    *told = good ? result.rows : 0;
    if (*told > 0)
        *mark = busi_pg_int(&result, *told - 1, 0);
    busi_pg_clear(&result);
    busi_call_fini(&call);
    return good;
}

/* What was told so far need not be told again, should this attempt fail: a long journal would never be told
 * whole to a Redis that comes and goes. Not in a Redis other than the one that was told. */
static bool keep(struct auth_journal *journal, int64_t mark, uint64_t generation)
{
    struct busi_call call;
    if (generation != busi_redis_generation(journal->auth->redis))
        return false;
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + STEP_MS;
    bool good = write_mark(journal, &call, mark);
    busi_call_fini(&call);
    return good;
}

/* All after mark; *mark becomes the last told. Up to `settled` the mark in Redis moves along. generation: of
 * the Redis that *mark was read from. */
static bool tell_all(struct auth_journal *journal, int64_t *mark, int64_t settled, uint64_t generation)
{
    int told = BATCH;
    int64_t sum = 0, since_ms = busi_now_ms();
    while (told == BATCH) {
        if (journal->stopping || !tell_batch(journal, mark, 0, &told))
            return false;
        sum += told;
        if (told == BATCH && *mark <= settled && !keep(journal, *mark, generation))
            return false;
    }
    if (sum > 0)
        busi_log(BUSI_INFO, "revocations_told_again", BUSI_I("number", sum),
                 BUSI_I("took_ms", busi_now_ms() - since_ms));
    return true;
}

bool auth_journal_tell(struct auth_journal *journal)
{
    struct busi_call call;
    int64_t mark, last, settled;
    uint64_t generation = journal->auth->redis_told;
    if (!auth_store_knows(journal->auth))
        return false;
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + STEP_MS;
    bool good = last_of(journal, &call, &last, &settled) && read_mark(journal, &call, last, &mark) &&
                tell_all(journal, &mark, settled, generation);
    busi_call_fini(&call);
    return good && auth_store_knows(journal->auth) && generation == journal->auth->redis_told;
}

/* ---- a new connection, and time passing ---- */

/* A Redis that holds nothing needs to hear of nothing that was: what it will hold is younger. What is not
 * settled is told even so: it may be about a user whose sign-in is under way. */
static bool start_of(struct auth_journal *journal, struct busi_call *call, int64_t *mark, int64_t *settled)
{
    struct busi_redis_reply reply;
    int64_t last;
    if (!last_of(journal, call, &last, settled) || !run(journal, call, 1, &BUSI_STR("DBSIZE"), &reply))
        return false;
    if (reply.type != BUSI_REDIS_INT || reply.number > 0)
        return read_mark(journal, call, last, mark);
    *mark = *settled;
    return write_mark(journal, call, *mark);
}

static void apply(struct auth_journal *journal)
{
    struct busi_call call;
    int64_t mark, settled;
    uint64_t generation = busi_redis_generation(journal->auth->redis);
    journal->auth->redis_told = 0;
    if (!busi_redis_ready(journal->auth->redis) || !busi_pg_ready(journal->auth->pg))
        return;
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + STEP_MS;
    bool good = auth_safety_look(&journal->safety, journal->auth, &call) &&
                start_of(journal, &call, &mark, &settled) &&
                auth_retired_roles_note(journal->auth, &call) == BUSI_OK &&
                tell_all(journal, &mark, settled, generation);
    busi_call_fini(&call);
    if (good && generation == busi_redis_generation(journal->auth->redis))
        journal->auth->redis_told = generation;
}

/* Tells the settled ones once more, which heals what failed half-way, and moves the mark behind them: a batch
 * at a time, for the connection is to be watched meanwhile. */
static void advance(struct auth_journal *journal)
{
    struct busi_call call;
    int64_t mark = 0, before, last, settled;
    int told = 0;
    uint64_t generation = journal->auth->redis_told;
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + STEP_MS;
    bool good = last_of(journal, &call, &last, &settled) && read_mark(journal, &call, last, &mark);
    before = mark;
    good = good && tell_batch(journal, &mark, journal->settled_s, &told);
    call.until_ms = busi_now_ms() + STEP_MS;
    /* In a Redis other than the one that was told, the mark would lie. */
    if (good && mark != before && auth_store_knows(journal->auth) && generation == journal->auth->redis_told)
        good = write_mark(journal, &call, mark);
    busi_call_fini(&call);
    journal->advance_ms = busi_now_ms() + (good && told == BATCH ? 0 : ADVANCE_MS);
}

/* What was safe may have been configured otherwise. Not to get an answer says nothing: then the connection
 * fails by itself. */
static void watch(struct auth_journal *journal)
{
    struct busi_call call;
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + STEP_MS;
    if (!auth_safety_look(&journal->safety, journal->auth, &call) && journal->safety.fault)
        journal->auth->redis_told = 0;
    busi_call_fini(&call);
}

static void rest(struct auth_journal *journal)
{
    journal->resting = true;
    (void)busi_fiber_wait(busi_now_ms() + (auth_store_knows(journal->auth) ? LOOK_MS : EAGER_MS));
    journal->resting = false;
}

static void work(void *arg)
{
    struct auth_journal *journal = arg;
    journal->fiber = busi_fiber_self();
    while (!journal->stopping) {
        if (auth_store_knows(journal->auth))
            watch(journal);
        if (!auth_store_knows(journal->auth))
            apply(journal);
        else if (busi_now_ms() >= journal->advance_ms)
            advance(journal);
        if (!journal->stopping && (!auth_store_knows(journal->auth) || busi_now_ms() < journal->advance_ms))
            rest(journal);
    }
    journal->stopped = true;
}

struct auth_journal *auth_journal_new(struct auth *auth, struct busi_fibers *fibers)
{
    struct auth_journal *journal = calloc(1, sizeof(*journal));
    if (!journal)
        return NULL;
    journal->auth = auth;
    journal->settled_s = SETTLED_MORE_S + (auth->settings->statement_timeout_ms + 999) / 1000;
    if (!busi_fiber_start(fibers, work, journal))
        auth_journal_free(&journal);
    return journal;
}

void auth_journal_stop(struct auth_journal *journal)
{
    journal->stopping = true;
    if (journal->resting)
        busi_fiber_wake(journal->fiber);
}

bool auth_journal_stopped(const struct auth_journal *journal)
{
    return journal->stopped;
}

void auth_journal_free(struct auth_journal **journal)
{
    free(*journal);
    *journal = NULL;
}
