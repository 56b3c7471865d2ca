/* The Cookie header of a request (RFC 6265). Pure; any bytes are fine, any thread. */
#pragma once
#include "http/http.h"

/* The first cookie of this name, without quotes around it; absent when there is none. Borrowed from the
 * request. */
struct busi_str cookie_find(const struct http_request *request, struct busi_str name);
