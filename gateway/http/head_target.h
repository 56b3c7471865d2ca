/* What a request's target and Host may look like. Pure; any bytes are fine. */
#pragma once
#include "base/str.h"

/* path: before '?', query: behind it (may be absent). Origin form only; no byte outside 0x21-0x7E, no '\\',
 * no '#', no broken percent escape; no "." or ".." segment and no %00 %2e %2f %5c %25 in the path (what would
 * be read as another path when decoded), no %00 in the query. Repeated slashes are the router's business. */
[[nodiscard]] bool head_target_valid(struct busi_str path, struct busi_str query);
/* A registered name, IPv4 or [IPv6] address, with a port or without. */
[[nodiscard]] bool head_host_valid(struct busi_str host);
