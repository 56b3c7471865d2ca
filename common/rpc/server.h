/* RPC server: one ROUTER socket on the loop, a fiber per call. Expired calls are dropped before work starts,
 * calls past the fiber cap are refused with RESOURCE_EXHAUSTED and a hint, malformed bytes are counted and
 * dropped. */
#pragma once
#include "loop/fiber.h"
#include "rpc/curve.h"
#include "rpc/methods.h"

struct busi_rpc_server;
struct busi_rpc_server_options {
    const char *service;      /* "auth" */
    struct busi_str bind;     /* "tcp://0.0.0.0:5001"; port * picks a free one */
    struct busi_curve *curve; /* NULL: plain, for tests only */
    struct busi_fibers *fibers;
    const struct busi_endpoint *endpoints;
    size_t n_endpoints;
    void *state;                /* first argument of the handlers */
    bool (*ready)(void *state); /* what rpc.Health says; may be NULL */
    size_t most_connections;    /* with CURVE; 0: BUSI_CROWD_MOST */
};
[[nodiscard]] struct busi_rpc_server *busi_rpc_server_new(struct busi_loop *loop,
                                                          const struct busi_rpc_server_options *options,
                                                          const char **error);
/* The endpoint really bound, "tcp://127.0.0.1:40123". */
struct busi_str busi_rpc_server_endpoint(const struct busi_rpc_server *server);
/* Tells every known client to send no new calls; calls that still come are answered as usual. */
void busi_rpc_server_drain(struct busi_rpc_server *server);
/* What rpc.Health says: the service is, and new clients can be let in. Loop thread. */
bool busi_rpc_server_ready(const struct busi_rpc_server *server);
size_t busi_rpc_server_in_flight(const struct busi_rpc_server *server);
/* Closes the socket. Calls still being worked on go on, and their replies go nowhere; the fibers must outlive
 * them. Loop thread, or after the loop has stopped. */
void busi_rpc_server_free(struct busi_rpc_server **server);
