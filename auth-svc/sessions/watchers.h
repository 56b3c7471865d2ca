/* What one auth worker knows of the watchers: who keeps principals, what each has said to have forgotten, and
 * how long its lease may still last. Redis holds the list (feed_watch.lua); here is what was seen of it
 * and when, by this process's own clock: clocks of other hosts do not count.
 *
 * Every question of a watcher has a number of its own. It asks before the number is there, so whoever first
 * sees a number at t knows that the lease the question asks for is over at t + lease. Pure; loop thread. */
#pragma once
#include "base/str.h"
#include "store/redis.h"

enum { AUTH_WATCHERS_MOST = 128, AUTH_WATCHER_NAME_LEAST = 16, AUTH_WATCHER_NAME_MOST = 64 };

/* Position in Redis' stream of ended sessions, "milliseconds-number"; {0, 0}: before all of it. */
struct auth_feed_position {
    int64_t ms, seq;
};

struct auth_watcher {
    char name[AUTH_WATCHER_NAME_MOST]; /* as it calls itself */
    char value[64];                    /* as Redis holds it: "number ms-seq" */
    size_t name_len, value_len;
    int64_t number;                  /* of its last question */
    struct auth_feed_position heard; /* it has forgotten all up to here */
    int64_t seen_ms;                 /* when the number was first seen here; busi_lease_ms() scale */
};

struct auth_watchers {
    struct auth_watcher list[AUTH_WATCHERS_MOST];
    struct auth_watcher fresh[AUTH_WATCHERS_MOST]; /* the list that is being read */
    size_t n;
    char timeline[96];   /* of the list; another one may have lost watchers that still hold a lease */
    size_t timeline_len; /* 0: none is known */
    uint64_t generation; /* of the connection it was read over */
    int64_t known_ms;    /* since when just this timeline, on this connection; busi_lease_ms() scale */
};

/* all: HGETALL of the list, in which '' names the timeline; empty: it is lost. What cannot be read, or is too
 * much, is as good as lost. */
void auth_watchers_read(struct auth_watchers *watchers, const struct busi_redis_reply *all,
                        uint64_t generation, int64_t now_ms);
const struct auth_watcher *auth_watchers_find(const struct auth_watchers *watchers, struct busi_str name);
bool auth_watcher_name_valid(struct busi_str name);
/* False: no position. */
bool auth_feed_position_read(struct busi_str text, struct auth_feed_position *out);
bool auth_feed_position_before(struct auth_feed_position a, struct auth_feed_position b);
