/* RPC client: finds every worker behind the configured names, keeps a pipe to each, sends a call to the less
 * loaded of two healthy ones, matches replies by id. Owned by one loop; busi_rpc_call() may be used from a
 * fiber of that loop (it suspends) or from any other thread (it blocks). */
#pragma once
#include "loop/fiber.h"
#include "rpc/curve.h"
#include "rpc/methods.h"
#include "rpc/worker_state.h"

struct busi_rpc_client;
struct busi_rpc_target {
    const char *service;       /* "auth", as in the method rows */
    struct busi_str endpoints; /* "host:port,host:port"; at most 64 over all targets */
    struct busi_str key_file;  /* the service's public certificate */
};
struct busi_rpc_client_options {
    const struct busi_rpc_target *targets;
    size_t n_targets;
    struct busi_curve *curve; /* borrowed; NULL: plain, for tests only */
    size_t max_in_flight;     /* per worker, at least 1; past it RESOURCE_EXHAUSTED */
    /* Told of each change of each worker, as soon as the worker says so; on the loop's thread, or on that
     * which frees the client. May be NULL. */
    busi_worker_state_fn *on_state;
    void *on_state_arg;
    /* For who asks on behalf of others: a worker that does not let this process's certificate call the method
     * has said nothing of what was asked. UNAVAILABLE, where others get PERMISSION_DENIED. */
    bool refusals_are_ours;
};
/* Connects in the background, again and again. Texts of the options are copied, but for the services' names
 * and what on_state_arg points to. NULL and *error (static): endpoints are malformed, or out of memory or
 * threads. Loop thread, or before the loop runs. */
[[nodiscard]] struct busi_rpc_client *busi_rpc_client_new(struct busi_loop *loop,
                                                          const struct busi_rpc_client_options *options,
                                                          const char **error);
/* Fails what is in flight with UNAVAILABLE. Loop thread, or after the loop has stopped. */
void busi_rpc_client_free(struct busi_rpc_client **client);
/* At least one healthy worker of every target. Any thread. */
bool busi_rpc_client_ready(const struct busi_rpc_client *client);

/* One call, done by min(call->until_ms, now + the method's timeout). On OK out is filled (texts and lists in
 * call->arena). Otherwise call->message, violations and retry_after_ms say why:
 * UNAVAILABLE (no worker, or it died), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, CANCELLED (by
 * busi_rpc_cancel(), or its client has hung up), or the service's own code. Whoever leaves early, also at a
 * deadline, tells the worker. */
[[nodiscard]] enum busi_code busi_rpc_call(struct busi_rpc_client *client, struct busi_call *call,
                                           enum busi_method_id method, const void *in, void *out);

/* Another thread than the one that waits in busi_rpc_call(), or another fiber: the call is CANCELLED at once,
 * and its worker drops what it has not written yet. So is any later call with this struct busi_call, which
 * must outlive this function. False: out of memory, it runs on to its end. */
[[nodiscard]] bool busi_rpc_cancel(struct busi_rpc_client *client, struct busi_call *call);

/* Typed: busi_rpc_auth_sign_in(client, call, &request, &reply). */
#define METHOD(service, name, wire, request, reply, retry, timeout)                                          \
    [[nodiscard]] static inline enum busi_code busi_rpc_##service##_##name(                                  \
        struct busi_rpc_client *client, struct busi_call *call, const struct busi_##request *in,             \
        struct busi_##reply *out)                                                                            \
    {                                                                                                        \
        return busi_rpc_call(client, call, BUSI_METHOD_##service##_##name, in, out);                         \
    }
#include "proto/methods.def"
