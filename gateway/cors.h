/* Which pages of other origins may read our answers (https://fetch.spec.whatwg.org/#http-cors-protocol):
 * those named in BUSI_CORS_ORIGINS, byte for byte, on surfaces that are for programs. Never with cookies:
 * those of our pages are nobody else's. Any thread. */
#pragma once
#include "base/str.h"
#include <stdbool.h>

struct exchange;

enum { CORS_ORIGINS_MOST = 64 };

struct cors {
    struct busi_str origins[CORS_ORIGINS_MOST]; /* borrowed from the setting */
    size_t n;                                   /* 0: none, and answers say nothing of it */
};

/* "https://app.example.com, http://localhost:3000" or "". False: *bad is the part that no browser sends as an
 * origin ("*", "null", a path, a capital), or absent: too many. */
[[nodiscard]] bool cors_init(struct cors *cors, struct busi_str list, struct busi_str *bad);

/* Is it a browser's question about a path that has these methods, for a page that may? Then it is answered.
 */
[[nodiscard]] bool cors_preflight(struct exchange *x, unsigned methods);
/* Adds to an answer, after all else, what lets such a page read it. */
void cors_mark(struct exchange *x);
