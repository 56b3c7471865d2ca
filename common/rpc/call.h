/* What travels with a unit of work: who asked, until when, and why it failed. The gateway makes one per HTTP
 * request, the server one per RPC call; it is passed down to everything the work does. One owner at a time.
 */
#pragma once
#include "base/arena.h"
#include "base/clock.h"
#include "base/code.h"
#include "wire/messages.h"
#include <stdatomic.h>

/* The client at the edge, as the gateway saw it. Each may be absent; one of another form is refused by the
 * receiver with the whole call, so who fills it checks it. */
struct busi_origin {
    struct busi_str remote_addr; /* textual IP address, at most 45 bytes [0-9A-Fa-f.:] */
    struct busi_str user_agent;  /* at most 512 bytes */
    struct busi_str language;    /* BCP 47 tag it would rather read, at most 35 bytes [A-Za-z0-9-] */
    /* what it does where the surface tells such things apart, each at most 64 bytes [A-Za-z0-9._-] */
    struct busi_str strategy; /* "password" */
    struct busi_str phase;    /* "sign_in" */
};

struct busi_call {
    struct busi_arena arena;         /* memory of the call, wiped after the reply */
    struct busi_str request_id;      /* <= 64 bytes [A-Za-z0-9._-]; X-Request-Id of every hop */
    struct busi_str traceparent;     /* W3C trace context, or absent */
    int64_t until_ms;                /* deadline, busi_now_ms() scale */
    struct busi_str caller;          /* server side: name of the client's CURVE certificate, "gateway" */
    int64_t user_id;                 /* on whose behalf, 0: nobody's */
    struct busi_str idempotency_key; /* <= 255 bytes, or absent */
    struct busi_origin origin;       /* of the request this serves; empty within the house */

    /* client side */
    bool urgent;               /* goes out although the worker has as many calls as it may have */
    int client_fd;             /* socket of the client it is all for: its reset calls the call off; 0: none */
    atomic_bool called_off;    /* busi_rpc_cancel() */
    _Atomic(uint64_t) waiting; /* id of the call that is waited for; 0: none */

    /* why it failed; goes into the reply */
    struct busi_str message; /* for developers, never with personal data */
    int64_t retry_after_ms;  /* 0: no hint */
    struct busi_quota quota; /* with RESOURCE_EXHAUSTED: the caller's own limit; limit 0: a lack of ours */
    struct busi_violation violations[16];
    size_t n_violations;
};

/* arena_bytes: the most that its arena may take. until_ms is 0, which has passed: set it. */
void busi_call_init(struct busi_call *call, size_t arena_bytes);
/* Wipes and gives back its memory, and with it all that was answered. */
void busi_call_fini(struct busi_call *call);
int64_t busi_call_left_ms(const struct busi_call *call); /* never below 0 */

/* Notes why and returns code, for `return busi_call_fail(...)`. message is static. */
[[nodiscard]] static inline enum busi_code busi_call_fail(struct busi_call *call, enum busi_code code,
                                                          const char *message)
{
    call->message = busi_str_of(message);
    return code;
}
/* Adds a violation (field is static or in the arena); more than 16 are dropped. */
void busi_call_refuse(struct busi_call *call, const char *field, enum busi_rule rule, int64_t limit);
