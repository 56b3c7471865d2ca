#include "hooks/event_relay.h"
#include "base/log.h"
#include "core/auth.h"
#include <stdio.h>

enum {
    BATCH = 32,
    HANDLE_MS = 3000, /* a subscriber's answer */
    STORE_MS = 2000,
    ARENA_BYTES = 512 * 1024,
};
/* Columns of TAKE_EVENTS; the others are found by their names. */
enum { ID, KEY, ATTEMPTS };

/* ---- handing over ---- */

static enum busi_code hand_over(struct auth_event_relay *events, const struct busi_pg_result *result, int row)
{
    struct busi_call call;
    struct busi_hook_event event = {0};
    struct busi_hook_reply reply = {0};
    int64_t id = busi_pg_int(result, row, ID);
    busi_call_init(&call, ARENA_BYTES);
    enum busi_code code = BUSI_INTERNAL;
    if (busi_pg_message(result, row, busi_desc_hook_event(), &event, &call.arena)) {
        call.until_ms = busi_now_ms() + HANDLE_MS;
        call.request_id = busi_arena_printf(&call.arena, "event-%lld", (long long)id);
        call.idempotency_key = busi_pg_value(result, row, KEY);
        code = busi_rpc_hooks_handle(events->options.client, &call, &event, &reply);
    }
    if (code != BUSI_OK)
        busi_log(BUSI_WARN, "event_not_taken", BUSI_I("event_id", id),
                 BUSI_S("subscriber", events->options.subscriber),
                 BUSI_I("attempts", busi_pg_int(result, row, ATTEMPTS)),
                 BUSI_C("code", busi_code_name((int)code)), BUSI_S("message", call.message));
    busi_call_fini(&call);
    return code;
}

static void forget(struct auth_event_relay *events, struct busi_buf *ids)
{
    struct busi_pg_result result = {0};
    if (ids->len == 0)
        return;
    busi_buf_char(ids, '}');
    struct busi_str list = {ids->ptr, ids->len};
    if (ids->failed || busi_pg_run(events->options.pg, AUTH_DELETE_EVENTS, &list, busi_now_ms() + STORE_MS,
                                   &result) != BUSI_OK)
        busi_log(BUSI_WARN, "events_come_again", BUSI_S("subscriber", events->options.subscriber));
    busi_pg_clear(&result);
}

/* Those not heard stay in the table and are due again. True: there may be more. */
static bool relay_batch(struct auth_event_relay *events, const struct busi_pg_result *result)
{
    struct busi_buf ids;
    enum busi_code code;
    int row = 0;
    busi_buf_init(&ids, BATCH * 24);
    for (; row < result->rows && !events->relay.stopping; row++) {
        code = hand_over(events, result, row);
        if (code == BUSI_OK)
            busi_buf_printf(&ids, "%c%lld", ids.len ? ',' : '{', (long long)busi_pg_int(result, row, ID));
        else if (code == BUSI_UNAVAILABLE || code == BUSI_DEADLINE_EXCEEDED)
            break; /* it is not there: no use to go on with others */
    }
    forget(events, &ids);
    busi_buf_fini(&ids);
    return row == BATCH;
}

/* ---- the fiber ---- */

static bool work(void *state)
{
    struct auth_event_relay *events = state;
    struct busi_pg_result result;
    char text[8];
    struct busi_str params[] = {events->options.subscriber,
                                {text, (size_t)snprintf(text, sizeof(text), "%d", BATCH)}};
    if (!busi_rpc_client_ready(events->options.client))
        return false; /* what is not taken needs no lease to run out */
    bool more = busi_pg_run(events->options.pg, AUTH_TAKE_EVENTS, params, busi_now_ms() + STORE_MS,
                            &result) == BUSI_OK &&
                relay_batch(events, &result);
    busi_pg_clear(&result);
    return more;
}

bool auth_event_relay_start(struct auth_event_relay *events, const struct auth_event_relay_options *options)
{
    events->options = *options;
    return auth_relay_start(&events->relay, options->fibers, work, events);
}
