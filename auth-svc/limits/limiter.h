/* How often one client, and anybody with one account, may try: limits.def. The counts are in Redis, so all
 * replicas share them, and are raised before anything is looked up or hashed: guesses in parallel find no
 * gap. */
#pragma once
#include "core/auth.h"

enum auth_limit {
#define LIMIT(method) AUTH_LIMIT_##method,
#include "limits/limits.def"
    AUTH_LIMITS
};

/* Counts one try by call->origin at the account called name (as the client wrote it: e-mail, user name, id;
 * or absent). OK; RESOURCE_EXHAUSTED with call->quota and the wait in call->retry_after_ms, nothing was
 * counted; UNAVAILABLE: Redis is away. */
[[nodiscard]] enum busi_code auth_limit(struct auth *self, struct busi_call *call, enum auth_limit limit,
                                        struct busi_str name);
/* The same. *locks: if this try is wrong, the account's next from a network that it does not know waits for
 * long; its owner should hear of it. Said of names of nobody, too. */
[[nodiscard]] enum busi_code auth_limit_strike(struct auth *self, struct busi_call *call,
                                               enum auth_limit limit, struct busi_str name, bool *locks);
/* The same with n - 1 commands behind commands[0] that leave in the same round trip and run whatever is
 * decided (busi_redis_run_script_with()): of no use unless it is OK. */
[[nodiscard]] enum busi_code auth_limit_with(struct auth *self, struct busi_call *call, enum auth_limit limit,
                                             struct busi_str name, struct busi_redis_command *commands,
                                             size_t n);
/* The try was the owner's: gives back what was counted for the pair of network and account, and lets this
 * network in past what strangers spend of the account's tries. A failure is of no consequence. */
void auth_limit_passed(struct auth *self, struct busi_call *call, enum auth_limit limit,
                       struct busi_str name);
/* Its owner has shown otherwise whose it is, by what was mailed to him or by a provider: opens what wrong
 * passwords have closed, under either name (email or username may be absent). */
void auth_limit_proved(struct auth *self, struct busi_call *call, struct busi_str email,
                       struct busi_str username);
/* Somebody who may has said so: opens it, too, but the caller's network becomes no known one. */
void auth_limit_forget(struct auth *self, struct busi_call *call, struct busi_str email,
                       struct busi_str username);

/* Makes the metrics; before threads start. */
void auth_limits_init(void);
