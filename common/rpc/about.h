/* The rpc.* methods, which every server has: what it says of itself, to whom asks and to whom wants to hear
 * of changes. Loop thread only. Private to the RPC server. */
#pragma once
#include "rpc/calls.h"
#include "rpc/peers.h"

struct busi_about {
    const char *service;                   /* "auth" */
    bool (*ready)(void *server);           /* can do its work */
    void *server;                          /* for ready */
    struct busi_calls *calls;              /* borrowed */
    const struct busi_endpoint *endpoints; /* of the service itself */
    size_t n_endpoints;                    /* of them */
    struct busi_peers peers;               /* who is told of changes */
    int64_t described_s;                   /* in this second it was described */
    int described;                         /* so often */
    bool draining;                         /* sends clients away */
    bool was_ready;                        /* what they were told last */
};

/* Handlers that answer at once; their calls' state is the struct busi_about. */
extern const struct busi_endpoint busi_about_endpoints[];
extern const size_t busi_about_n_endpoints;
/* Now and then: tells those who watch when ready has changed. */
void busi_about_look(struct busi_about *about);
/* Tells every known client to send no new calls. */
void busi_about_drain(struct busi_about *about);
