/* Between client.c (the choice of a worker) and client_call.c (what a caller does). Private to the RPC
 * client. */
#pragma once
#include "rpc/client.h"
#include "rpc/pending.h"

struct busi_pendings *busi_rpc_client_pool(struct busi_rpc_client *client);
/* The target serving "auth"; NULL: not configured. */
struct busi_target *busi_rpc_client_target(struct busi_rpc_client *client, const char *service);
/* A call under way keeps the client's memory, even after busi_rpc_client_free(). */
void busi_rpc_client_enter(struct busi_rpc_client *client);
void busi_rpc_client_leave(struct busi_rpc_client *client);
/* Sends, or finishes it with the reason why not: from a fiber at once, from a thread by way of the loop. */
void busi_rpc_client_submit(struct busi_rpc_client *client, struct busi_pending *pending);
/* The retry budget: each call earns a tenth of a retry. */
void busi_rpc_client_earn(struct busi_rpc_client *client);
bool busi_rpc_client_may_retry(struct busi_rpc_client *client);
/* Makes the histograms of all methods, once per process. */
void busi_rpc_client_histograms(void);
