#include "sessions/safety.h"
#include "base/log.h"

enum { LOOK_MS = 1000, LOG_EVERY_MS = 60000, CLOCKS_DIFFER_S = 30, WAS_SET_S = 2 };

/* What is wrong with it, and what to do. */
static const struct auth_safety_fault
    NOT_PERSISTENT = {"it does not write what it holds to its append-only file",
                      "set appendonly yes, or BUSI_REDIS_PERSISTENCE=any to live with it"},
    EVICTS = {"it may evict sessions and limits when its memory is full", "set maxmemory-policy noeviction"},
    OTHER_TIME = {
        "its clock and ours differ by more than 30 s, and nobody says that ours is right: it might revive "
        "what has expired",
        "set the clocks of both hosts"};

bool auth_safety_word_valid(struct busi_str word)
{
    return busi_str_eq(word, BUSI_STR("required")) || busi_str_eq(word, BUSI_STR("any"));
}

/* Works with servers that do not let anybody see their configuration. */
static bool ask(struct auth *auth, struct busi_call *call, struct busi_str section, struct busi_str *out)
{
    struct busi_redis_reply reply;
    const struct busi_str argv[] = {BUSI_STR("INFO"), section};
    if (busi_redis_run(auth->redis, &call->arena, 2, argv, call->until_ms, &reply) != BUSI_OK ||
        reply.type != BUSI_REDIS_TEXT)
        return false;
    *out = reply.text;
    return true;
}

/* The section has this whole line. */
static bool says(struct busi_str section, const char *line)
{
    size_t len = strlen(line);
    for (const char *at = section.ptr; (at = strstr(at, line)); at += len)
        if ((at == section.ptr || at[-1] == '\n') && (at[len] == '\r' || at[len] == '\0'))
            return true;
    return false;
}

static bool is_near(int64_t theirs_us, int64_t before_us, int64_t after_us)
{
    const int64_t most_us = CLOCKS_DIFFER_S * 1000000LL;
    return theirs_us >= before_us - most_us && theirs_us <= after_us + most_us;
}

bool auth_safety_same_time(struct busi_str server, int64_t before_us, int64_t after_us)
{
    static const char NAME[] = "\nserver_time_usec:";
    const char *at = strstr(server.ptr, NAME);
    int64_t theirs_us;
    if (!at)
        return true;
    at += strlen(NAME);
    return busi_str_int((struct busi_str){at, strcspn(at, "\r\n")}, &theirs_us) &&
           is_near(theirs_us, before_us, after_us);
}

/* Of our wall clock, less that which nobody can set. */
static int64_t offset_us(void)
{
    return busi_wall_us() - busi_lease_ms() * 1000;
}

/* Redis' clock is another than ours. Whoever set ours would be seen here; a machine that stood still together
 * with its clocks has Postgres against it. Only both say that it is Redis' clock that is wrong, by which
 * nothing is judged. */
static bool ours_is_right(const struct auth_safety *safety, struct auth *auth, struct busi_call *call)
{
    struct busi_pg_result result;
    const int64_t before_us = busi_wall_us(), set_us = offset_us() - safety->offset_us;
    if (set_us > WAS_SET_S * 1000000LL || set_us < -WAS_SET_S * 1000000LL)
        return false;
    enum busi_code code = busi_pg_run(auth->pg, AUTH_CLOCK, NULL, call->until_ms, &result);
    bool right =
        code == BUSI_OK && result.rows == 1 && is_near(busi_pg_int(&result, 0, 0), before_us, busi_wall_us());
    busi_pg_clear(&result);
    return right;
}

/* Its clock may be borne. */
static bool bear_clock(struct auth_safety *safety, struct auth *auth, struct busi_call *call,
                       struct busi_str server, int64_t before_us)
{
    if (auth_safety_same_time(server, before_us, busi_wall_us())) {
        safety->offset_us = offset_us();
        return true;
    }
    if (!ours_is_right(safety, auth, call))
        return false;
    if (busi_now_ms() >= safety->clock_logged_ms + LOG_EVERY_MS || !safety->clock_logged_ms) {
        safety->clock_logged_ms = busi_now_ms();
        busi_log(BUSI_WARN, "redis_clock_wrong",
                 BUSI_C("why", "its clock and ours differ by more than 30 s; Postgres' agrees with ours"),
                 BUSI_C("remedy", "set the clock of its host"));
    }
    return true;
}

static void tell(struct auth_safety *safety, const struct auth_safety_fault *fault)
{
    int64_t now = busi_now_ms();
    if (!fault && safety->logged_ms)
        busi_log(BUSI_INFO, "redis_safe");
    if (!fault)
        safety->logged_ms = 0;
    if (!fault || (safety->logged_ms && now < safety->logged_ms + LOG_EVERY_MS))
        return;
    safety->logged_ms = now;
    busi_log(BUSI_ERR, "redis_unsafe", BUSI_C("why", fault->why), BUSI_C("remedy", fault->remedy));
}

bool auth_safety_look(struct auth_safety *safety, struct auth *auth, struct busi_call *call)
{
    struct busi_str persistence, memory, server;
    uint64_t generation = busi_redis_generation(auth->redis);
    if (safety->looked_at == generation && busi_now_ms() < safety->look_ms)
        return !safety->fault;
    const int64_t before_us = busi_wall_us();
    if (!ask(auth, call, BUSI_STR("persistence"), &persistence) ||
        !ask(auth, call, BUSI_STR("memory"), &memory) || !ask(auth, call, BUSI_STR("server"), &server))
        return false;
    const struct auth_safety_fault *fault = NULL;
    if (!says(memory, "maxmemory_policy:noeviction"))
        fault = &EVICTS;
    else if (!busi_str_eq(auth->settings->redis_persistence, BUSI_STR("any")) &&
             !says(persistence, "aof_enabled:1"))
        fault = &NOT_PERSISTENT;
    else if (!bear_clock(safety, auth, call, server, before_us))
        fault = &OTHER_TIME;
    tell(safety, fault);
    safety->fault = fault;
    safety->looked_at = generation;
    safety->look_ms = busi_now_ms() + LOOK_MS;
    return !fault;
}
