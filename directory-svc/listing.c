/* Pages of the list: bounded by rows and by bytes. */
#include "directory.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    PAGE_ROWS = 1000,
    PAGE_BYTES = 1 << 20,
    COLUMN_DESCRIPTION = 2,
    COLUMN_TOTAL = 6,
};

struct page {
    int64_t after, rows; /* asked for */
    char texts[3][24];   /* the parameters */
    struct busi_pg_result result;
};

static enum busi_code ask(struct directory *self, struct busi_call *call, enum directory_statement statement,
                          struct page *page)
{
    const int64_t numbers[3] = {page->after, page->rows + 1,
                                PAGE_BYTES}; /* one more tells that there is more */
    struct busi_str params[3];
    for (size_t i = 0; i < 3; i++) {
        int n = snprintf(page->texts[i], sizeof page->texts[i], "%" PRId64, numbers[i]);
        params[i] = (struct busi_str){page->texts[i], (size_t)n};
    }
    return busi_pg_run(self->pg, statement, params, call->until_ms, &page->result);
}

static bool has_long_row(const struct page *page)
{
    for (int row = 0; row < page->result.rows; row++)
        if (!busi_pg_value(&page->result, row, COLUMN_DESCRIPTION).ptr)
            return true;
    return false;
}

/* Whether there is more behind these rows, as far as they tell. */
static bool is_cut(const struct page *page)
{
    int last = page->result.rows - 1;
    return page->result.rows > page->rows ||
           (last >= 0 && busi_pg_int(&page->result, last, COLUMN_TOTAL) >= PAGE_BYTES);
}

static enum busi_code fill(struct busi_call *call, const struct page *page,
                           struct busi_list_businesses_reply *out)
{
    size_t n = (size_t)(page->result.rows > page->rows ? page->rows : page->result.rows);
    struct busi_business *items = busi_arena_array(&call->arena, n, sizeof *items);
    if (!items)
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "the page does not fit the call's memory");
    for (size_t i = 0; i < n; i++)
        if (!busi_pg_message(&page->result, (int)i, busi_desc_business(), &items[i], &call->arena))
            return busi_call_fail(call, BUSI_INTERNAL, "a row did not fit its message");
    out->businesses.items = items;
    out->businesses.n = n;
    out->next_after_id = n > 0 && is_cut(page) ? items[n - 1].id : 0;
    return BUSI_OK;
}

enum busi_code directory_list_businesses(struct directory *self, struct busi_call *call,
                                         const struct busi_list_businesses_request *in,
                                         struct busi_list_businesses_reply *out)
{
    struct page page = {.after = in->after_id, .rows = PAGE_ROWS};
    if (in->limit > 0 && in->limit < PAGE_ROWS)
        page.rows = in->limit;
    enum busi_code code = ask(self, call, DIRECTORY_LIST, &page);
    if (code == BUSI_OK && has_long_row(&page)) {
        busi_pg_clear(&page.result);
        code = ask(self, call, DIRECTORY_LIST_LONG, &page);
    }
    if (code == BUSI_OK)
        code = fill(call, &page, out);
    busi_pg_clear(&page.result);
    return code;
}
