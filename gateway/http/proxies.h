/* Whose word about a client's address counts: BUSI_TRUSTED_PROXIES. One header is read, X-Forwarded-For or
 * Forwarded (BUSI_FORWARDED_HEADER): a proxy that writes one passes the client's own of the other name on, so
 * believing both would be believing anybody. */
#pragma once
#include "base/address.h"
#include "http/http.h"

enum { PROXIES_MOST = 64 };

struct proxies {
    struct busi_network trusted[PROXIES_MOST];
    size_t n;
    struct busi_str header; /* which they write, in lower case */
    bool rfc7239;           /* it is Forwarded */
};

/* "10.0.0.0/8, 2001:db8::1" or "". False: *bad is the part that is no network, or absent: too many. They
 * write X-Forwarded-For. */
[[nodiscard]] bool proxies_init(struct proxies *proxies, struct busi_str list, struct busi_str *bad);
/* Which header they write. False: none that we know. */
[[nodiscard]] bool proxies_write(struct proxies *proxies, struct busi_str header);
/* The nearest address on the request's way that is no trusted proxy; false: that is the peer itself. Walks
 * the list from its end, where our own proxies wrote, and stops at what is no address. Any thread. */
[[nodiscard]] bool proxies_client(const struct proxies *proxies, const struct http_request *request,
                                  struct busi_address *out);
