#include "pipeline.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "core/cors.h"
#include "core/exchange.h"
#include "core/guard.h"
#include "core/origin.h"
#include "pages/page.h"
#include "routing/accept.h"

enum { PASSWORD_EXTRA_MS = 2000 }; /* hashing has a queue of its own */

static const struct param empty_object = {.type = PARAM_OBJECT};

int64_t pipeline_body_limit(void *state, const struct http_request *request)
{
    const struct gateway *gateway = state;
    struct route_match match = router_match(&gateway->router, request->method, request->path);
    if (match.path && match.path->limit == LIMIT_BUSINESS)
        return gateway->settings->http_business_body_limit;
    return gateway->settings->http_body_limit;
}

enum http_method pipeline_method(enum http_method method, const struct param *body)
{
    static const struct {
        const char *name;
        enum http_method method;
    } verbs[] = {{"PUT", HTTP_PUT}, {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE}};
    const struct param *wish = method == HTTP_POST ? param_find(body, "_method") : NULL;
    if (!wish || wish->type != PARAM_TEXT)
        return method;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (busi_str_ieq(wish->text, busi_str_of(verbs[i].name)))
            return verbs[i].method;
    return method;
}

/* Bodies of methods that have none by nature are not looked at. */
static enum param_verdict read_body(struct exchange *x)
{
    struct http_request *request = x->request;
    const unsigned with_body = HTTP_POST | HTTP_PUT | HTTP_PATCH | HTTP_DELETE;
    if (!(request->method & with_body) || !request->body.ptr)
        return PARAMS_OK;
    const struct http_header *type = http_find_header(request, BUSI_STR("content-type"));
    struct param *body = NULL;
    enum param_verdict verdict =
        params_body(&request->call.arena, request->body, type ? type->value : (struct busi_str){0}, &body);
    if (verdict == PARAMS_OK)
        x->body = body;
    return verdict;
}

static bool read_query(struct exchange *x)
{
    struct http_request *request = x->request;
    struct param *query = NULL;
    if (request->query.len == 0)
        return true;
    if (params_form(&request->call.arena, request->query, &query) != PARAMS_OK)
        return false;
    x->query = query;
    return true;
}

static bool acceptable(const struct exchange *x)
{
    const struct param *format = param_find(x->query, "_format");
    if (format && format->type != PARAM_TEXT)
        return false;
    return accept_request(x->request, format ? format->text : (struct busi_str){0}, x->route->accept);
}

static bool takes_longer(const struct route *path)
{
    return path && path->time == TIME_PASSWORD;
}

/* Are its answers for nobody's cache? */
static bool is_private(const struct route *path)
{
    return takes_longer(path) || (path && surface_get(path->surface)->no_store);
}

static const struct surface *surface_for(const struct exchange *x, enum surface_id id)
{
    const struct surface *surface = surface_get(id);
    if (surface->for_browsers && x->gateway->site->account.ptr && accept_prefers_page(x->request))
        return surface->for_browsers;
    return surface;
}

/* The first thing a path decides, whatever goes wrong afterwards. */
static void prepare(struct exchange *x, const struct route_match *match)
{
    struct http_request *request = x->request;
    const struct route *path = match->path;
    x->surface = surface_for(x, match->surface);
    x->response->no_store = is_private(path);
    x->response->site = x->gateway->site;
    if (x->surface->for_people)
        x->response->language = page_language(request);
    if (takes_longer(path))
        request->call.until_ms += PASSWORD_EXTRA_MS;
    /* who reads with a token asks nothing else of the client */
    if (!(request->method & (HTTP_GET | HTTP_HEAD)) || (path && path->who == WHO_PUBLIC))
        request->call.origin = origin_of(x->gateway, request);
}

/* The body has said that another route of the path is meant: what prepare() did, for that one. */
static void take_other(struct exchange *x, struct route_match *match, enum http_method method)
{
    const bool longer = takes_longer(match->path);
    *match = router_match(&x->gateway->router, method, x->request->path);
    x->response->no_store = x->response->no_store || is_private(match->path);
    if (takes_longer(match->path) && !longer)
        x->request->call.until_ms += PASSWORD_EXTRA_MS;
}

/* False: there is none, and that is answered. */
static bool take_route(struct exchange *x, struct route_match match)
{
    struct http_request *request = x->request;
    enum http_method method =
        x->surface->method_override ? pipeline_method(request->method, x->body) : request->method;
    if (method != request->method)
        take_other(x, &match, method);
    if (!match.route) {
        if (match.path && x->surface->tells_methods)
            exchange_wrong_method(x, match.methods);
        else
            exchange_error(x, 404);
        return false;
    }
    x->route = match.route;
    x->id = match.id;
    x->plugged = x->gateway->rules.plugged[match.route - routes];
    request->note = match.route;
    return true;
}

static void handle_guarded(struct exchange *x)
{
    struct busi_principal principal = {0};
    if (guard_admit(x, &principal))
        x->route->handler(x);
    x->principal = NULL;
}

static void handle(struct exchange *x, struct route_match match)
{
    enum param_verdict verdict = read_body(x);
    if (verdict != PARAMS_OK) {
        exchange_error(x, (int)verdict);
        return;
    }
    if (!read_query(x)) {
        exchange_error(x, 400);
        return;
    }
    if (!take_route(x, match))
        return;
    if (!acceptable(x)) {
        exchange_error(x, 406);
        return;
    }
    if (x->surface->check && !x->surface->check(x))
        return;
    if (x->route->who == WHO_PUBLIC && !x->gateway->rules.named[x->route - routes])
        x->route->handler(x);
    else
        handle_guarded(x);
}

/* While memory is refused a token may look wrong that is none, and an answer may lack what there was no room
 * for (base/memory.h). What has changed something has been told so by whom it was asked to. */
static bool is_doubtful(const struct exchange *x, int64_t refusals)
{
    const struct http_response *response = x->response;
    bool verdict = response->status >= 400 && response->status < 500;
    return busi_memory_refusals() != refusals &&
           (verdict || response->body.failed || x->request->method & (HTTP_GET | HTTP_HEAD));
}

void pipeline_answer(void *state, struct http_request *request, struct http_response *response)
{
    struct gateway *gateway = state;
    struct exchange x = {.gateway = gateway,
                         .request = request,
                         .response = response,
                         .body = &empty_object,
                         .query = &empty_object};
    const int64_t refusals = busi_memory_refusals();
    struct route_match match = router_match(&gateway->router, request->method, request->path);
    prepare(&x, &match);
    if (!cors_preflight(&x, match.methods))
        handle(&x, match);
    if (is_doubtful(&x, refusals))
        exchange_error(&x, 503);
    cors_mark(&gateway->cors, x.surface, request, response);
}

void pipeline_refuse(void *state, const struct http_request *request, struct busi_str path,
                     struct http_response *response)
{
    const struct gateway *gateway = state;
    struct route_match match = router_match(&gateway->router, HTTP_GET, path);
    const struct surface *surface = surface_get(match.surface);
    response->no_store = is_private(match.path);
    response->site = gateway->site;
    surface->error(response, response->status);
    cors_mark(&gateway->cors, surface, request, response);
}

void pipeline_done(void *state, const struct http_request *request, const struct http_response *response,
                   int64_t us)
{
    struct gateway *gateway = state;
    const struct route *route = request->note;
    busi_histogram_observe(route ? gateway->histograms[route - routes] : gateway->unmatched, us,
                           response->status);
    /* The pattern, not the path: a path that matched nothing may be anything, a password too. */
    busi_log(BUSI_INFO, "request", BUSI_S("request_id", request->call.request_id),
             BUSI_C("method", http_method_name(request->method)),
             BUSI_C("route", route ? route->label : "none"), BUSI_I("status", response->status),
             BUSI_I("duration_us", us));
}
