/* Keeps the session cache honest: asks auth.WatchSessions without a break, has it forget what has ended, and
 * trusted for as long as the answer allows. Loop thread only. */
#pragma once
#include "loop/fiber.h"
#include "rpc/client.h"
#include "session/cache.h"

struct session_watch;
/* Works on a fiber of its own; all borrowed. Begins with the first token anybody looks for, and rests while
 * nobody looks for any. NULL: out of memory or fibers. */
[[nodiscard]] struct session_watch *session_watch_new(struct busi_loop *loop, struct busi_fibers *fibers,
                                                      struct busi_rpc_client *rpc,
                                                      struct session_cache *cache);
/* The cache is trusted no more, and revocations need not wait for this process. */
void session_watch_stop(struct session_watch *watch);
bool session_watch_stopped(const struct session_watch *watch);
/* Only when stopped, or when the loop will not turn again. */
void session_watch_free(struct session_watch **watch);
