/* Principals of tokens that auth-svc found good, so that the next request with the token needs no call. They
 * count only while the cache is trusted, which watch.c sees to: it is told of every session that
 * ends, and until when it may be sure to have been told. docs/architecture.md, "What a gateway remembers".
 *
 * Any thread, but for what is marked. No token is kept, only its hash under a key of this process. */
#pragma once
#include "base/arena.h"
#include "wire/messages.h"

enum { SESSION_KEY_BYTES = 32 };

struct session_cache;
/* Bounded: at most so many entries (rounded up) of about 1 KiB. 0: it never holds any. NULL: out of memory.
 */
[[nodiscard]] struct session_cache *session_cache_new(size_t most);
/* Nobody else may use it any more. */
void session_cache_free(struct session_cache **cache);

/* Of a token that was not found and is about to be checked: what an answer needs to be kept. */
struct session_ticket {
    uint8_t key[SESSION_KEY_BYTES]; /* hash of the token */
    uint64_t forgetting;            /* how often the cache had forgotten when the check began */
    int64_t asked_ms;               /* when; busi_lease_ms() scale */
    bool wanted;                    /* keep the answer */
};
/* True: the token is good, and *out is filled (texts in the arena). False: ask, with *ticket in hand. */
bool session_cache_find(struct session_cache *cache, struct busi_str token, struct busi_arena *arena,
                        struct busi_principal *out, struct session_ticket *ticket);
/* Keeps a checked token's principal; large ones, and those of which something was forgotten since the check
 * began, are not kept. */
void session_cache_keep(struct session_cache *cache, const struct session_ticket *ticket,
                        const struct busi_principal *principal);

/* ---- for watch.c: one thread ---- */

/* When these return nothing of what is to be forgotten can be found any more, nor be kept by a check that had
 * begun before. */
void session_cache_forget(struct session_cache *cache, const struct busi_ended_session *ended, size_t n);
void session_cache_forget_all(struct session_cache *cache);
/* What is found is trusted until then (busi_lease_ms() scale), 0: no longer. */
void session_cache_trust(struct session_cache *cache, int64_t until_ms);
/* Was it asked for anything since the last time this was asked? */
bool session_cache_used(struct session_cache *cache);
/* fn is called once, by whichever thread asks next while the cache is not trusted; false: by the next again.
 */
void session_cache_call_when_wanted(struct session_cache *cache, bool (*fn)(void *arg), void *arg);
