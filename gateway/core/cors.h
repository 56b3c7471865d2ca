/* Which pages of other origins may read our answers (https://fetch.spec.whatwg.org/#http-cors-protocol):
 * those named in BUSI_CORS_ORIGINS, byte for byte, on surfaces that are for programs. Never with cookies:
 * those of our pages are nobody else's. Any thread. */
#pragma once
#include <stdbool.h>

struct exchange;
struct http_request;
struct http_response;
struct origins;
struct surface;

/* Is it a browser's question about a path that has these methods, for a page that may? Then it is answered.
 */
[[nodiscard]] bool cors_preflight(struct exchange *x, unsigned methods);
/* Adds to an answer, after all else, what lets such a page read it. */
void cors_mark(const struct origins *cors, const struct surface *surface, const struct http_request *request,
               struct http_response *response);
