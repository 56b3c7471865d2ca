/* Memory for what is large, of all requests together: a few hundred bodies or lists, each within its bound,
 * would be more than the process may have, and end it with everything else under way. */
#include "base/metrics.h"
#include "http/front_state.h"

static bool take(struct http_request *request, size_t bytes, size_t most)
{
    struct http_large *large = request->large;
    size_t held = atomic_load(&large->held), rest;
    do {
        rest = held - request->held;
        if (bytes > request->held && (rest > most || bytes > most - rest))
            return false;
    } while (!atomic_compare_exchange_weak(&large->held, &held, rest + bytes));
    request->held = bytes;
    return true;
}

static bool hold(struct http_request *request, size_t bytes, size_t most)
{
    bool fits = take(request, bytes, most);
    if (!fits)
        busi_metric_add(BUSI_METRIC_http_no_memory, 1);
    return fits;
}

bool http_hold(struct http_request *request, size_t bytes)
{
    return !request->large || hold(request, bytes, request->large->most);
}

bool front_hold_body(struct http_request *request)
{
    size_t bytes = (size_t)request->content_length * FRONT_BODY_COPIES;
    return request->content_length <= FRONT_SMALL_BODY || hold(request, bytes, request->large->most / 2);
}
