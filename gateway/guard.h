/* Lets only requests with a valid token of a living session pass, which also holds to the route's rules. */
#pragma once
#include "exchange.h"
#include "rpc/client.h"
#include "session_cache.h"

/* A check of a token, under way until guard_wait(); what it found lives until guard_end(). Stays where it is
 * meanwhile. */
struct guard {
    struct busi_str token; /* borrowed from the request */
    struct busi_call call; /* its own: it overlaps with the request's */
    struct busi_check_token_request request;
    struct busi_principal principal;
    bool known;                   /* the principal was remembered: nothing was asked */
    struct session_ticket ticket; /* to remember it with */
    struct busi_rpc_started started;
};

/* Begins the check. False: answered already, there is nothing to wait for and nothing to end. */
[[nodiscard]] bool guard_begin(struct exchange *x, struct guard *guard);
/* May the request be worked on before the check is done? Only for what changes nothing, and only for tokens
 * that were good not long ago. */
bool guard_may_overlap(const struct exchange *x, const struct guard *guard);
/* True: call.user_id and x->principal say who asks. False: answered, whatever was in the answer before. */
[[nodiscard]] bool guard_wait(struct exchange *x, struct guard *guard);
void guard_end(struct exchange *x, struct guard *guard);
