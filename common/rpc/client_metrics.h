/* How long calls take, by method and code. */
#pragma once
#include "rpc/methods.h"

/* Once per process; any thread. */
void busi_client_metrics_make(void);
void busi_client_metrics_observe(enum busi_method_id method, int64_t us, enum busi_code code);
