/* Where the master is, as a majority of the sentinels says. Their answers are a lease: each is good for
 * REDIS_LEASE_MS from when it was asked for. Two majorities share a sentinel, and a sentinel that has gone
 * over to a new master does not go back; so a process that waits that long before it relies on a newly named
 * master knows that no other process, wherever the network parts them, still relies on the one before. */
#include "store/redis_internal.h"

#include <stdlib.h>

struct redis_sentinel {
    struct redis_sentinels *all;
    struct busi_redis *redis;   /* its links; owned */
    struct redis_address named; /* its last answer; "": none */
    int64_t named_ms;           /* when that was asked for */
    int64_t asked_ms;           /* when it was asked last */
    uint64_t generation;        /* of the links then */
};

struct redis_sentinels {
    struct busi_redis *redis; /* wants to know; borrowed */
    struct busi_timer *tick;
    struct redis_lease lease; /* the last there was, perhaps over */
    size_t n;
    struct redis_sentinel items[REDIS_SENTINELS_MOST];
};

const struct redis_lease *busi_redis_sentinels_lease(const struct redis_sentinels *sentinels)
{
    return busi_now_ms() < sentinels->lease.until_ms ? &sentinels->lease : NULL;
}

/* Since when a majority has said so; 0: none does. */
static int64_t agreed_ms(const struct redis_sentinels *all, const struct redis_address *master)
{
    int64_t asked[REDIS_SENTINELS_MOST]; /* latest first */
    size_t n = 0, majority = all->n / 2 + 1;
    for (size_t i = 0; i < all->n; i++) {
        if (!busi_redis_same(&all->items[i].named, master))
            continue;
        size_t at = n++;
        for (; at > 0 && asked[at - 1] < all->items[i].named_ms; at--)
            asked[at] = asked[at - 1];
        asked[at] = all->items[i].named_ms;
    }
    return n >= majority ? asked[majority - 1] : 0;
}

static void renew(struct redis_sentinels *all)
{
    struct redis_lease *lease = &all->lease;
    int64_t now = busi_now_ms(), until_ms = 0;
    size_t i = 0;
    for (; i < all->n && until_ms <= now; i++) {
        int64_t ms = all->items[i].named.host[0] ? agreed_ms(all, &all->items[i].named) : 0;
        until_ms = ms > 0 ? ms + REDIS_LEASE_MS : 0;
    }
    if (until_ms > now) { /* else the lease there is runs out by itself */
        if (now >= lease->until_ms || !busi_redis_same(&lease->master, &all->items[i - 1].named)) {
            lease->master = all->items[i - 1].named;
            lease->settled_ms = now + REDIS_LEASE_MS;
        }
        lease->until_ms = until_ms;
    }
    busi_redis_follow(all->redis);
}

/* False: no address. */
static bool read_address(const redisReply *reply, struct redis_address *out)
{
    int64_t port;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING || reply->element[1]->type != REDIS_REPLY_STRING)
        return false;
    struct busi_str host = {reply->element[0]->str, reply->element[0]->len},
                    number = {reply->element[1]->str, reply->element[1]->len};
    if (host.len == 0 || host.len >= REDIS_NAME_MOST || host.ptr[0] == '/' ||
        memchr(host.ptr, '\0', host.len) || !busi_str_int(number, &port) || port < 1 || port > 65535)
        return false;
    memcpy(out->host, host.ptr, host.len);
    out->host[host.len] = '\0';
    out->port = (int)port;
    return true;
}

static const char *on_named(void *arg, const redisReply *reply, int64_t sent_ms)
{
    struct redis_sentinel *sentinel = arg;
    if (!reply || sent_ms < sentinel->named_ms) /* a later question was answered before, on another link */
        return NULL;
    sentinel->named = (struct redis_address){0};
    sentinel->named_ms = sent_ms;
    if (!read_address(reply, &sentinel->named))
        busi_redis_complain(sentinel->redis,
                            reply->type == REDIS_REPLY_ERROR ? reply->str : "it knows no such master");
    renew(sentinel->all);
    return NULL;
}

static void ask(struct redis_sentinel *sentinel, int64_t now)
{
    const struct busi_str argv[] = {BUSI_STR("SENTINEL"), BUSI_STR("GET-MASTER-ADDR-BY-NAME"),
                                    busi_str_of(sentinel->all->redis->url.master)};
    if (busi_redis_ask(sentinel->redis, 3, argv, on_named, sentinel)) {
        sentinel->asked_ms = now;
        sentinel->generation = sentinel->redis->generation;
    }
}

static void on_tick(void *arg)
{
    struct redis_sentinels *all = arg;
    int64_t now = busi_now_ms();
    for (size_t i = 0; i < all->n; i++) {
        struct redis_sentinel *sentinel = &all->items[i];
        if (busi_redis_ready(sentinel->redis) &&
            (now >= sentinel->asked_ms + REDIS_ASK_MS || sentinel->generation != sentinel->redis->generation))
            ask(sentinel, now);
    }
}

static bool copy(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

static struct busi_redis *links_to(struct busi_redis *redis, const struct redis_address *address)
{
    struct redis_url url = {.address = *address};
    if (!copy(&url.user, redis->url.sentinel_user) || !copy(&url.password, redis->url.sentinel_password)) {
        busi_redis_url_fini(&url);
        return NULL;
    }
    return busi_redis_make(redis->loop, &url, redis->timeout_ms, redis->n_links < 2 ? 1 : 2, true);
}

struct redis_sentinels *busi_redis_sentinels_new(struct busi_redis *redis)
{
    struct redis_sentinels *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->redis = redis;
    all->tick = busi_loop_every(redis->loop, REDIS_TICK_MS, on_tick, all);
    bool good = all->tick != NULL;
    for (size_t i = 0; good && i < redis->url.n_sentinels; i++) {
        all->items[i].all = all;
        all->items[i].redis = links_to(redis, &redis->url.sentinels[i]);
        good = all->items[i].redis != NULL;
        all->n += good;
    }
    if (!good)
        busi_redis_sentinels_free(&all);
    return all;
}

void busi_redis_sentinels_free(struct redis_sentinels **sentinels)
{
    struct redis_sentinels *all = *sentinels;
    if (!all)
        return;
    *sentinels = NULL;
    if (all->tick)
        busi_timer_free(&all->tick);
    for (size_t i = 0; i < all->n; i++)
        busi_redis_free(&all->items[i].redis);
    free(all);
}
