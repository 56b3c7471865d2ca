/* The gateway process: routes, workers' client and front in one place. */
#pragma once
#include "http/origins.h"
#include "http/proxies.h"
#include "pages/site.h"
#include "routing/guard_rules.h"
#include "routing/router.h"
#include "service/service.h"
#include "session/watch.h"
#include <stdatomic.h>

struct gateway {
    const struct busi_settings *settings; /* borrowed, lives as long as the process */
    struct router router;
    struct guard_rules rules;       /* what some routes ask of a token */
    struct origins cors;            /* whose pages may read answers; none: they say nothing of it */
    struct page_site *site;         /* owned: what pages have of the house */
    struct proxies proxies;         /* whose word about addresses counts */
    atomic_bool proxy_told;         /* the log has said that a proxy may be missing there */
    struct busi_rpc_client *rpc;    /* owned */
    struct session_cache *sessions; /* owned: principals of tokens checked before */
    struct session_watch *watch;    /* owned: hears which of them have ended */
    struct http_front *front;       /* owned */
    struct busi_timer *tick;        /* owned; tends the front */
    struct busi_histogram *histograms[ROUTES]; /* by row of routes.def; kept by the metrics */
    struct busi_histogram *unmatched;          /* requests no row was found for */
};

/* The table busi_service_main() runs. */
const struct busi_service *gateway_service(void);

/* Which surfaces are on, and where; settings may be NULL: all on, no prefix. */
struct router_options gateway_router_options(const struct busi_settings *settings);
/* The table of `gateway routes`. */
void gateway_print_routes(struct busi_buf *out, const struct router_options *options,
                          const struct guard_rules *rules);
