/* The session store, Redis, on behalf of a call. Whatever goes wrong there says nothing about a token:
 * clients must keep it and try again, so each failure is UNAVAILABLE. */
#pragma once
#include "core/auth.h"

/* The Redis we are connected to knows all revocations (journal.h): what it says of a session counts. */
bool auth_store_knows(const struct auth *self);

/* A session's record. The braces make the id the part that Redis Cluster hashes. ptr NULL: out of memory. */
[[nodiscard]] struct busi_str auth_session_key(struct busi_call *call, struct busi_str id);

enum { AUTH_STORE_RETRY_AFTER_MS = 1000 };
[[nodiscard]] static inline enum busi_code auth_store_away(struct busi_call *call)
{
    call->retry_after_ms = AUTH_STORE_RETRY_AFTER_MS;
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the session store is away");
}
[[nodiscard]] enum busi_code auth_store_run(struct auth *self, struct busi_call *call, int argc,
                                            const struct busi_str *argv, struct busi_redis_reply *reply);
/* One command, its words one by one. */
#define AUTH_STORE_RUN(self, call, reply, ...)                                                               \
    auth_store_run((self), (call), sizeof((const struct busi_str[]){__VA_ARGS__}) / sizeof(struct busi_str), \
                   (const struct busi_str[]){__VA_ARGS__}, (reply))
/* Of a command that answers a text or nothing; anything else is no word of the store's, and says nothing of a
 * token. */
[[nodiscard]] enum busi_code auth_store_text(struct busi_call *call, const struct busi_redis_reply *reply);
/* As of busi_redis_run_all(). */
[[nodiscard]] enum busi_code auth_store_run_all(struct auth *self, struct busi_call *call,
                                                struct busi_redis_command *commands, size_t n);
/* As of busi_redis_run_script(). */
[[nodiscard]] enum busi_code auth_store_script(struct auth *self, struct busi_call *call, const char *text,
                                               int n_keys, int argc, const struct busi_str *argv,
                                               struct busi_redis_reply *reply);
