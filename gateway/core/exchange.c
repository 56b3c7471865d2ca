#include "core/exchange.h"
#include "base/log.h"

enum { PAGE_BYTES = 1024 * 1024 }; /* of a list, as it came and as it is read */

static bool canonical_decimal(struct busi_str text)
{
    size_t sign = text.len && text.ptr[0] == '-' ? 1 : 0;
    if (text.len == sign)
        return false;
    if (text.ptr[sign] == '0' && (sign || text.len > 1))
        return false;
    for (size_t i = sign; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return true;
}

enum id_verdict exchange_id(struct busi_str text, int64_t *out)
{
    if (!canonical_decimal(text))
        return ID_BAD;
    if (!busi_str_int(text, out) || *out < 1)
        return ID_UNKNOWN;
    return ID_OK;
}

/* What was begun for a better answer is forgotten. */
static void start_over(struct http_response *response)
{
    busi_buf_clear(&response->body);
    response->body.failed = false;
    response->n_headers = 0;
}

/* Spread over 1..3 s when the service gave no hint, so that clients do not come back all at once. */
static int64_t spread_ms(struct busi_str request_id)
{
    unsigned spread = 0;
    for (size_t i = 0; i < request_id.len; i++)
        spread = spread * 31 + (unsigned char)request_id.ptr[i];
    return 1000 + spread % 3 * 1000;
}

void exchange_error(struct exchange *x, int status)
{
    start_over(x->response);
    x->surface->error(x->response, status);
    if (status == 401)
        http_add_header(x->response, "WWW-Authenticate", BUSI_STR("Bearer"));
    struct busi_call *call = &x->request->call;
    if (status == 503 && call->retry_after_ms == 0) /* the front makes Retry-After of it */
        call->retry_after_ms = spread_ms(call->request_id);
}

bool exchange_hold_page(struct exchange *x)
{
    if (http_hold(x->request, x->response->body.room + PAGE_BYTES))
        return true;
    exchange_error(x, 503);
    return false;
}

/* A quota in headers, draft-ietf-httpapi-ratelimit-headers: seconds rounded up, as in Retry-After. */
static void add_quota(struct http_response *response, struct busi_call *call)
{
    const struct busi_quota *quota = &call->quota;
    struct busi_str policy =
        busi_arena_printf(&call->arena, "\"default\";q=%lld;w=%lld", (long long)quota->limit,
                          (long long)(quota->window_ms + 999) / 1000);
    struct busi_str left =
        busi_arena_printf(&call->arena, "\"default\";r=%lld;t=%lld", (long long)quota->remaining,
                          (long long)(quota->reset_ms + 999) / 1000);
    if (policy.ptr)
        http_add_header(response, "RateLimit-Policy", policy);
    if (left.ptr)
        http_add_header(response, "RateLimit", left);
}

static void too_many(struct exchange *x)
{
    exchange_error(x, 429); /* the front adds Retry-After */
    x->response->no_store = true;
    add_quota(x->response, &x->request->call);
}

static void log_failure(const struct exchange *x, enum busi_code code)
{
    const struct busi_call *call = &x->request->call;
    busi_log(BUSI_WARN, "call_failed", BUSI_S("request_id", call->request_id),
             BUSI_C("route", x->route ? x->route->label : ""), BUSI_C("code", busi_code_name(code)),
             BUSI_S("message", call->message));
}

void exchange_fail(struct exchange *x, enum busi_code code)
{
    const struct busi_call *call = &x->request->call;
    int status = busi_code_http(code);
    if (code == BUSI_RESOURCE_EXHAUSTED && call->quota.limit > 0) {
        too_many(x);
        return;
    }
    if (code == BUSI_PERMISSION_DENIED && x->owner_id) {
        exchange_forbidden(x);
        return;
    }
    if (status >= 500)
        log_failure(x, code);
    if (call->n_violations && status < 500) {
        start_over(x->response);
        x->surface->invalid(x->response, call);
    } else {
        exchange_error(x, status);
    }
}

void exchange_text(struct exchange *x, int status, struct busi_str text)
{
    start_over(x->response);
    x->response->status = status;
    x->response->content_type = "text/plain; charset=utf-8";
    busi_buf_str(&x->response->body, text);
    if (status == 401)
        http_add_header(x->response, "WWW-Authenticate", BUSI_STR("Bearer"));
}

void exchange_redirect(struct exchange *x, struct busi_str location)
{
    x->response->status = 303;
    http_add_header(x->response, "Location", location);
}

bool exchange_is_verdict(enum busi_code code)
{
    return code == BUSI_UNAUTHENTICATED || code == BUSI_NOT_FOUND || code == BUSI_PERMISSION_DENIED ||
           code == BUSI_FAILED_PRECONDITION;
}

void exchange_unauthenticated(struct exchange *x, enum token_fault fault)
{
    start_over(x->response);
    x->surface->unauthenticated(x->response, fault);
    http_add_header(x->response, "WWW-Authenticate",
                    fault == TOKEN_MISSING ? BUSI_STR("Bearer") : BUSI_STR("Bearer error=\"invalid_token\""));
}

void exchange_forbidden(struct exchange *x)
{
    start_over(x->response);
    x->surface->error(x->response, x->surface->forbidden ? x->surface->forbidden : 403);
    http_add_header(x->response, "WWW-Authenticate", BUSI_STR("Bearer error=\"insufficient_scope\""));
}

void exchange_wrong_method(struct exchange *x, unsigned methods)
{
    exchange_error(x, 405);
    http_add_header(x->response, "Allow", http_methods_text(&x->request->call.arena, methods));
}

void exchange_json(struct exchange *x, int status)
{
    if (x->response->body.failed) {
        exchange_error(x, 500);
        return;
    }
    x->response->status = status;
    x->response->content_type = "application/json; charset=utf-8";
}
