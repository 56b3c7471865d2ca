#include "hooks/hooks.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/answers.h"
#include "core/json_object.h"
#include "hooks/event_relay.h"
#include <stdlib.h>

enum {
    RETRY_AFTER_MS = 1000,
    PATIENCE_EXTRA_MS = 1000,
    IN_FLIGHT_MOST = 512,
    CLAIMS_MOST_BRACKETS = 6,
    TOLD_MOST_BYTES = 16 * 1024,
    FAILURES_MOST = 100 /* told in a second */
};

struct auth_hooks {
    struct auth_hook_rules rules; /* borrows from the settings */
    struct busi_pg *pg;           /* borrowed */
    int64_t second;               /* busi_now_ms() / 1000, in which */
    int failures;                 /* so many were told */
    struct subscriber {
        struct busi_rpc_client *client; /* owned */
        struct auth_event_relay relay;  /* tells it what it was promised */
    } subscribers[AUTH_SUBSCRIBERS_MOST];
};

/* Somebody listens to it. */
static bool wanted(const struct auth_hooks *hooks, enum auth_event event)
{
    for (size_t i = 0; i < hooks->rules.n_hooks; i++)
        if (hooks->rules.hooks[i].event == event)
            return true;
    return false;
}

int64_t auth_hooks_patience_ms(const struct auth_hooks *hooks, enum auth_event event)
{
    int64_t sum_ms = 0;
    for (size_t i = 0; i < hooks->rules.n_hooks; i++)
        if (hooks->rules.hooks[i].event == event)
            sum_ms += hooks->rules.hooks[i].deadline_ms;
    return sum_ms ? sum_ms + PATIENCE_EXTRA_MS : 0;
}

/* ---- asking ---- */

/* What an answer adds is checked as strictly as what comes from outside: the reader of tokens counts
 * brackets.
 */
static bool fit(struct busi_str object, size_t most_brackets)
{
    size_t brackets = 0;
    for (size_t i = 0; i < object.len; i++)
        brackets += object.ptr[i] == '{' || object.ptr[i] == '[';
    return !object.ptr || (brackets <= most_brackets && auth_json_object_valid(object));
}

static bool take(struct busi_call *call, struct busi_str *sum, struct busi_str more)
{
    if (!more.ptr)
        return true;
    *sum = auth_json_object_merge(&call->arena, *sum, more);
    return sum->ptr != NULL;
}

/* What is left of a failed call must not be taken for what the caller's own call failed of. */
static void forget_failure(struct busi_call *call)
{
    call->message = (struct busi_str){0};
    call->retry_after_ms = 0;
    call->n_violations = 0;
}

static enum busi_code ask(struct auth_hooks *hooks, struct busi_call *call, const struct auth_hook *hook,
                          const struct busi_hook_event *event, struct auth_hook_answer *answer)
{
    struct busi_hook_reply reply = {0};
    int64_t until_ms = call->until_ms, soon_ms = busi_now_ms() + hook->deadline_ms;
    call->until_ms = soon_ms < until_ms ? soon_ms : until_ms;
    struct busi_rpc_client *client = hooks->subscribers[hook->subscriber].client;
    enum busi_code code = client ? busi_rpc_hooks_handle(client, call, event, &reply)
                                 : busi_call_fail(call, BUSI_UNAVAILABLE, "nobody is asked from here");
    call->until_ms = until_ms;
    if (code == BUSI_OK && !reply.veto &&
        (!fit(reply.claims, CLAIMS_MOST_BRACKETS) || !fit(reply.data, SIZE_MAX) ||
         !take(call, &answer->claims, reply.claims) || !take(call, &answer->data, reply.data)))
        code = BUSI_INTERNAL;
    if (code == BUSI_OK)
        return reply.veto ? busi_call_fail(call, BUSI_PERMISSION_DENIED, "refused by a hook") : BUSI_OK;
    busi_metric_add(BUSI_METRIC_hook_failures, 1);
    busi_log(BUSI_WARN, "hook_failed", BUSI_S("request_id", call->request_id), BUSI_S("about", event->event),
             BUSI_S("subscriber", hooks->rules.subscribers[hook->subscriber].name),
             BUSI_C("code", busi_code_name((int)code)), BUSI_S("message", call->message),
             BUSI_C("then", hook->closed ? "refused" : "passed"));
    forget_failure(call);
    if (!hook->closed)
        return BUSI_OK;
    call->retry_after_ms = RETRY_AFTER_MS;
    return busi_call_fail(call, BUSI_UNAVAILABLE, "a hook is away");
}

enum busi_code auth_hooks_ask(struct auth_hooks *hooks, struct busi_call *call, enum auth_event event,
                              const struct auth_account *account, struct busi_str door,
                              struct auth_hook_answer *answer)
{
    enum busi_code code = BUSI_OK;
    struct busi_hook_event about = {.event = busi_str_of(auth_event_name(event)),
                                    .occurred_at = busi_wall_us(),
                                    .user_id = account->id,
                                    .door = door,
                                    .email = account->email,
                                    .username = account->username,
                                    .user_code = account->code,
                                    .email_confirmed = account->confirmed,
                                    .meta = account->meta,
                                    .remote_addr = call->origin.remote_addr,
                                    .user_agent = call->origin.user_agent,
                                    .strategy = call->origin.strategy,
                                    .phase = call->origin.phase};
    *answer = (struct auth_hook_answer){0};
    for (size_t i = 0; i < hooks->rules.n_hooks && code == BUSI_OK; i++)
        if (hooks->rules.hooks[i].event == event)
            code = ask(hooks, call, &hooks->rules.hooks[i], &about, answer);
    return code;
}

/* ---- telling ---- */

static void add_member(struct busi_buf *out, const char *name, struct busi_str value)
{
    if (!value.ptr)
        return;
    busi_buf_printf(out, ",\"%s\":", name);
    busi_buf_json(out, value);
}

static void write_told(struct busi_buf *out, const struct auth_hooks *hooks, const struct busi_call *call,
                       enum auth_event event, struct busi_str door)
{
    busi_buf_printf(out, "{\"event\":\"%s\",\"subscribers\":[", auth_event_name(event));
    for (size_t i = 0, n = 0; i < hooks->rules.n_hooks; i++) {
        const struct auth_hook *hook = &hooks->rules.hooks[i];
        if (hook->event != event)
            continue;
        if (n++)
            busi_buf_char(out, ',');
        busi_buf_json(out, hooks->rules.subscribers[hook->subscriber].name);
    }
    busi_buf_char(out, ']');
    add_member(out, "door", door);
    add_member(out, "remote_addr", call->origin.remote_addr);
    add_member(out, "user_agent", call->origin.user_agent);
    add_member(out, "strategy", call->origin.strategy);
    add_member(out, "phase", call->origin.phase);
    busi_buf_char(out, '}');
}

bool auth_hooks_told(const struct auth_hooks *hooks, struct busi_call *call, enum auth_event event,
                     struct busi_str door, struct busi_str *told)
{
    struct busi_buf text;
    *told = (struct busi_str){0};
    if (!wanted(hooks, event))
        return true;
    busi_buf_init(&text, TOLD_MOST_BYTES);
    write_told(&text, hooks, call, event, door);
    if (!text.failed)
        *told = busi_arena_dup(&call->arena, (struct busi_str){text.ptr, text.len});
    busi_buf_fini(&text);
    return told->ptr != NULL;
}

enum busi_code auth_hooks_tell(struct auth_hooks *hooks, struct busi_call *call, enum auth_event event,
                               int64_t user_id, struct busi_str door)
{
    struct busi_pg_result result;
    struct busi_str params[2] = {busi_arena_int(&call->arena, user_id)};
    if (!wanted(hooks, event))
        return BUSI_OK;
    if (!params[0].ptr || !auth_hooks_told(hooks, call, event, door, &params[1]))
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(hooks->pg, AUTH_TELL, params, call->until_ms, &result);
    busi_pg_clear(&result);
    auth_hooks_wake(hooks);
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; it may be told") : code;
}

void auth_hooks_wake(struct auth_hooks *hooks)
{
    for (size_t i = 0; i < hooks->rules.n_subscribers; i++)
        auth_relay_wake(&hooks->subscribers[i].relay.relay);
}

static bool heard(const struct auth_hooks *hooks, enum auth_event event)
{
    for (size_t i = 0; i < hooks->rules.n_hooks; i++) {
        const struct busi_rpc_client *client = hooks->subscribers[hooks->rules.hooks[i].subscriber].client;
        if (hooks->rules.hooks[i].event == event && client && busi_rpc_client_ready(client))
            return true;
    }
    return false;
}

/* False: there were enough for now. */
static bool count_failure(struct auth_hooks *hooks)
{
    int64_t second = busi_now_ms() / 1000;
    if (hooks->second != second) {
        hooks->second = second;
        hooks->failures = 0;
    }
    return hooks->failures++ < FAILURES_MOST;
}

void auth_hooks_tell_failure(struct auth_hooks *hooks, struct busi_call *call, int64_t user_id,
                             struct busi_str door)
{
    if (!heard(hooks, AUTH_EVENT_sign_in_failed))
        return;
    if (!count_failure(hooks)) {
        busi_metric_add(BUSI_METRIC_hook_failures_untold, 1);
        return;
    }
    enum busi_code code = auth_hooks_tell(hooks, call, AUTH_EVENT_sign_in_failed, user_id, door);
    if (code != BUSI_OK)
        busi_log(BUSI_WARN, "failure_not_told", BUSI_S("request_id", call->request_id),
                 BUSI_C("code", busi_code_name((int)code)));
    forget_failure(call);
}

/* ---- life ---- */

static bool open_subscriber(struct auth_hooks *hooks, size_t i, struct busi_loop *loop,
                            const struct auth_hooks_options *options, const char **error)
{
    struct subscriber *subscriber = &hooks->subscribers[i];
    struct busi_arena arena;
    struct busi_str name = hooks->rules.subscribers[i].name, key_file = {0};
    busi_arena_init(&arena, 8192);
    if (options->curve)
        key_file = busi_arena_printf(&arena, "%.*s/%.*s.pub", BUSI_ARG(options->settings->curve_server_dir),
                                     BUSI_ARG(name));
    struct busi_rpc_target target = {"hooks", hooks->rules.subscribers[i].endpoints, key_file};
    subscriber->client = busi_rpc_client_new(
        loop,
        &(struct busi_rpc_client_options){
            .targets = &target, .n_targets = 1, .curve = options->curve, .max_in_flight = IN_FLIGHT_MOST},
        error);
    busi_arena_fini(&arena);
    if (!subscriber->client)
        return false;
    *error = "no fiber is left for a hook's subscriber";
    return auth_event_relay_start(&subscriber->relay, &(struct auth_event_relay_options){
                                                          .pg = options->pg,
                                                          .fibers = options->fibers,
                                                          .client = subscriber->client,
                                                          .subscriber = name,
                                                      });
}

struct auth_hooks *auth_hooks_new(struct busi_loop *loop, const struct auth_hooks_options *options,
                                  const char **error)
{
    struct busi_str culprit;
    struct auth_hooks *hooks = calloc(1, sizeof(*hooks));
    *error = "out of memory";
    if (!hooks)
        return NULL;
    hooks->pg = options->pg;
    *error = auth_hook_rules_read(&hooks->rules, options->settings->hook_subscribers,
                                  options->settings->hooks, &culprit);
    bool good = !*error;
    for (size_t i = 0; good && !options->alone && i < hooks->rules.n_subscribers; i++)
        good = open_subscriber(hooks, i, loop, options, error);
    if (!good)
        auth_hooks_free(&hooks);
    return hooks;
}

void auth_hooks_stop(struct auth_hooks *hooks)
{
    for (size_t i = 0; i < hooks->rules.n_subscribers; i++)
        auth_relay_stop(&hooks->subscribers[i].relay.relay);
}

bool auth_hooks_stopped(const struct auth_hooks *hooks)
{
    for (size_t i = 0; i < hooks->rules.n_subscribers; i++)
        if (hooks->subscribers[i].relay.relay.running)
            return false;
    return true;
}

void auth_hooks_free(struct auth_hooks **hooks)
{
    if (!*hooks)
        return;
    for (size_t i = 0; i < AUTH_SUBSCRIBERS_MOST; i++)
        busi_rpc_client_free(&(*hooks)->subscribers[i].client);
    free(*hooks);
    *hooks = NULL;
}
