#include "store/redis_internal.h"

#include "base/log.h"

/* The value of a line "name:value" of INFO's reply. */
static struct busi_str line(const redisReply *reply, const char *name)
{
    const char *at = strstr(reply->str, name);
    at = at ? at + strlen(name) : NULL;
    return (struct busi_str){at, at ? strcspn(at, "\r\n") : 0};
}

/* A server has another id for its data when it was promoted, or copied all data from another one: what we
 * told it may be gone, though the connection was not. */
static void compare_history(struct busi_redis *redis, struct busi_str id)
{
    if (id.len == 0 || id.len >= REDIS_ID_MOST)
        return;
    bool same = busi_str_eq(busi_str_of(redis->history), id);
    bool first = !redis->history[0];
    memcpy(redis->history, id.ptr, id.len);
    redis->history[id.len] = '\0';
    if (same || first)
        return;
    redis->generation++;
    busi_log(BUSI_INFO, "redis_history_changed", BUSI_I("generation", (int64_t)redis->generation));
}

static const char *on_answer(void *arg, const redisReply *reply, int64_t sent_ms)
{
    struct busi_redis *redis = arg;
    (void)sent_ms;
    if (!reply)
        return NULL;
    if (reply->type != REDIS_REPLY_STRING)
        return reply->type == REDIS_REPLY_ERROR ? reply->str : "the server does not tell its role";
    struct busi_str role = line(reply, "\nrole:");
    if (busi_str_eq(role, BUSI_STR("slave")))
        return "the server is a replica";
    if (!busi_str_eq(role, BUSI_STR("master")))
        return "the server does not tell its role";
    compare_history(redis, line(reply, "\nmaster_replid:"));
    return NULL;
}

bool busi_redis_look(struct busi_redis *redis)
{
    redis->looked_ms = busi_now_ms();
    return busi_redis_ask(redis, 2, (const struct busi_str[]){BUSI_STR("INFO"), BUSI_STR("replication")},
                          on_answer, redis);
}
