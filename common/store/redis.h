/* Redis over one pipelined hiredis connection, shared by all fibers of the loop. Any error or overdue
 * reply drops the connection and makes a new one: a reply can never reach the wrong fiber. Loop thread only.
 */
#pragma once
#include "base/arena.h"
#include "base/code.h"
#include "loop/fiber.h"

struct busi_redis;
/* url as in BUSI_REDIS; copied, never logged. Connects in the background, with backoff; host names are
 * resolved off the loop at each connect. NULL and *error (static) when the url is malformed. */
[[nodiscard]] struct busi_redis *busi_redis_new(struct busi_loop *loop, struct busi_str url,
                                                int64_t timeout_ms, const char **error);
void busi_redis_free(struct busi_redis **redis);
bool busi_redis_ready(const struct busi_redis *redis);

enum busi_redis_type { BUSI_REDIS_NIL, BUSI_REDIS_TEXT, BUSI_REDIS_INT, BUSI_REDIS_ARRAY };
struct busi_redis_reply {
    enum busi_redis_type type;
    struct busi_str text;           /* TEXT (bulk or status); in the arena */
    int64_t number;                 /* INT */
    struct busi_redis_reply *items; /* ARRAY */
    size_t n_items;
};
/* Sends one command (argv, binary safe) and suspends the fiber. UNAVAILABLE not connected, lost or an error
 * reply of the server's state (LOADING, READONLY, OOM, MISCONF, NOAUTH, BUSY); DEADLINE_EXCEEDED; INTERNAL
 * for an error reply to this command. */
[[nodiscard]] enum busi_code busi_redis_run(struct busi_redis *redis, struct busi_arena *arena, int argc,
                                            const struct busi_str *argv, int64_t until_ms,
                                            struct busi_redis_reply *reply);
