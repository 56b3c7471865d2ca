/* Which sessions a user has: two sorted sets in one slot of Redis, of those with an end by their expiry and
 * of those without by their beginning. It may name sessions that are gone, never miss one whose token was
 * handed out. The first set expires when the last session it names has ended for as long as it lived, at most
 * a day; the second is gone with it. */
#pragma once
#include "sessions/sessions.h"

/* Names a session that is stored already, and forgets those that have expired. surplus becomes the ids that
 * are too many beside it: those that end soonest, then the oldest of those without an end. The caller ends
 * them, and only that takes them out of the index: so whoever adds one later sees those it must end, too. */
[[nodiscard]] enum busi_code auth_index_add(struct auth *self, struct busi_call *call,
                                            const struct auth_session *session,
                                            struct busi_redis_reply *surplus);
/* Before its record ends later than it was named for. */
[[nodiscard]] enum busi_code auth_index_move(struct auth *self, struct busi_call *call,
                                             const struct auth_session *session);
[[nodiscard]] enum busi_code auth_index_remove(struct auth *self, struct busi_call *call, int64_t user_id,
                                               const struct busi_str *ids, size_t n);

/* Which of these users have no session, at most AUTH_LOADED_AT_ONCE of them. */
[[nodiscard]] enum busi_code auth_index_idle(struct auth *self, struct busi_call *call,
                                             const int64_t *user_ids, size_t n, bool *idle);

/* The ids of at most AUTH_NEWEST_MOST sessions with an end (newest[0]) and without (newest[1]), the newest
 * first as far as the order of the sets tells. */
enum { AUTH_NEWEST_MOST = 1000 };
[[nodiscard]] enum busi_code auth_index_newest(struct auth *self, struct busi_call *call, int64_t user_id,
                                               struct busi_redis_reply newest[2]);

/* Visits all ids, at most AUTH_LOADED_AT_ONCE at a time. One that is there all the while comes up at least
 * once, while others come and go. What a visit takes from its call's arena is forgotten with it: there may be
 * many. The first that fails is the last. */
[[nodiscard]] enum busi_code
auth_index_visit(struct auth *self, struct busi_call *call, int64_t user_id,
                 enum busi_code (*visit)(struct auth *self, struct busi_call *part,
                                         const struct busi_str *ids, size_t n, void *state),
                 void *state);
