/* The audit log, for admins: ours, in the manner of Magic's log. */
#include "core/gateway.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_date.h"
#include "surfaces/magic_shape.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

static void write_text(struct busi_buf *out, const char *name, struct busi_str value)
{
    busi_buf_printf(out, ",\"%s\":", name);
    busi_buf_json_or_null(out, value);
}

static void write_id(struct busi_buf *out, const char *name, int64_t id)
{
    busi_buf_printf(out, ",\"%s\":", name);
    if (id)
        busi_buf_int(out, id);
    else
        LITERAL(out, "null");
}

static void write_entry(struct busi_buf *out, const struct busi_audit_entry *entry)
{
    LITERAL(out, "{\"id\":");
    busi_buf_int(out, entry->id);
    LITERAL(out, ",\"created\":");
    magic_date_write(out, entry->at);
    write_text(out, "event", entry->event);
    write_text(out, "outcome", entry->outcome);
    write_text(out, "actor", entry->actor);
    write_id(out, "actor_id", entry->actor_id);
    write_id(out, "user_id", entry->user_id);
    write_text(out, "name_hash", entry->name_hash);
    write_text(out, "door", entry->door);
    write_text(out, "remote_addr", entry->remote_addr);
    write_text(out, "user_agent", entry->user_agent);
    write_text(out, "request_id", entry->request_id);
    write_text(out, "trace_id", entry->trace_id);
    write_text(out, "detail", entry->detail);
    busi_buf_char(out, '}');
}

static struct busi_list_audit_request request_of(const struct exchange *x)
{
    const bool oldest_first = busi_str_eq(magic_text(x, "direction"), BUSI_STR("asc"));
    const int64_t from = magic_integer(x, "from", 0);
    return (struct busi_list_audit_request){.user_id = magic_integer(x, "user_id.eq", 0),
                                            .name = magic_text(x, "user.eq"),
                                            .actor_id = magic_integer(x, "actor_id.eq", 0),
                                            .event = magic_text(x, "event.eq"),
                                            .outcome = magic_text(x, "outcome.eq"),
                                            .from = magic_date(x, "created.mteq", 0),
                                            .until = magic_date(x, "created.lt", 0),
                                            .before_id = oldest_first ? 0 : from,
                                            .after_id = oldest_first ? from : 0,
                                            .oldest_first = oldest_first,
                                            .limit = magic_integer(x, "max", 0)};
}

void on_magic_audit(struct exchange *x)
{
    const struct busi_list_audit_request request = request_of(x);
    struct busi_list_audit_reply reply = {0};
    struct busi_buf *out = &x->response->body;
    enum busi_code code = busi_rpc_auth_list_audit(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code != BUSI_OK) {
        magic_fail(x, code);
        return;
    }
    busi_buf_char(out, '[');
    for (size_t i = 0; i < reply.entries.n; i++) {
        if (i > 0)
            busi_buf_char(out, ',');
        write_entry(out, &reply.entries.items[i]);
    }
    busi_buf_char(out, ']');
    if (reply.more && reply.entries.n > 0)
        magic_link_next(x, "from", reply.entries.items[reply.entries.n - 1].id);
    exchange_json(x, 200);
}
