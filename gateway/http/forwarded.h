/* The header Forwarded (RFC 7239), from its end: there our own proxies wrote. Pure. */
#pragma once
#include "base/address.h"

/* Cuts the element behind the last comma off the list; commas in quoted strings separate nothing. */
struct busi_str forwarded_cut_last(struct busi_str *list);
/* Whom an element is for: for=192.0.2.1, for="[2001:db8::1]:4711". False: it names nobody, more than one, or
 * what is no address. */
[[nodiscard]] bool forwarded_for(struct busi_str element, struct busi_address *out);
