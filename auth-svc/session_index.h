/* Which sessions a user has: two sorted sets in one slot of Redis, of those with an end by their expiry and
 * of those without by their beginning. It may name sessions that are gone, never miss one whose token was
 * handed out. The first set expires with the last session it names, the second is gone with it. */
#pragma once
#include "sessions.h"

/* Names a session that is stored already, and forgets those that have expired. surplus becomes the ids that
 * are too many beside it: those that end soonest, then the oldest of those without an end. The caller ends
 * them, and only that takes them out of the index: so whoever adds one later sees those it must end, too. */
[[nodiscard]] enum busi_code auth_index_add(struct auth *self, struct busi_call *call,
                                            const struct auth_session *session,
                                            struct busi_redis_reply *surplus);
[[nodiscard]] enum busi_code auth_index_remove(struct auth *self, struct busi_call *call, int64_t user_id,
                                               const struct busi_str *ids, size_t n);

/* The ids of at most AUTH_NEWEST_MOST sessions with an end (newest[0]) and without (newest[1]), the newest
 * first as far as the order of the sets tells. */
enum { AUTH_NEWEST_MOST = 1000 };
[[nodiscard]] enum busi_code auth_index_newest(struct auth *self, struct busi_call *call, int64_t user_id,
                                               struct busi_redis_reply newest[2]);

/* Through all ids, some at a time; begins with {0}. An id that is there all the while comes up at least once,
 * while others come and go. */
struct auth_index_walk {
    char cursor[24]; /* of Redis; "" at the beginning */
    bool endless;    /* in the second set */
    bool done;       /* nothing is left */
};
/* The next ones (perhaps none yet) at items 0, 2, 4 ... of ids, each with its score behind it. */
[[nodiscard]] enum busi_code auth_index_next(struct auth *self, struct busi_call *call, int64_t user_id,
                                             struct auth_index_walk *walk, struct busi_redis_reply *ids);
