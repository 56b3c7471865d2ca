/* Password hashing off the loop: bounded threads, a bounded wait. Handlers wait on their fiber. */
#pragma once
#include "crypto/password.h"
#include "loop/loop.h"
#include "rpc/call.h"

enum { AUTH_PASSWORD_MOST_BYTES = 1024 };

struct auth_passwords;
struct auth_passwords_options {
    struct busi_password_cost cost; /* of new hashes */
    int threads;                    /* 0: one per core this process may use */
    int64_t max_wait_ms;            /* longest predicted wait; past it RESOURCE_EXHAUSTED with a hint */
};
/* NULL: no threads, or out of memory. */
[[nodiscard]] struct auth_passwords *auth_passwords_new(struct busi_loop *loop,
                                                        const struct auth_passwords_options *options);
void auth_passwords_free(struct auth_passwords **passwords);

/* OK, or RESOURCE_EXHAUSTED with a hint: asked before anything else is done for a password, so that who must
 * be refused costs little and has spent no try. */
[[nodiscard]] enum busi_code auth_passwords_room(struct auth_passwords *passwords, struct busi_call *call);

struct auth_password_check {
    struct busi_str stored;              /* hash of the account; absent: there is none, same work */
    struct busi_str password;            /* as given; empty or over-long is wrong, after the same work */
    enum busi_password_verdict verdict;  /* filled */
    char better[BUSI_PASSWORD_HASH_MAX]; /* filled when WEAK: what to store instead; "": could not */
};
/* OK with check filled; RESOURCE_EXHAUSTED also when memory is short, DEADLINE_EXCEEDED as
 * busi_offload_run().
 */
[[nodiscard]] enum busi_code auth_password_verify(struct auth_passwords *passwords, struct busi_call *call,
                                                  struct auth_password_check *check);
/* A new hash; INTERNAL when memory is short. */
[[nodiscard]] enum busi_code auth_password_hash(struct auth_passwords *passwords, struct busi_call *call,
                                                struct busi_str password, char out[BUSI_PASSWORD_HASH_MAX]);
