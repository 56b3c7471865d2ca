/* Log entries of clients' programs. */
#include "core/gateway.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_date.h"
#include "surfaces/magic_shape.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

enum { META_MOST = 8192 }; /* bytes as JSON */

/* The object as JSON; false: it is too long, and that is answered. */
static bool take_meta(struct exchange *x, struct busi_str *out)
{
    const struct param *meta = magic_object(x, "meta");
    struct busi_buf json;
    *out = (struct busi_str){0};
    if (!meta)
        return true;
    busi_buf_init(&json, META_MOST);
    params_write(&json, meta);
    if (!json.failed)
        *out = busi_arena_dup(&x->request->call.arena, (struct busi_str){json.ptr, json.len});
    busi_buf_fini(&json);
    if (!out->ptr)
        magic_refuse(x, 400, BUSI_STR("meta"), "Not a valid object of at most %d in length for [meta]",
                     META_MOST);
    return out->ptr;
}

void on_magic_write_log(struct exchange *x)
{
    struct busi_write_log_request request = {.type = magic_text(x, "type"),
                                             .content = magic_text(x, "content")};
    struct busi_log_id id = {0};
    if (!take_meta(x, &request.meta))
        return;
    enum busi_code code = busi_rpc_auth_write_log(x->gateway->rpc, &x->request->call, &request, &id);
    if (code == BUSI_OK)
        magic_answer(x, 200, "success");
    else
        magic_fail(x, code);
}

static void write_entry(struct busi_buf *out, const struct busi_log_entry *entry)
{
    LITERAL(out, "{\"id\":");
    busi_buf_int(out, entry->id);
    LITERAL(out, ",\"created\":");
    magic_date_write(out, entry->created_at);
    LITERAL(out, ",\"type\":");
    busi_buf_json(out, entry->type);
    LITERAL(out, ",\"content\":");
    busi_buf_json(out, entry->content);
    if (entry->meta.len > 0) {
        LITERAL(out, ",\"meta\":");
        busi_buf_str(out, entry->meta);
    }
    busi_buf_char(out, '}');
}

void on_magic_list_log(struct exchange *x)
{
    const struct busi_list_log_request request = {.from = magic_integer(x, "from", 0),
                                                  .limit = magic_integer(x, "max", 0),
                                                  .query = magic_text(x, "query")};
    struct busi_list_log_reply reply = {0};
    enum busi_code code = busi_rpc_auth_list_log(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code != BUSI_OK) {
        magic_fail(x, code);
        return;
    }
    busi_buf_char(&x->response->body, '[');
    for (size_t i = 0; i < reply.entries.n; i++) {
        if (i > 0)
            busi_buf_char(&x->response->body, ',');
        write_entry(&x->response->body, &reply.entries.items[i]);
    }
    busi_buf_char(&x->response->body, ']');
    exchange_json(x, 200);
}

void on_magic_get_log(struct exchange *x)
{
    const struct busi_log_id request = {.id = magic_integer(x, "id", 0)};
    struct busi_log_entry entry = {0};
    enum busi_code code = busi_rpc_auth_get_log(x->gateway->rpc, &x->request->call, &request, &entry);
    if (code == BUSI_OK) {
        write_entry(&x->response->body, &entry);
        exchange_json(x, 200);
    } else if (code == BUSI_NOT_FOUND) {
        magic_answer(x, 404, "Record not found");
    } else {
        magic_fail(x, code);
    }
}

void on_magic_count_log(struct exchange *x)
{
    const struct busi_list_log_request request = {.query = magic_text(x, "query")};
    struct busi_count_reply reply = {0};
    enum busi_code code = busi_rpc_auth_count_log(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        magic_answer_number(x, 200, "count", reply.count);
    else
        magic_fail(x, code);
}
