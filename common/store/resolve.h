/* Host names to addresses without stopping the loop: getaddrinfo() knows no deadline and no readiness, so
 * each look-up runs on a short-lived thread. Loop thread only. */
#pragma once
#include "loop/loop.h"
#include <stddef.h>

enum { BUSI_RESOLVE_MOST = 16, BUSI_RESOLVE_ADDRESS = 64 };

struct busi_resolve;
/* What was found; valid during the callback. */
struct busi_resolved {
    size_t n;
    struct {
        size_t host;                     /* which of the names, from 0 */
        char text[BUSI_RESOLVE_ADDRESS]; /* numeric; "" for a name that is a Unix socket's path */
    } items[BUSI_RESOLVE_MOST];
};
typedef void busi_resolve_fn(void *arg, const struct busi_resolved *found);

/* hosts: names or numeric addresses, comma separated; copied. fn runs once on the loop, with n 0 when nothing
 * was found; the handle is gone by then. NULL: no thread or descriptor to be had. */
[[nodiscard]] struct busi_resolve *busi_resolve_start(struct busi_loop *loop, const char *hosts,
                                                      busi_resolve_fn *fn, void *arg);
/* fn will not run. The thread, if still at it, ends by itself. */
void busi_resolve_cancel(struct busi_resolve **resolve);
/* True for a name that needs a look-up: neither a numeric address nor a socket path. */
bool busi_resolve_needed(const char *host);
