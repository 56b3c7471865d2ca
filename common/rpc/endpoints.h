/* "host:port,host:port": where workers are, as settings say it. Pure; any thread. */
#pragma once
#include "base/str.h"

enum { BUSI_MOST_ENDPOINTS = 64 }; /* of one client, over all services */

struct busi_host_port {
    struct busi_str host; /* a name or a dotted address, at most 255 bytes; within the list */
    uint16_t port;        /* host order */
};

/* Takes the first off the list. False: there is none, or it makes no sense. */
[[nodiscard]] bool busi_endpoints_take(struct busi_str *list, struct busi_host_port *out);
/* At least one, and not too many. */
[[nodiscard]] bool busi_endpoints_valid(struct busi_str list);
