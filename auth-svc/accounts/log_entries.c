/* auth.WriteLog and its like: what programs of clients want to keep a record of. Nothing here reads it; the
 * log of the processes and the audit log are others. */
#include "base/text.h"
#include "core/answers.h"
#include "core/email.h"
#include "core/json_object.h"
#include "core/listing.h"
#include "limits/limiter.h"

enum { USUAL = 50, TEXT_MOST_BYTES = 8192, FILTERS = 2 };

static bool is_type(struct busi_str type)
{
    static const char *const types[] = {"info", "error", "debug", "fatal"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (busi_str_eq(type, busi_str_of(types[i])))
            return true;
    return false;
}

static enum busi_code check(struct busi_call *call, const struct busi_write_log_request *in)
{
    if (!is_type(in->type))
        busi_call_refuse(call, "type", BUSI_RULE_INVALID, 0);
    if (busi_utf8_blank(in->content))
        busi_call_refuse(call, "content", BUSI_RULE_BLANK, 0);
    else if (in->content.len > TEXT_MOST_BYTES)
        busi_call_refuse(call, "content", BUSI_RULE_TOO_LONG, TEXT_MOST_BYTES);
    if (in->meta.len > TEXT_MOST_BYTES)
        busi_call_refuse(call, "meta", BUSI_RULE_TOO_LONG, TEXT_MOST_BYTES);
    else if (in->meta.ptr && !auth_json_object_valid(in->meta))
        busi_call_refuse(call, "meta", BUSI_RULE_INVALID, 0);
    return call->n_violations == 0
               ? BUSI_OK
               : busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the log entry is not valid");
}

/* Counted by the account; what the house itself writes is not. */
enum busi_code auth_write_log(struct auth *self, struct busi_call *call,
                              const struct busi_write_log_request *in, struct busi_log_id *out)
{
    struct busi_pg_result result;
    struct busi_str writer = {0};
    enum busi_code code = check(call, in);
    if (code != BUSI_OK)
        return code;
    if (call->user_id)
        writer = busi_arena_int(&call->arena, call->user_id);
    if (call->user_id && !writer.ptr)
        return auth_no_memory(call);
    code = auth_limit(self, call, AUTH_LIMIT_write_log, writer);
    if (code != BUSI_OK)
        return code;
    const struct busi_str params[] = {in->type, in->content, in->meta, writer, call->request_id};
    code = busi_pg_run(self->pg, AUTH_WRITE_LOG, params, call->until_ms, &result);
    out->id = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; it may be written")
                                : code;
}

enum busi_code auth_get_log(struct auth *self, struct busi_call *call, const struct busi_log_id *in,
                            struct busi_log_entry *out)
{
    struct busi_pg_result result;
    struct busi_str id = busi_arena_int(&call->arena, in->id);
    if (!id.ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_GET_LOG, &id, call->until_ms, &result);
    if (code == BUSI_OK && result.rows == 0)
        code = busi_call_fail(call, BUSI_NOT_FOUND, "no such log entry");
    else if (code == BUSI_OK && !busi_pg_message(&result, 0, busi_desc_log_entry(), out, &call->arena))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    return code;
}

/* ---- lists ---- */

static enum busi_code read_filters(struct busi_call *call, const struct busi_list_log_request *in,
                                   struct busi_str params[FILTERS])
{
    enum { QUERY, TYPE };
    params[QUERY] = (struct busi_str){0};
    if (in->query.len > 0)
        params[QUERY] = auth_name_key(&call->arena, in->query);
    params[TYPE] = in->type;
    return in->query.len == 0 || params[QUERY].ptr ? BUSI_OK : auth_no_memory(call);
}

enum busi_code auth_list_log(struct auth *self, struct busi_call *call,
                             const struct busi_list_log_request *in, struct busi_list_log_reply *out)
{
    enum { FROM = FILTERS, LIMIT, PARAMS };
    struct busi_pg_result result;
    struct busi_str params[PARAMS] = {0};
    void *items;
    if (in->limit < 0) {
        busi_call_refuse(call, "limit", BUSI_RULE_INVALID, 0);
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the list is not valid");
    }
    enum busi_code code = read_filters(call, in, params);
    if (code != BUSI_OK)
        return code;
    if (in->from)
        params[FROM] = busi_arena_int(&call->arena, in->from);
    params[LIMIT] = busi_arena_int(&call->arena, in->limit ? in->limit : USUAL);
    if ((in->from && !params[FROM].ptr) || !params[LIMIT].ptr)
        return auth_no_memory(call);
    code = busi_pg_run(self->pg, AUTH_LIST_LOG, params, call->until_ms, &result);
    if (code == BUSI_OK)
        code = auth_listing_read(call, &result, busi_desc_log_entry(), &items, &out->entries.n);
    if (code == BUSI_OK)
        out->entries.items = items;
    busi_pg_clear(&result);
    return code;
}

enum busi_code auth_count_log(struct auth *self, struct busi_call *call,
                              const struct busi_list_log_request *in, struct busi_count_reply *out)
{
    struct busi_str params[FILTERS];
    enum busi_code code = read_filters(call, in, params);
    return code == BUSI_OK ? auth_listing_count(self, call, AUTH_COUNT_LOG, params, out) : code;
}
