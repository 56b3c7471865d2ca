#include "core/listing.h"
#include "core/answers.h"
#include "core/email.h"

enum busi_code auth_listing_page(struct busi_call *call, int64_t limit, int64_t offset,
                                 struct busi_str params[2])
{
    if (limit < 0)
        busi_call_refuse(call, "limit", BUSI_RULE_INVALID, 0);
    if (offset < 0)
        busi_call_refuse(call, "offset", BUSI_RULE_INVALID, 0);
    if (limit < 0 || offset < 0)
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the list is not valid");
    params[0] = busi_arena_int(&call->arena, limit ? limit : AUTH_LISTING_USUAL);
    params[1] = busi_arena_int(&call->arena, offset);
    return params[0].ptr && params[1].ptr ? BUSI_OK : auth_no_memory(call);
}

enum busi_code auth_listing_pattern(struct busi_call *call, const char *field, struct busi_str pattern,
                                    struct busi_str *param)
{
    size_t escapes = 0;
    *param = (struct busi_str){0};
    if (!pattern.ptr)
        return BUSI_OK;
    while (escapes < pattern.len && pattern.ptr[pattern.len - 1 - escapes] == '\\')
        escapes++;
    if (escapes % 2 != 0) {
        busi_call_refuse(call, field, BUSI_RULE_FORMAT, 0);
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the pattern is not valid");
    }
    *param = auth_name_key(&call->arena, pattern);
    return param->ptr ? BUSI_OK : auth_no_memory(call);
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

enum busi_code auth_listing_count(struct auth *self, struct busi_call *call, enum auth_statement statement,
                                  const struct busi_str *params, struct busi_count_reply *out)
{
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    out->count = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    return code;
}
