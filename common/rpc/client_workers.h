/* The workers of a client: for each service it calls those behind its names, opened and closed as names, keys
 * and health change. Private to the RPC client. Loop thread only, but where it says otherwise. */
#pragma once
#include "rpc/client.h"
#include "rpc/worker.h"
#include <stdatomic.h>

enum { BUSI_URGENT_MOST = 8 }; /* urgent calls a worker takes beside max_in_flight */

/* One service. */
struct busi_target {
    const char *service;         /* "auth"; static */
    struct busi_str key_file;    /* owned by the struct busi_client_workers */
    struct busi_worker *workers; /* owned */
    atomic_size_t alive;         /* workers that answer */
};

struct busi_client_workers;
/* loop and pool are borrowed; options are copied, their curve is borrowed. NULL: *error says why. */
[[nodiscard]] struct busi_client_workers *
busi_client_workers_new(struct busi_loop *loop, const struct busi_rpc_client_options *options,
                        struct busi_pendings *pool, const char **error);
/* Closes all pipes, for good: what is in flight is lost, and whoever still asks finds no worker. Loop thread,
 * or after the loop has stopped. */
void busi_client_workers_close(struct busi_client_workers *all);
/* Frees what has been closed. Any thread. */
void busi_client_workers_free(struct busi_client_workers **workers);

/* The target serving "auth"; NULL: not configured. Any thread. */
struct busi_target *busi_client_workers_target(struct busi_client_workers *all, const char *service);
/* At least one of each target answers. Any thread. */
bool busi_client_workers_ready(const struct busi_client_workers *all);
