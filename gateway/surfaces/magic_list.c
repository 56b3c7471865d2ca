#include "surfaces/magic_list.h"
#include "core/gateway.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_shape.h"

enum {
    USUAL_ROWS = 25,                      /* where no limit was given */
    PAGE_ROWS = 500,                      /* most rows asked of the service at once */
    PAGE_BYTES = 8 * 1024 * 1024,         /* memory of one page's reply */
    LIST_BYTES = 16 * 1024 * 1024 - 1024, /* most bytes of one answer, with room for its end */
};

bool magic_list_begin(struct magic_list *list, size_t *mark)
{
    struct busi_buf *out = &list->x->response->body;
    if (list->left == 0 || list->full)
        return false;
    *mark = out->len;
    if (!list->first)
        busi_buf_char(out, ',');
    return true;
}

bool magic_list_end(struct magic_list *list, size_t mark)
{
    struct busi_buf *out = &list->x->response->body;
    if (out->failed || out->len > LIST_BYTES) {
        out->len = mark;
        out->failed = false;
        list->full = true;
        return false;
    }
    list->first = false;
    list->offset++;
    list->left--;
    return true;
}

static enum busi_code add_page(struct magic_list *list, magic_list_page *page)
{
    struct busi_call *call = &list->x->request->call;
    struct busi_call page_call = *call;
    const int64_t before = list->offset;
    busi_arena_init(&page_call.arena, PAGE_BYTES);
    enum busi_code code =
        page(list, &page_call, list->left < PAGE_ROWS ? list->left : PAGE_ROWS, &list->more);
    call->retry_after_ms = page_call.retry_after_ms;
    call->quota = page_call.quota;
    call->message = busi_arena_dup(&call->arena, page_call.message);
    busi_arena_fini(&page_call.arena);
    list->more = (list->more && list->offset > before) || list->full;
    return code;
}

/* Nothing is sent before the last page came, so that a failure half-way is a clean error. */
void magic_list_answer(struct exchange *x, magic_list_page *page)
{
    const int64_t most = x->gateway->settings->list_most, limit = magic_integer(x, "limit", USUAL_ROWS);
    const bool cut = limit < 0 || limit > most;
    struct magic_list list = {
        .x = x, .offset = magic_integer(x, "offset", 0), .left = cut ? most : limit, .first = true};
    busi_buf_char(&x->response->body, '[');
    do {
        if (!exchange_hold_page(x))
            return;
        enum busi_code code = list.left > 0 ? add_page(&list, page) : BUSI_OK;
        if (code != BUSI_OK) {
            exchange_fail(x, code);
            return;
        }
    } while (list.more && !list.full && list.left > 0);
    if ((cut && list.more) || list.full)
        magic_link_next(x, "offset", list.offset);
    busi_buf_char(&x->response->body, ']');
    exchange_json(x, 200);
}
