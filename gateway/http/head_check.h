/* The strict reading of a request head that CivetWeb's lenient parser has already cut in place: accepted only
 * when a second, strict walk over the same bytes finds exactly the pieces CivetWeb found. Pure; any bytes are
 * fine. */
#pragma once
#include "http/http.h"

/* What CivetWeb hands out. Every pointer is NUL-terminated and points into bytes[0..len). */
struct cut_header {
    const char *name, *value;
};
struct cut_head {
    const char *bytes;                     /* the received head, separators overwritten by NULs */
    size_t len;                            /* up to and with the empty line that ends it */
    const char *method, *target, *version; /* version without "HTTP/" */
    const char *query;                     /* behind the first '?', or NULL */
    const struct cut_header *headers;
    size_t n_headers;
};

enum { HEAD_MAX_REQUEST_LINE = 2048 };

struct head_verdict {
    int status;        /* 200: fine; else what to answer: 400, 411, 414, 417, 431, 501 */
    const char *fault; /* static, for the log; NULL when fine */
};

struct head_facts {
    bool keep_alive;       /* the client wants the connection kept */
    bool expects_continue; /* Expect: 100-continue */
};

/* Fills method, path, query, headers and content_length of *request (all borrowed from head) and *facts; what
 * is filled when the head is refused must not be used, except path: absent unless it is well-formed.
 */
[[nodiscard]] struct head_verdict head_check(const struct cut_head *head, struct http_request *request,
                                             struct head_facts *facts);

/* The methods we know; false for another. */
[[nodiscard]] bool head_method(struct busi_str name, enum http_method *out);
