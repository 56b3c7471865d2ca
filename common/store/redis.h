/* Redis over a few pipelined hiredis connections ("links") to one server, shared by all fibers of the loop.
 * The first link that is not late takes the next command: one carries all until the network loses packets.
 * Reads that are late are asked again on another link, writes are sent once. Any error drops a link, and
 * silence does: a reply can never reach the wrong fiber. Loop thread only, but for ready. */
#pragma once
#include "base/arena.h"
#include "base/code.h"
#include "loop/fiber.h"

struct busi_redis;
/* url as in BUSI_REDIS; copied; its passwords are never logged. %XX in users, passwords and the master's
 * name: redis://[user:password@]host[:port][/db] unix://[user:password@]/path[?db=n]
 *     sentinel://[user:password@]host[:port],host[:port],.../MASTER[/db]
 *         [?sentinel_password=p[&sentinel_user=u]]
 * The last names all sentinels; user and password before the hosts are the Redis servers' in each form.
 * Connects in the background, with backoff, to a master only; host names are resolved off the loop. All of
 * the n_links (1 to 16) lead to data of one history; to a server that does not tell it there is only one.
 * timeout_ms: a link that is silent for so long though it owes a reply is given up; a command waits as long
 * as any link is heard that often, four times as long at most. NULL and *error (static) when the url is
 * malformed or memory is short. */
[[nodiscard]] struct busi_redis *busi_redis_new(struct busi_loop *loop, struct busi_str url,
                                                int64_t timeout_ms, size_t n_links, const char **error);
/* NULL, or what is wrong with the url (static; repeats nothing of it). Any thread. */
const char *busi_redis_url_fault(struct busi_str url);
/* Only when no fiber waits in busi_redis_run() and the loop will not turn again. */
void busi_redis_free(struct busi_redis **redis);
/* Connected, authenticated and answering, or it was within twice the timeout; it was a master a second
 * before; where sentinels choose, it is the only one that any process relies on at this moment. Any thread.
 */
bool busi_redis_ready(const struct busi_redis *redis);
/* Counts how often it became ready, and the times when its server went over to other data: what was told it
 * is to be told again when it differs. No command is sent in another generation than it was given in. */
uint64_t busi_redis_generation(const struct busi_redis *redis);

enum busi_redis_type { BUSI_REDIS_NIL, BUSI_REDIS_TEXT, BUSI_REDIS_INT, BUSI_REDIS_ARRAY };
struct busi_redis_reply {
    enum busi_redis_type type;
    struct busi_str text;           /* TEXT (bulk or status); in the arena, a NUL behind it */
    int64_t number;                 /* INT */
    struct busi_redis_reply *items; /* ARRAY; in the arena */
    size_t n_items;
};
/* Sends one command (argv, binary safe, copied) and suspends the fiber. UNAVAILABLE not connected, lost or an
 * error reply of the server's state (LOADING, READONLY, OOM, MISCONF, NOAUTH, BUSY ...); DEADLINE_EXCEEDED;
 * RESOURCE_EXHAUSTED too many commands in flight, or the arena is too small for the reply; INTERNAL for an
 * error reply to this command: reply->text is then the error ("NOSCRIPT No matching script"). After
 * UNAVAILABLE and DEADLINE_EXCEEDED the command may or may not have run. */
[[nodiscard]] enum busi_code busi_redis_run(struct busi_redis *redis, struct busi_arena *arena, int argc,
                                            const struct busi_str *argv, int64_t until_ms,
                                            struct busi_redis_reply *reply);

/* Commands that leave together, and run in their order though others' may come between: one round trip. Waits
 * for all; returns the first code that is not OK. After a failure the later ones may have run all the same.
 * All are reads, or none is asked again.
 */
enum { BUSI_REDIS_COMMANDS_MOST = 64 };
struct busi_redis_command {
    int argc;
    const struct busi_str *argv;
    struct busi_redis_reply reply; /* when done */
    enum busi_code code;           /* likewise */
};
[[nodiscard]] enum busi_code busi_redis_run_all(struct busi_redis *redis, struct busi_arena *arena,
                                                struct busi_redis_command *commands, size_t n,
                                                int64_t until_ms);

/* A Lua script by its digest; loads it wherever the server does not know it, which a new one and a restarted
 * one do not. text lives as long as redis, and is known by its address: a string literal or a BUSI_EMBED.
 * argv begins with the n_keys names of keys, its arguments follow. Codes as of busi_redis_run(); an error of
 * the script is INTERNAL. */
[[nodiscard]] enum busi_code busi_redis_run_script(struct busi_redis *redis, struct busi_arena *arena,
                                                   const char *text, int n_keys, int argc,
                                                   const struct busi_str *argv, int64_t until_ms,
                                                   struct busi_redis_reply *reply);
/* The same with commands that cost no round trip of their own: commands[0] is left to the script, the others
 * leave behind it. Where the server does not know the script they have run before it, so it must be all the
 * same which comes first. Returns the script's code; theirs is in each. */
[[nodiscard]] enum busi_code busi_redis_run_script_with(struct busi_redis *redis, struct busi_arena *arena,
                                                        const char *text, int n_keys, int argc,
                                                        const struct busi_str *argv, int64_t until_ms,
                                                        struct busi_redis_command *commands, size_t n);
