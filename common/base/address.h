/* IP addresses and networks as text. An IPv4 address written as IPv6 (::ffff:192.0.2.1) is the IPv4 one.
 * Pure. */
#pragma once
#include "base/str.h"

struct busi_address {
    uint8_t bytes[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
};

enum { BUSI_ADDRESS_TEXT = 46 }; /* room for its text and a NUL */

/* "192.0.2.1", "2001:db8::1"; no port, no scope, no leading zeros. False: something else, *out is untouched.
 */
[[nodiscard]] bool busi_address_read(struct busi_str text, struct busi_address *out);
/* The one canonical text. */
void busi_address_print(const struct busi_address *address, char out[BUSI_ADDRESS_TEXT]);
/* All but the first bits cleared; bits count from the 128 of IPv6. */
struct busi_address busi_address_cut(const struct busi_address *address, unsigned bits);

/* What one client may change by itself cut off: an IPv4 address, or the /64 of an IPv6 one. */
struct busi_address busi_address_site(const struct busi_address *address);

struct busi_network {
    struct busi_address first;
    unsigned bits; /* of the 128 that all its addresses share */
};
/* "10.0.0.0/8", "2001:db8::/32", or one address. False: no network, or bits behind its prefix are set. */
[[nodiscard]] bool busi_network_read(struct busi_str text, struct busi_network *out);
bool busi_network_has(const struct busi_network *network, const struct busi_address *address);
