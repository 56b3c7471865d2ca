#include "store/redis_internal.h"

/* The value of a line "name:value" of INFO's reply. */
static struct busi_str line(const redisReply *reply, const char *name)
{
    const char *at = strstr(reply->str, name);
    at = at ? at + strlen(name) : NULL;
    return (struct busi_str){at, at ? strcspn(at, "\r\n") : 0};
}

/* A server has another id for its data when it was promoted, or copied all data from another one, and each
 * start of a master makes one: two links to servers of one id are two links to one server. */
static void note_history(struct redis_link *link, struct busi_str id)
{
    if (id.len == 0 || id.len >= REDIS_ID_MOST)
        return;
    memcpy(link->history, id.ptr, id.len);
    link->history[id.len] = '\0';
    if (link->state == REDIS_LINKED && strcmp(link->history, link->redis->history) != 0)
        busi_redis_has_other_data(link);
}

static const char *on_answer(void *arg, const redisReply *reply, int64_t sent_ms)
{
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
    note_history(arg, line(reply, "\nmaster_replid:"));
    return NULL;
}

bool busi_redis_look(struct redis_link *link)
{
    link->looked_ms = busi_now_ms();
    return busi_redis_link_ask(link, 2, (const struct busi_str[]){BUSI_STR("INFO"), BUSI_STR("replication")},
                               on_answer, link);
}
