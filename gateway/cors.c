#include "cors.h"
#include "exchange.h"
#include "gateway.h"

#define BLANKS " \t"
#define ALLOWED_HEADERS BUSI_STR("Authorization, Content-Type, access-token, refresh-token")
#define EXPOSED_HEADERS BUSI_STR("X-Request-Id, Retry-After, Link, Location, RateLimit, RateLimit-Policy")
#define MAX_AGE BUSI_STR("600") /* seconds a browser keeps the answer; Chromium caps it at two hours */

/* ---- the setting ---- */

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '[' || c == ']' ||
           c == ':';
}

/* "scheme://host[:port]" as browsers write it: in lower case and without a slash at the end. */
static bool is_origin(struct busi_str text)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct busi_str scheme = busi_str_of(schemes[i]);
        if (!busi_str_starts(text, scheme))
            continue;
        for (size_t at = scheme.len; at < text.len; at++)
            if (!is_host_char(text.ptr[at]))
                return false;
        return text.len > scheme.len && text.ptr[scheme.len] != ':' && text.ptr[text.len - 1] != ':';
    }
    return false;
}

bool cors_init(struct cors *cors, struct busi_str list, struct busi_str *bad)
{
    *cors = (struct cors){0};
    *bad = (struct busi_str){0};
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        struct busi_str part = busi_str_trim((struct busi_str){list.ptr, len}, BLANKS);
        if (cors->n == CORS_ORIGINS_MOST)
            return false;
        if (!is_origin(part)) {
            *bad = part;
            return false;
        }
        cors->origins[cors->n++] = part;
        len += comma != NULL;
        list = (struct busi_str){list.ptr + len, list.len - len};
    }
    return true;
}

/* ---- answers ---- */

/* The origin that asks, when it may; absent otherwise. */
static struct busi_str allowed_origin(const struct exchange *x)
{
    const struct cors *cors = &x->gateway->cors;
    const struct busi_str name = BUSI_STR("origin"), none = {0};
    const struct http_header *origin = http_find_header(x->request, name);
    if (!origin || http_count_header(x->request, name) > 1)
        return none;
    for (size_t i = 0; i < cors->n; i++)
        if (busi_str_eq(origin->value, cors->origins[i]))
            return cors->origins[i];
    return none;
}

static bool is_on(const struct exchange *x)
{
    return x->gateway->cors.n > 0 && x->surface->cross_origin;
}

bool cors_preflight(struct exchange *x, unsigned methods)
{
    if (x->request->method != HTTP_OPTIONS || !is_on(x) || methods == 0 || !allowed_origin(x).ptr ||
        !http_find_header(x->request, BUSI_STR("access-control-request-method")))
        return false;
    x->response->status = 204;
    http_add_header(x->response, "Access-Control-Allow-Methods",
                    http_methods_text(&x->request->call.arena, methods));
    http_add_header(x->response, "Access-Control-Allow-Headers", ALLOWED_HEADERS);
    http_add_header(x->response, "Access-Control-Max-Age", MAX_AGE);
    return true;
}

/* Caches keep apart by Origin even what is the same for all: a page that may not would be answered with what
 * a page that may has asked for. */
void cors_mark(struct exchange *x)
{
    if (!is_on(x))
        return;
    struct busi_str origin = allowed_origin(x);
    http_add_header(x->response, "Vary", BUSI_STR("Origin"));
    if (!origin.ptr)
        return;
    http_add_header(x->response, "Access-Control-Allow-Origin", origin);
    if (x->request->method != HTTP_OPTIONS)
        http_add_header(x->response, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
}
