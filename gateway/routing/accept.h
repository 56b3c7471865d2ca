/* Content negotiation (RFC 9110 section 12.5.1). Pure; any thread. */
#pragma once
#include "routing/router.h"

/* Does an Accept header allow type/subtype? The most specific range that covers it decides; q=0 refuses. A
 * part that is no media range is passed over. An empty header allows everything. */
bool accept_allows(struct busi_str header, struct busi_str type, struct busi_str subtype);
/* The row's rule against every Accept header of the request; ?_format= in the query wins over them. */
bool accept_request(const struct http_request *request, struct busi_str format, enum route_accept rule);
/* Would it rather have a page? Browsers name text/html and not application/json; programs that take anything
 * are no browsers. */
bool accept_prefers_page(const struct http_request *request);
