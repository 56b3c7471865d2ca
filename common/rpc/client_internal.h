/* What client.c (the choice of a worker) does for client_call.c (what a caller does). Private to the RPC
 * client. Any thread, but where it says otherwise. */
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
/* The retry budget: each call that is answered earns a tenth of a retry. */
void busi_rpc_client_earn(struct busi_rpc_client *client);
bool busi_rpc_client_may_retry(struct busi_rpc_client *client);
bool busi_rpc_client_refusals_are_ours(const struct busi_rpc_client *client);
/* The worker and the caller of the call in flight under this id are told that it is called off; nothing when
 * there is none. False: out of memory. */
[[nodiscard]] bool busi_rpc_client_call_off(struct busi_rpc_client *client, uint64_t id);
/* How long to wait before a call is sent again for the n-th time, from 0. */
int64_t busi_rpc_client_pause_ms(struct busi_rpc_client *client, int n);
