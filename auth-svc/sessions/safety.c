#include "sessions/safety.h"
#include "base/log.h"

enum { LOOK_MS = 1000, LOG_EVERY_MS = 60000 };

#define NOT_PERSISTENT "it does not write what it holds to its append-only file"
#define EVICTS "it may evict sessions and limits when its memory is full"

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

static void tell(struct auth_safety *safety, const char *fault)
{
    int64_t now = busi_now_ms();
    if (!fault && safety->logged_ms)
        busi_log(BUSI_INFO, "redis_safe");
    if (!fault)
        safety->logged_ms = 0;
    if (!fault || (safety->logged_ms && now < safety->logged_ms + LOG_EVERY_MS))
        return;
    safety->logged_ms = now;
    bool evicts = strcmp(fault, EVICTS) == 0;
    busi_log(BUSI_ERR, "redis_unsafe", BUSI_C("why", fault),
             BUSI_C("remedy", evicts ? "set maxmemory-policy noeviction"
                                     : "set appendonly yes, or BUSI_REDIS_PERSISTENCE=any to live with it"));
}

bool auth_safety_look(struct auth_safety *safety, struct auth *auth, struct busi_call *call)
{
    struct busi_str persistence, memory;
    uint64_t generation = busi_redis_generation(auth->redis);
    if (safety->looked_at == generation && busi_now_ms() < safety->look_ms)
        return !safety->fault;
    if (!ask(auth, call, BUSI_STR("persistence"), &persistence) ||
        !ask(auth, call, BUSI_STR("memory"), &memory))
        return false;
    const char *fault = NULL;
    if (!says(memory, "maxmemory_policy:noeviction"))
        fault = EVICTS;
    else if (!busi_str_eq(auth->settings->redis_persistence, BUSI_STR("any")) &&
             !says(persistence, "aof_enabled:1"))
        fault = NOT_PERSISTENT;
    tell(safety, fault);
    safety->fault = fault;
    safety->looked_at = generation;
    safety->look_ms = busi_now_ms() + LOOK_MS;
    return !fault;
}
