/* Whether Redis is such that sessions may be kept in it, and judged by our clock. A Redis that evicts drops
 * sessions, limits and the list of a user's sessions by which all of them are ended; one that only takes
 * snapshots, or nothing, signs everybody out when it restarts, or brings back what was spent since. Where its
 * clock is far from ours, ours may be wrong: then expired tokens would be good. It is not if it was not set
 * since both agreed and Postgres' still agrees with it. Loop thread only. */
#pragma once
#include "core/auth.h"

struct auth_safety_fault {
    const char *why, *remedy; /* for the log */
};

struct auth_safety {
    const struct auth_safety_fault *fault; /* NULL: none found */
    int64_t look_ms;                       /* when to look again; busi_now_ms() scale */
    int64_t logged_ms;       /* when a fault was last told; 0: since the last look all is well */
    int64_t clock_logged_ms; /* when it was last told that its clock is wrong, which is borne; 0: never */
    int64_t offset_us; /* of our wall clock from when this machine started, when both last agreed; 0: never */
    uint64_t looked_at; /* generation of the connection that was looked at; 0: none */
};
/* Asks, at most every second and whenever the connection is another one. False: it may not be used, or did
 * not answer. */
bool auth_safety_look(struct auth_safety *safety, struct auth *auth, struct busi_call *call);
/* What the section "server" of INFO says of the time, asked for between these two moments of ours, is within
 * half a minute of them; or it says nothing of it. */
bool auth_safety_same_time(struct busi_str server, int64_t before_us, int64_t after_us);
/* Of BUSI_REDIS_PERSISTENCE. */
bool auth_safety_word_valid(struct busi_str word);
