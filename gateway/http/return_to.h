/* Where a browser may be sent on to: a path of this site, or a URL of an origin that was named. Pure; any
 * thread. */
#pragma once
#include "http/origins.h"

enum { RETURN_TO_MOST = 2048 }; /* bytes of a target */

/* Whatever two readers of URLs could understand differently is refused. */
[[nodiscard]] bool return_to_ok(struct busi_str target, const struct origins *origins);
