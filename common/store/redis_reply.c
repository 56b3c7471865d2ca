#include "store/redis_internal.h"

/* hiredis 0.14 allocates what an array's head promises, and buffers a bulk of up to 512 MiB: refuse early.
 * NULL is "out of memory" to it, which ends the connection. */
static void *bounded_array(const redisReadTask *task, int n)
{
    struct redis_link *link = task->privdata;
    if (n < 0 || link->reply_items + (size_t)n > REDIS_ITEMS_MOST)
        return NULL;
    link->reply_items += (size_t)n;
    return link->create_array(task, n);
}

static void *bounded_string(const redisReadTask *task, char *bytes, size_t n)
{
    struct redis_link *link = task->privdata;
    if (n > REDIS_TEXT_MOST || link->reply_bytes + n > REDIS_REPLY_MOST)
        return NULL;
    link->reply_bytes += n;
    return link->create_string(task, bytes, n);
}

void busi_redis_bound_replies(struct redis_link *link)
{
    redisReader *reader = link->context->reader;
    link->functions = *reader->fn;
    link->create_array = link->functions.createArray;
    link->create_string = link->functions.createString;
    link->functions.createArray = bounded_array;
    link->functions.createString = bounded_string;
    reader->fn = &link->functions;
    reader->privdata = link;
    link->reply_bytes = link->reply_items = 0;
}

static bool begins(const redisReply *reply, const char *word)
{
    size_t n = strlen(word);
    return reply->type == REDIS_REPLY_ERROR && reply->len >= n && memcmp(reply->str, word, n) == 0;
}

bool busi_redis_moved(const redisReply *reply)
{
    return begins(reply, "READONLY");
}

static enum busi_code error_code(const redisReply *reply)
{
    static const char *const states[] = {"LOADING", "READONLY",   "OOM",        "MISCONF",     "NOAUTH",
                                         "BUSY ",   "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (begins(reply, states[i]))
            return BUSI_UNAVAILABLE;
    return BUSI_INTERNAL;
}

/* One value, arrays with their items still empty. */
static enum busi_code copy_one(const redisReply *from, struct busi_redis_reply *to, struct busi_arena *arena)
{
    *to = (struct busi_redis_reply){0};
    switch (from->type) {
    case REDIS_REPLY_NIL:
        return BUSI_OK;
    case REDIS_REPLY_INTEGER:
        to->type = BUSI_REDIS_INT;
        to->number = from->integer;
        return BUSI_OK;
    case REDIS_REPLY_ARRAY:
        to->type = BUSI_REDIS_ARRAY;
        to->items = busi_arena_array(arena, from->elements, sizeof *to->items);
        to->n_items = to->items ? from->elements : 0;
        return to->items ? BUSI_OK : BUSI_RESOURCE_EXHAUSTED;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
        to->type = BUSI_REDIS_TEXT;
        to->text = busi_arena_dup(arena, (struct busi_str){from->str, from->len});
        if (!to->text.ptr)
            return BUSI_RESOURCE_EXHAUSTED;
        return from->type == REDIS_REPLY_ERROR ? error_code(from) : BUSI_OK;
    default:
        return BUSI_INTERNAL;
    }
}

enum busi_code busi_redis_copy(const redisReply *from, struct busi_redis_reply *to, struct busi_arena *arena)
{
    struct {
        const redisReply *from; /* an array */
        struct busi_redis_reply *to;
        size_t next; /* item */
    } open[REDIS_DEPTH_MOST + 1];
    size_t depth = 0;
    enum busi_code code = copy_one(from, to, arena);
    if (code == BUSI_OK && to->type == BUSI_REDIS_ARRAY) {
        open[depth].from = from;
        open[depth].to = to;
        open[depth++].next = 0;
    }
    while (depth > 0 && code == BUSI_OK) {
        size_t i = open[depth - 1].next++;
        if (i == open[depth - 1].to->n_items) {
            depth--;
            continue;
        }
        const redisReply *item = open[depth - 1].from->element[i];
        struct busi_redis_reply *copy = &open[depth - 1].to->items[i];
        code = copy_one(item, copy, arena);
        if (code == BUSI_OK && copy->type == BUSI_REDIS_ARRAY) {
            if (depth > REDIS_DEPTH_MOST)
                return BUSI_INTERNAL;
            open[depth].from = item;
            open[depth].to = copy;
            open[depth++].next = 0;
        }
    }
    /* an error inside an array is the command's error */
    return code;
}
