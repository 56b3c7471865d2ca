/* Password hashes: argon2id PHC strings of our own, bcrypt ($2a$ $2b$ $2y$) imported. Pure and slow: run on
 * busi_offload threads. */
#pragma once
#include "base/str.h"

enum { BUSI_PASSWORD_HASH_MAX = 128 };

struct busi_password_cost {
    size_t memory_bytes; /* argon2id m */
    int passes;          /* t; p is always 1 */
    size_t most_bytes;   /* argon2 memory that a stored hash may ask for; 0: the usual 64 MiB */
};

/* Memory lent to libsodium for one thread's hashes (see argon_memory.c); NULL works, slower. For
 * busi_offload's thread_init/fini. */
void *busi_password_thread_init(void);
void busi_password_thread_fini(void *memory);
/* Gives that memory, and what the last hash left in it, back to the system: to be called on the thread when
 * no other password waits. */
void busi_password_thread_rest(void);

/* A new hash with a random salt, NUL-terminated. False only when memory is exhausted. */
[[nodiscard]] bool busi_password_hash(char out[BUSI_PASSWORD_HASH_MAX], struct busi_str password,
                                      struct busi_password_cost cost);

enum busi_password_verdict {
    BUSI_PASSWORD_WRONG,
    BUSI_PASSWORD_RIGHT,
    BUSI_PASSWORD_WEAK,        /* right, re-hash it */
    BUSI_PASSWORD_UNREADABLE,  /* as WRONG, because stored is no hash we compute: worth an alarm */
    BUSI_PASSWORD_NOT_COMPUTED /* memory is exhausted: nobody knows */
};
/* NULL: a hash that is computed when a password is checked. Or why it is none (static): "is neither a bcrypt
 * nor an argon2 hash"; parameters over the caps (target.most_bytes, t 10, p 16; bcrypt cost 16). */
[[nodiscard]] const char *busi_password_fault(struct busi_str stored, struct busi_password_cost target);
/* stored is checked before anything is computed: what has a fault is UNREADABLE at once. stored absent
 * (unknown user): one hash of the target cost, then WRONG (or NOT_COMPUTED, as for others). */
[[nodiscard]] enum busi_password_verdict
busi_password_verify(struct busi_str stored, struct busi_str password, struct busi_password_cost target);
