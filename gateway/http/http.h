/* One HTTP request and its answer, as the surfaces see them: already checked (strict head, target, length),
 * body read whole within its deadline. Only the front (front*.c) knows CivetWeb. */
#pragma once
#include "base/buf.h"
#include "rpc/call.h"
#include <stdatomic.h>

enum http_method {
    HTTP_GET = 1,
    HTTP_HEAD = 2,
    HTTP_POST = 4,
    HTTP_PUT = 8,
    HTTP_PATCH = 16,
    HTTP_DELETE = 32,
    HTTP_OPTIONS = 64,
};

/* "GET"; "none" for 0. */
const char *http_method_name(enum http_method method);
/* "GET, HEAD, POST" of some or'ed; HEAD is GET, wherever that is. */
struct busi_str http_methods_text(struct busi_arena *arena, unsigned methods);

enum { HTTP_MAX_HEADERS = 64, HTTP_MAX_SEGMENTS = 16 };

struct http_header {
    struct busi_str name, value; /* borrowed from the connection's buffer */
};

/* Memory for large bodies and answers, of all requests of a front together. */
struct http_large {
    size_t most;        /* http_large_memory */
    atomic_size_t held; /* by requests */
};

struct http_request {
    enum http_method method; /* as sent; HEAD stays HEAD. 0 in done(): the head was refused */
    struct busi_str path;    /* raw bytes before '?', starts with '/' */
    struct busi_str query;   /* raw bytes after '?', or absent */
    struct http_header headers[HTTP_MAX_HEADERS];
    size_t n_headers;
    struct busi_str remote_addr; /* text, "203.0.113.9" */
    int64_t content_length;      /* -1: none announced */
    struct busi_str body;        /* whole, wiped after the answer; absent when there was none */
    struct busi_call call;       /* request id, deadline, arena */
    const void *note;            /* the application's own, from answer() for done(); NULL at first */
    struct http_large *large;    /* of its front; NULL: as much as wanted (tests) */
    size_t held;                 /* of it; given back behind the answer */
};

/* NULL when absent. Name regardless of case. */
const struct http_header *http_find_header(const struct http_request *request, struct busi_str name);
/* How often it occurs. */
size_t http_count_header(const struct http_request *request, struct busi_str name);

/* So many bytes of the memory for what is large are this request's from now on, in place of what it had.
 * False: there are not so many, and it keeps what it had. */
[[nodiscard]] bool http_hold(struct http_request *request, size_t bytes);

struct page_site;

struct http_response {
    int status;
    const char *content_type;       /* static; NULL with an empty body */
    struct busi_buf body;           /* the front adds Content-Length, and leaves the body out for HEAD */
    struct http_header headers[16]; /* further ones: location, link, allow ...; values without CR, LF */
    size_t n_headers;
    size_t language;              /* of a page's texts: page.h */
    const struct page_site *site; /* whose pages they are */
    bool no_store;                /* Cache-Control: no-store instead of the default */
    int max_age_s;                /* anybody may keep it for so long; 0: nobody may without asking */
    bool close;                   /* end the connection after this answer */
};
void http_add_header(struct http_response *response, const char *name, struct busi_str value);

/* What the front asks of the application before it reads the body, and after. All run on the connection's
 * thread, whose stack is 100 KiB (Debian's CivetWeb fixes it): no large arrays. body_limit must be quick and
 * wait for nothing. */
struct http_app {
    void *state;
    /* Largest body this request may have (the front answers 413 itself, by refuse). */
    int64_t (*body_limit)(void *state, const struct http_request *request);
    /* Answers the checked request. */
    void (*answer)(void *state, struct http_request *request, struct http_response *response);
    /* Shapes an error of the front itself (400, 405, 408, 413, 414, 415, 417, 431, 501, 503): status is set
     * already. path may be absent when it could not be read; of a head that is not believed request has no
     * headers. */
    void (*refuse)(void *state, const struct http_request *request, struct busi_str path,
                   struct http_response *response);
    /* After every answer was written, the front's own too: the application counts it (its route is in
     * request->note). */
    void (*done)(void *state, const struct http_request *request, const struct http_response *response,
                 int64_t us);
};

struct http_front;
struct http_front_options {
    const struct busi_settings *settings;
    struct http_app app;
};
/* Starts CivetWeb and proves the strict head check on loopback (a table of known requests): NULL and *error
 * when a verdict differs, the port is taken, or threads cannot be made. */
[[nodiscard]] struct http_front *http_front_open(const struct http_front_options *options,
                                                 const char **error);
/* Whether it can be listened on: IPv4, or empty for every address. */
bool http_front_bind_valid(struct busi_str bind);
int http_front_port(const struct http_front *front);
/* Every few tens of milliseconds, from one thread: ends silent connections when they have taken every thread,
 * so that no other can come and do it; and when it is late, the deadlines of what waited meanwhile are
 * shorter. */
void http_front_tend(struct http_front *front);
/* Each answer ends its connection, so that who keeps one finds another gateway before this one goes: nothing
 * else moves connections that were made already. */
void http_front_leave(struct http_front *front);
/* New requests are answered 503 with Connection: close and Retry-After; those in work go on. */
void http_front_drain(struct http_front *front);
size_t http_front_busy(const struct http_front *front); /* requests being answered now */
void http_front_close(struct http_front **front);       /* after drain */
