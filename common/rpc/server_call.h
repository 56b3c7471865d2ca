/* Between server.c (the socket) and server_call.c (one call on its fiber). Private to the RPC server. */
#pragma once
#include "base/metrics.h"
#include "rpc/envelope.h"
#include "rpc/link.h"
#include "rpc/server.h"

/* One method a server answers. */
struct busi_served_method {
    enum busi_method_id id;
    const struct busi_method *method;
    struct busi_str wire;             /* method->wire */
    busi_handler *handler;            /* NULL: rpc.Health, rpc.Describe */
    struct busi_histogram *histogram; /* NULL: out of memory at start */
};

/* One call from its frame to its reply. */
struct busi_served {
    struct busi_served *next;                /* in the server's list of unused ones */
    struct busi_rpc_server *server;          /* borrowed */
    const struct busi_served_method *method; /* whom it asks for; the server's */
    struct busi_peer peer;                   /* who asks */
    struct busi_frame frame;                 /* the request; head and texts point into it */
    struct busi_request_head head;           /* of the request */
    int64_t began_us;                        /* when it was read */
    int64_t until_ms;                        /* when its budget ends */
};

/* Starts a fiber on it; when all are busy it is refused. Gives served back in the end. */
void busi_served_start(struct busi_served *served, struct busi_fibers *fibers);
/* Answers at once, without the handler. */
void busi_served_refuse(struct busi_served *served, enum busi_code code, const char *message,
                        int64_t retry_after_ms);

/* What server.c offers: */
void *busi_rpc_server_state(struct busi_rpc_server *server);
/* Takes buf's bytes. A client that is gone or does not read loses its reply (counted). */
void busi_rpc_server_send(struct busi_rpc_server *server, const struct busi_peer *peer, struct busi_buf *buf);
void busi_rpc_server_give(struct busi_rpc_server *server, struct busi_served *served);
