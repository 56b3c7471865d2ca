/* The business directory of the busi surface. */
#include "core/exchange.h"
#include "core/gateway.h"
#include "rpc/forms.h"
#include "surfaces/busi_shape.h"

enum {
    PAGE_ROWS = 1000,                     /* most rows asked of the service at once */
    PAGE_BYTES = 8 * 1024 * 1024,         /* memory of one page's reply */
    LIST_BYTES = 16 * 1024 * 1024 - 1024, /* most bytes of one answer, with room for its end */
};

static struct busi_str prefix(const struct exchange *x)
{
    return x->gateway->settings->surface_busi_prefix;
}

static void answer_business(struct exchange *x, int status, const struct busi_business *business)
{
    struct busi_buf *out = &x->response->body;
    busi_buf_str(out, BUSI_STR("{\"data\":"));
    busi_shape_business(out, business);
    busi_buf_char(out, '}');
    exchange_json(x, status);
}

/* The id of the path, or an answer. */
static bool take_id(struct exchange *x, int64_t *id)
{
    enum id_verdict verdict = exchange_id(x->id, id);
    if (verdict != ID_OK)
        exchange_error(x, verdict == ID_BAD ? 400 : 404);
    return verdict == ID_OK;
}

void on_busi_get_business(struct exchange *x)
{
    struct busi_business_id_request request = {0};
    struct busi_business business = {0};
    if (!take_id(x, &request.id))
        return;
    enum busi_code code =
        busi_rpc_directory_get_business(x->gateway->rpc, &x->request->call, &request, &business);
    if (code == BUSI_OK)
        answer_business(x, 200, &business);
    else
        exchange_fail(x, code);
}

/* draft-ietf-httpapi-idempotency-key-header: the client's name for this request, quoted or bare, 1 to 255
 * characters of ASCII. False: given, and none. */
static bool take_idempotency_key(struct exchange *x)
{
    const struct busi_str name = BUSI_STR("Idempotency-Key");
    const struct http_header *header = http_find_header(x->request, name);
    if (!header)
        return true;
    struct busi_str key = header->value;
    if (key.len > 1 && key.ptr[0] == '"' && key.ptr[key.len - 1] == '"')
        key = (struct busi_str){key.ptr + 1, key.len - 2};
    if (http_count_header(x->request, name) != 1 || key.len < 1 || key.len > 255 || !busi_form_visible(key))
        return false;
    x->request->call.idempotency_key = key;
    return true;
}

void on_busi_create_business(struct exchange *x)
{
    struct busi_call *call = &x->request->call;
    struct busi_write_business_request request;
    struct busi_business business = {0};
    struct fields fields;
    if (!busi_shape_write(x->body, &fields, &request) || !take_idempotency_key(x)) {
        exchange_error(x, 400);
        return;
    }
    enum busi_code code = busi_rpc_directory_create_business(x->gateway->rpc, call, &request, &business);
    code = fields_judge(&fields, call, code);
    if (code != BUSI_OK) {
        exchange_fail(x, code);
        return;
    }
    struct busi_str location = busi_arena_printf(&call->arena, "%.*s/api/businesses/%lld",
                                                 BUSI_ARG(prefix(x)), (long long)business.id);
    if (location.ptr)
        http_add_header(x->response, "Location", location);
    if (business.replayed)
        http_add_header(x->response, "Idempotency-Replayed", BUSI_STR("true"));
    answer_business(x, 201, &business);
}

void on_busi_update_business(struct exchange *x)
{
    struct busi_call *call = &x->request->call;
    struct busi_write_business_request request;
    struct busi_business business = {0};
    struct fields fields;
    int64_t id;
    if (!busi_shape_write(x->body, &fields, &request)) {
        exchange_error(x, 400);
        return;
    }
    if (!take_id(x, &id))
        return;
    request.id = id;
    request.owner_id = x->owner_id;
    enum busi_code code = busi_rpc_directory_update_business(x->gateway->rpc, call, &request, &business);
    code = fields_judge(&fields, call, code);
    if (code == BUSI_OK)
        answer_business(x, 200, &business);
    else
        exchange_fail(x, code);
}

void on_busi_delete_business(struct exchange *x)
{
    struct busi_business_id_request request = {.owner_id = x->owner_id};
    struct busi_empty nothing = {0};
    if (!take_id(x, &request.id))
        return;
    enum busi_code code =
        busi_rpc_directory_delete_business(x->gateway->rpc, &x->request->call, &request, &nothing);
    if (code == BUSI_OK)
        x->response->status = 204;
    else
        exchange_fail(x, code);
}

/* A list on its way into the answer. */
struct listing {
    struct exchange *x;
    int64_t left;  /* rows that may still be written */
    int64_t after; /* id of the last row written, or the client's cursor */
    bool first;    /* nothing is written yet */
    bool more;     /* there are rows past `after` */
    bool full;     /* the next row does not fit */
};

/* False when the answer is full: the row is not in it. */
static bool add_row(struct listing *list, const struct busi_business *row)
{
    struct busi_buf *out = &list->x->response->body;
    size_t before = out->len;
    if (!list->first)
        busi_buf_char(out, ',');
    busi_shape_business(out, row);
    if (out->failed || out->len > LIST_BYTES) {
        out->len = before;
        out->failed = false;
        return false;
    }
    list->first = false;
    list->after = row->id;
    list->left--;
    return true;
}

static enum busi_code add_rows(struct listing *list, const struct busi_list_businesses_reply *page)
{
    size_t n = page->businesses.n, i = 0;
    if (n == 0 && page->next_after_id) {
        /* the rows behind the cursor were deleted meanwhile; a cursor that stands still would never end */
        if (page->next_after_id <= list->after)
            return BUSI_INTERNAL;
        list->after = page->next_after_id;
    }
    while (i < n && list->left > 0 && add_row(list, &page->businesses.items[i]))
        i++;
    list->full = i < n;
    list->more = i < n || page->next_after_id;
    return BUSI_OK;
}

/* One page of the service; its memory is given back before the next. */
static enum busi_code add_page(struct listing *list)
{
    struct busi_call *call = &list->x->request->call;
    struct busi_call page_call = *call;
    struct busi_list_businesses_request request = {.after_id = list->after,
                                                   .limit = list->left < PAGE_ROWS ? list->left : PAGE_ROWS};
    struct busi_list_businesses_reply page = {0};
    busi_arena_init(&page_call.arena, PAGE_BYTES);
    enum busi_code code =
        busi_rpc_directory_list_businesses(list->x->gateway->rpc, &page_call, &request, &page);
    if (code == BUSI_OK)
        code = add_rows(list, &page);
    call->retry_after_ms = page_call.retry_after_ms;
    call->message = busi_arena_dup(&call->arena, page_call.message);
    busi_arena_fini(&page_call.arena);
    return code;
}

static void link_next(const struct listing *list, int64_t limit)
{
    struct exchange *x = list->x;
    struct busi_arena *arena = &x->request->call.arena;
    struct busi_str link = busi_arena_printf(arena, "<%.*s/api/businesses?after=%lld", BUSI_ARG(prefix(x)),
                                             (long long)list->after);
    if (limit)
        link = busi_arena_printf(arena, "%.*s&limit=%lld", BUSI_ARG(link), (long long)limit);
    link = busi_arena_printf(arena, "%.*s>; rel=\"next\"", BUSI_ARG(link));
    if (link.ptr)
        http_add_header(x->response, "Link", link);
}

/* Whole, or as much as fits with a link to the rest. Nothing is sent before the last page came, so that a
 * failure half-way is a clean error. */
void on_busi_list_businesses(struct exchange *x)
{
    struct busi_shape_page page;
    if (!busi_shape_page(x->query, &page)) {
        exchange_error(x, 400);
        return;
    }
    int64_t most = x->gateway->settings->list_most;
    struct listing list = {.x = x,
                           .after = page.after,
                           .first = true,
                           .left = page.limit && page.limit < most ? page.limit : most};
    struct busi_buf *out = &x->response->body;
    busi_buf_str(out, BUSI_STR("{\"data\":["));
    do {
        if (!exchange_hold_page(x))
            return;
        enum busi_code code = add_page(&list);
        if (code != BUSI_OK) {
            exchange_fail(x, code);
            return;
        }
    } while (list.more && !list.full && list.left > 0);
    if (list.more)
        link_next(&list, page.limit);
    busi_buf_str(out, BUSI_STR("]}"));
    exchange_json(x, 200);
}
