/* Sessions that have ended, told to whoever keeps principals (gateways), so that nobody accepts an ended
 * session once its end has been answered. docs/architecture.md, "What a gateway remembers", says why it
 * holds.
 *
 * Whoever keeps principals asks auth.WatchSessions without a break, any worker, and may rely on what it keeps
 * for a lease counted from the moment it asked. Ending a session is: delete its key, auth_feed_tell(),
 * auth_feed_settle(), answer. Loop thread only. */
#pragma once
#include "core/auth.h"
#include "sessions/watchers.h"

enum {
    AUTH_LEASE_MS = 1500, /* a revocation waits no longer than this for a watcher that does not answer */
    AUTH_TELL_MOST = 128, /* ids told at once */
};

/* Works on a fiber of its own, over a second connection to Redis. lease_ms 0: AUTH_LEASE_MS; all workers have
 * the same. NULL and *error (static): it could not. */
[[nodiscard]] struct auth_feed *auth_feed_new(struct auth *auth, struct busi_loop *loop,
                                              const struct auth_options *options, const char **error);
void auth_feed_stop(struct auth_feed *feed);
bool auth_feed_stopped(const struct auth_feed *feed);
void auth_feed_free(struct auth_feed **feed);

/* What was told and who has still to hear of it. Begins with its arena and nothing else. */
struct auth_told {
    struct busi_arena *arena;       /* of what is below */
    struct auth_feed_position last; /* the last session told */
    int64_t told_ms;                /* when; 0: never. busi_lease_ms() scale */
    int64_t known_ms;               /* since when the list of watchers is known to be whole */
    struct auth_awaited *awaited;   /* who listened then */
    size_t n_awaited;
};
/* Tells of sessions whose keys are gone from Redis already, at most AUTH_TELL_MOST; again and again for more.
 * told NULL: nobody will wait. UNAVAILABLE: it may have told or not. */
[[nodiscard]] enum busi_code auth_feed_tell(struct auth *self, struct busi_call *call,
                                            const struct busi_str *ids, size_t n, struct auth_told *told);
/* Whatever is kept is to be forgotten: without their list all watchers begin anew. Settling takes a lease. */
[[nodiscard]] enum busi_code auth_feed_tell_everything(struct auth *self, struct busi_call *call,
                                                       struct auth_told *told);
/* Waits until no watcher relies on any of them: each has forgotten them, or its lease is over. At once when
 * nobody watches. One that nothing was told of waits, too, while the list may have lost watchers.
 * UNAVAILABLE: not within the call's time. */
[[nodiscard]] enum busi_code auth_feed_settle(struct auth *self, struct busi_call *call,
                                              struct auth_told *told);
