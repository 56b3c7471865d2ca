#include "listing.h"
#include "answers.h"

enum { USUAL = 100 };

bool auth_listing_page(struct busi_arena *arena, int64_t limit, int64_t offset, struct busi_str params[2])
{
    params[0] = busi_arena_int(arena, limit ? limit : USUAL);
    params[1] = busi_arena_int(arena, offset);
    return params[0].ptr && params[1].ptr;
}

enum busi_code auth_listing_read(struct busi_call *call, const struct busi_pg_result *result,
                                 const struct busi_desc *desc, void **items, size_t *n)
{
    char *list = busi_arena_array(&call->arena, (size_t)result->rows, desc->size);
    if (!list)
        return auth_no_memory(call);
    for (int row = 0; row < result->rows; row++)
        if (!busi_pg_message(result, row, desc, list + (size_t)row * desc->size, &call->arena))
            return auth_no_memory(call);
    *items = list;
    *n = (size_t)result->rows;
    return BUSI_OK;
}
