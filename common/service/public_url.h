/* Where clients reach the HTTP front, as BUSI_BASE_URL has it. Pure. */
#pragma once
#include "base/str.h"

/* "https://example.com", "http://10.0.0.7:4000/below": a scheme of the web, a host (name, IPv4 address, or
 * IPv6 address in brackets), perhaps a port of 1..65535, perhaps a path without a slash at its end. Nothing
 * in it ends an attribute, a line or the path it is put before. */
[[nodiscard]] bool busi_public_url_valid(struct busi_str url);
