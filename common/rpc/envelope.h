/* The envelope of a call and of its reply: one msgpack map with integer keys in one ZeroMQ frame. The format
 * and its golden bytes are in proto/README.md. Pure functions over bytes: no sockets, any thread. */
#pragma once
#include "rpc/methods.h"
#include "wire/codec.h"

enum { BUSI_RPC_VERSION = 1, BUSI_RPC_MAX_REQUEST = 2 * 1024 * 1024, BUSI_RPC_MAX_REPLY = 4 * 1024 * 1024 };

struct busi_request_head {
    struct busi_str method;
    uint64_t id;       /* correlation id, chosen by the client; never 0 */
    int64_t budget_ms; /* what is left; 1..30000, larger is cut */
    struct busi_str request_id, traceparent, idempotency_key;
    int64_t user_id;
    struct busi_origin origin;
    struct busi_str body; /* raw msgpack map */
};
struct busi_reply_head {
    uint64_t id; /* 0: a notice, not an answer */
    int code;
    struct busi_str message;
    int64_t retry_after_ms;
    bool draining;              /* notice: send me no new calls */
    struct busi_str violations; /* raw msgpack array, or absent */
    struct busi_str quota;      /* raw msgpack map, or absent */
    struct busi_str body;       /* raw msgpack map, when OK */
};

/* Packs head (body ignored) and then the message as body. */
void busi_request_encode(struct busi_buf *out, const struct busi_request_head *head,
                         const struct busi_desc *desc, const void *message);
/* False: *bad says why, and head is empty but for the id, if that came before what is wrong. */
[[nodiscard]] bool busi_request_decode(struct busi_str frame, struct busi_request_head *head,
                                       const char **bad);
/* code OK packs the message, any other code packs the call's message, hint, quota and violations. */
void busi_reply_encode(struct busi_buf *out, uint64_t id, enum busi_code code, const struct busi_call *call,
                       const struct busi_desc *desc, const void *message);
void busi_notice_encode(struct busi_buf *out, bool draining);
[[nodiscard]] bool busi_reply_decode(struct busi_str frame, struct busi_reply_head *head, const char **bad);
