/* RPC client: finds every worker behind the configured names, keeps a pipe to each, sends a call to the less
 * loaded of two healthy ones, matches replies by id. Owned by one loop; busi_rpc_call() may be used from a
 * fiber of that loop (it suspends) or from any other thread (it blocks). */
#pragma once
#include "loop/fiber.h"
#include "rpc/curve.h"
#include "rpc/methods.h"

struct busi_rpc_client;
struct busi_pending;
struct busi_rpc_target {
    const char *service;       /* "auth", as in the method rows */
    struct busi_str endpoints; /* "host:port,host:port" */
    struct busi_str key_file;  /* the service's public certificate */
};
/* "host:port,host:port", as busi_rpc_client_new() takes it: at least one, ports 1..65535. Any thread. */
bool busi_rpc_endpoints_valid(struct busi_str endpoints);
struct busi_rpc_client_options {
    const struct busi_rpc_target *targets;
    size_t n_targets;
    struct busi_curve *curve; /* NULL: plain, for tests only */
    size_t max_in_flight;     /* per worker; past it RESOURCE_EXHAUSTED */
};
[[nodiscard]] struct busi_rpc_client *busi_rpc_client_new(struct busi_loop *loop,
                                                          const struct busi_rpc_client_options *options,
                                                          const char **error);
/* Fails what is in flight with UNAVAILABLE. Loop thread, or after the loop has stopped. */
void busi_rpc_client_free(struct busi_rpc_client **client);
/* At least one healthy worker of every target. Any thread. */
bool busi_rpc_client_ready(const struct busi_rpc_client *client);

/* One call, done by min(call->until_ms, now + the method's timeout). On OK out is filled (texts and lists in
 * call->arena). Otherwise call->message, violations and retry_after_ms say why:
 * UNAVAILABLE (no worker, or it died), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, or the service's own code. */
[[nodiscard]] enum busi_code busi_rpc_call(struct busi_rpc_client *client, struct busi_call *call,
                                           enum busi_method_id method, const void *in, void *out);

/* The same in two halves, so that calls overlap: start sends, finish waits and must follow exactly once.
 * Until then call, in and out stay where they are and belong to the call: overlapping calls need a busi_call
 * each. */
struct busi_rpc_started {
    struct busi_rpc_client *client;
    struct busi_call *call;
    enum busi_method_id id;
    const struct busi_method *method; /* of id */
    const void *in;                   /* the request */
    void *out;                        /* the reply */
    int64_t began_us, until_ms;       /* busi_now_us() and busi_now_ms() scale */
    struct busi_pending *pending;     /* what is waited for; NULL: it failed at once with code */
    enum busi_code code;
    bool again; /* nothing came of it, and it may be tried once more */
};
void busi_rpc_start(struct busi_rpc_started *started, struct busi_rpc_client *client, struct busi_call *call,
                    enum busi_method_id method, const void *in, void *out);
[[nodiscard]] enum busi_code busi_rpc_finish(struct busi_rpc_started *started);

/* Typed: busi_rpc_auth_sign_in(client, call, &request, &reply). */
#define METHOD(service, name, wire, request, reply, retry, timeout)                                          \
    [[nodiscard]] static inline enum busi_code busi_rpc_##service##_##name(                                  \
        struct busi_rpc_client *client, struct busi_call *call, const struct busi_##request *in,             \
        struct busi_##reply *out)                                                                            \
    {                                                                                                        \
        return busi_rpc_call(client, call, BUSI_METHOD_##service##_##name, in, out);                         \
    }
#include "proto/methods.def"
