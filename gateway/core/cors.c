#include "core/cors.h"
#include "core/exchange.h"
#include "core/gateway.h"

#define ALLOWED_HEADERS BUSI_STR("Authorization, Content-Type, Idempotency-Key, access-token, refresh-token")
#define EXPOSED_HEADERS                                                                                      \
    BUSI_STR("X-Request-Id, Retry-After, Link, Location, RateLimit, RateLimit-Policy, Idempotency-Replayed")
#define MAX_AGE BUSI_STR("600") /* seconds a browser keeps the answer; Chromium caps it at two hours */

/* The origin that asks, when it may; absent otherwise. */
static struct busi_str allowed_origin(const struct origins *cors, const struct http_request *request)
{
    const struct busi_str name = BUSI_STR("origin"), none = {0};
    const struct http_header *origin = http_find_header(request, name);
    if (!origin || http_count_header(request, name) > 1)
        return none;
    for (size_t i = 0; i < cors->n; i++)
        if (busi_str_eq(origin->value, cors->list[i]))
            return cors->list[i];
    return none;
}

static bool is_on(const struct origins *cors, const struct surface *surface)
{
    return cors->n > 0 && surface->cross_origin;
}

bool cors_preflight(struct exchange *x, unsigned methods)
{
    const struct origins *cors = &x->gateway->cors;
    if (x->request->method != HTTP_OPTIONS || !is_on(cors, x->surface) || methods == 0 ||
        !allowed_origin(cors, x->request).ptr ||
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
void cors_mark(const struct origins *cors, const struct surface *surface, const struct http_request *request,
               struct http_response *response)
{
    if (!is_on(cors, surface))
        return;
    struct busi_str origin = allowed_origin(cors, request);
    http_add_header(response, "Vary", BUSI_STR("Origin"));
    if (!origin.ptr)
        return;
    http_add_header(response, "Access-Control-Allow-Origin", origin);
    if (request->method != HTTP_OPTIONS)
        http_add_header(response, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
}
