/* Looks host names up on a thread of its own, every few seconds and when told to hurry: libzmq would resolve
 * on its I/O thread and use only the first address of a name. */
#pragma once
#include "base/str.h"

enum { BUSI_MOST_ADDRESSES = 64 }; /* of one name; more are not used */
struct busi_addresses {
    uint32_t ipv4[BUSI_MOST_ADDRESSES]; /* network order, ascending, each once */
    size_t n;
};

struct busi_resolver;
/* hosts (copied): names or dotted addresses; at most 255 bytes each. NULL: out of memory or threads. */
[[nodiscard]] struct busi_resolver *busi_resolver_new(const struct busi_str *hosts, size_t n);
/* Returns at once; a look-up in progress ends behind the scenes. */
void busi_resolver_free(struct busi_resolver **resolver);
/* True when the addresses of hosts[i] differ from those taken last. A failed or empty look-up changes
 * nothing: better yesterday's workers than none. Any thread. */
[[nodiscard]] bool busi_resolver_take(struct busi_resolver *resolver, size_t i, struct busi_addresses *out);
/* Look again now (but not more than four times a second). Any thread. */
void busi_resolver_hurry(struct busi_resolver *resolver);
