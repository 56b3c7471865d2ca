#include "audit/audit.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "core/account.h"
#include "core/answers.h"
#include "crypto/secret.h"
#include <stdlib.h>

enum {
    ROW_MOST_BYTES = 8192,
    AGENT_MOST_BYTES = 256,
    NAME_HASH_BYTES = 16,
    TRACE_AT = 3, /* in a traceparent */
    TRACE_LEN = 32,
};

static const char *const names[] = {
#define AUDIT(event) #event,
#include "audit/audit.def"
#undef AUDIT
};

/* ---- rows ---- */

struct busi_str auth_audit_name(struct auth *self, struct busi_call *call, struct busi_str name)
{
    uint8_t hash[32];
    char hex[2 * NAME_HASH_BYTES];
    struct busi_str key = auth_name_fold(&call->arena, name);
    if (!key.ptr)
        return key;
    /* not the limits' hash of it: what is in Redis must not say who is in the log */
    const struct busi_str parts[] = {BUSI_STR("busi audit name "), key};
    busi_keyed_hash_parts(hash, self->token_hash_key, parts, 2);
    busi_hex_encode(hex, hash, NAME_HASH_BYTES);
    return busi_arena_printf(&call->arena, "\\x%.*s", (int)sizeof(hex), hex);
}

static void put_text(struct busi_buf *row, const char *column, struct busi_str value)
{
    if (value.len == 0)
        return;
    busi_buf_printf(row, ",\"%s\":", column);
    busi_buf_json(row, value);
}

static void put_number(struct busi_buf *row, const char *column, int64_t value)
{
    if (value)
        busi_buf_printf(row, ",\"%s\":%lld", column, (long long)value);
}

static void put_origin(struct busi_buf *row, const struct busi_call *call)
{
    put_text(row, "remote_addr", call->origin.remote_addr);
    put_text(row, "user_agent", busi_utf8_cut(call->origin.user_agent, AGENT_MOST_BYTES));
    put_text(row, "request_id", call->request_id);
    if (call->traceparent.len >= TRACE_AT + TRACE_LEN)
        put_text(row, "trace_id", (struct busi_str){call->traceparent.ptr + TRACE_AT, TRACE_LEN});
}

struct busi_str auth_audit_row(struct auth *self, struct busi_call *call, const struct auth_deed *deed)
{
    struct busi_buf row;
    struct busi_str hash = {0}, out = {0};
    if (deed->name.ptr) {
        hash = auth_audit_name(self, call, deed->name);
        if (!hash.ptr)
            return out;
    }
    busi_buf_init(&row, ROW_MOST_BYTES);
    busi_buf_printf(&row, "{\"event\":\"%s\",\"outcome\":\"%s\"", names[deed->event],
                    deed->failed ? "failed" : "ok");
    put_text(&row, "actor", call->caller);
    put_number(&row, "actor_id", deed->actor_id ? deed->actor_id : call->user_id);
    put_number(&row, "user_id", deed->user_id);
    put_text(&row, "name_hash", hash);
    put_text(&row, "door", deed->door);
    put_origin(&row, call);
    put_text(&row, "detail", deed->detail);
    busi_buf_char(&row, '}');
    if (!row.failed)
        out = busi_arena_dup(&call->arena, (struct busi_str){row.ptr, row.len});
    busi_buf_fini(&row);
    return out;
}

enum busi_code auth_audit(struct auth *self, struct busi_call *call, const struct auth_deed *deed)
{
    struct busi_pg_result result;
    struct busi_str row = auth_audit_row(self, call, deed);
    if (!row.ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_AUDIT, &row, call->until_ms, &result);
    busi_pg_clear(&result);
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; it may be in the log")
                                : code;
}

/* What the call answers with is left as it was. */
void auth_audit_failed(struct auth *self, struct busi_call *call, const struct auth_deed *deed,
                       const char *why)
{
    struct auth_deed failure = *deed;
    struct busi_str message = call->message;
    int64_t retry_after_ms = call->retry_after_ms;
    failure.failed = true;
    failure.detail = busi_str_of(why);
    enum busi_code code = auth_audit(self, call, &failure);
    call->message = message;
    call->retry_after_ms = retry_after_ms;
    if (code == BUSI_OK)
        return;
    busi_metric_add(BUSI_METRIC_audit_lost, 1);
    busi_log(BUSI_ERR, "failure_not_audited", BUSI_C("about", names[deed->event]),
             BUSI_C("code", busi_code_name((int)code)), BUSI_S("request_id", call->request_id));
}
