/* One call of a server, from its request to its answer. Private to the RPC server. */
#pragma once
#include "rpc/calls.h"

/* Starts the method's handler on a fiber; when all are busy it is refused. Gives served back in the end, as
 * the others do. */
void busi_served_start(struct busi_served *served, struct busi_fibers *fibers, void *state);
/* Answers here and now, so that it works when all fibers are busy. state is what the handler finds in served.
 */
void busi_served_at_once(struct busi_served *served, void *state);
/* Answers without a handler. */
void busi_served_refuse(struct busi_served *served, enum busi_code code, const char *message,
                        int64_t retry_after_ms);
/* The same for an envelope that is none; of it only the id is known. */
void busi_served_reject(struct busi_served *served, const char *why);
