#include "auth-svc_kit.h"
#include "base/text.h"
#include "crypto/jwt_claims.h"
#include "hooks/hooks.h"
#include "rpc/server.h"

/* A subscriber of the test: it keeps what it heard and answers what it is told to. */
static struct {
    struct busi_rpc_server *server;
    char endpoint[64];
    enum busi_code answer;
    struct busi_hook_reply reply;
    int64_t takes_ms;
    int calls;
    struct busi_str keys[8], event, email, remote_addr, meta;
} risk;

static enum busi_code handle(void *state, struct busi_call *call, const void *in, void *out)
{
    const struct busi_hook_event *event = in;
    (void)state;
    if (risk.calls < 8)
        risk.keys[risk.calls] = keep(call->idempotency_key);
    risk.calls++;
    risk.event = keep(event->event);
    risk.email = keep(event->email);
    risk.meta = keep(event->meta);
    risk.remote_addr = keep(event->remote_addr);
    if (risk.takes_ms)
        busi_fiber_sleep(risk.takes_ms);
    memcpy(out, &risk.reply, sizeof risk.reply);
    return risk.answer == BUSI_OK ? BUSI_OK : busi_call_fail(call, risk.answer, "not now");
}

static const struct busi_endpoint endpoints[] = {{BUSI_METHOD_hooks_handle, handle}};

static void open_risk(struct busi_str bind)
{
    const char *error = NULL;
    risk.server = busi_rpc_server_new(world.loop,
                                      &(struct busi_rpc_server_options){.service = "hooks",
                                                                        .bind = bind,
                                                                        .fibers = world.fibers,
                                                                        .endpoints = endpoints,
                                                                        .n_endpoints = 1},
                                      &error);
    cr_assert(risk.server, "%s", error);
    snprintf(risk.endpoint, sizeof risk.endpoint, "%.*s", BUSI_ARG(busi_rpc_server_endpoint(risk.server)));
}

static void set_up_risk(void)
{
    set_up();
    open_loop();
    open_risk(BUSI_STR("tcp://127.0.0.1:*"));
}

TestSuite(hooks, .init = set_up_risk, .fini = tear_down, .timeout = 60);

static void run_with_hooks(void (*body)(void), const char *hooks)
{
    struct busi_str who = busi_arena_printf(&world.arena, "BUSI_HOOK_SUBSCRIBERS=risk=%s",
                                            risk.endpoint + strlen("tcp://")),
                    what = busi_arena_printf(&world.arena, "BUSI_HOOKS=%s", hooks);
    run_with(body, (const char *const[]){who.ptr, what.ptr, NULL});
}

static const struct auth_account ann = {
    .id = 7, .email = {"ann@b.co", 8}, .code = {"ann111", 6}, .meta = {"{\"a\":[1]}", 9}};
static struct auth_hook_answer answer;

static enum busi_code ask(enum auth_event event)
{
    begin(&world.call);
    world.call.origin.remote_addr = BUSI_STR("203.0.113.9");
    return auth_hooks_ask(world.auth->hooks, &world.call, event, &ann, BUSI_STR("busi"), &answer);
}

/* A worker is connected some time after the process started. */
static void wait_for_risk(void)
{
    for (int i = 0; i < 500 && ask(AUTH_EVENT_before_login) == BUSI_UNAVAILABLE; i++)
        busi_fiber_sleep(10);
    risk.calls = 0;
}

static void close_risk(void)
{
    busi_rpc_server_free(&risk.server);
}

static void asked(void)
{
    wait_for_risk();
    risk.reply =
        (struct busi_hook_reply){.claims = BUSI_STR("{\"tenant\":\"x\"}"), .data = BUSI_STR("{\"score\":1}")};
    cr_assert_eq(ask(AUTH_EVENT_before_login), BUSI_OK);
    cr_assert_eq(risk.calls, 1);
    cr_assert(busi_str_eq(risk.event, BUSI_STR("before_login")) && busi_str_eq(risk.email, ann.email));
    cr_assert(busi_str_eq(risk.remote_addr, BUSI_STR("203.0.113.9")) && busi_str_eq(risk.meta, ann.meta));
    cr_assert(busi_str_eq(answer.claims, BUSI_STR("{\"tenant\":\"x\"}")));
    cr_assert(busi_str_eq(answer.data, BUSI_STR("{\"score\":1}")));
    cr_assert_eq(ask(AUTH_EVENT_after_register), BUSI_OK); /* nobody listens to that */
    cr_assert_eq(risk.calls, 1);
    cr_assert(!answer.claims.ptr && !answer.data.ptr);
    risk.reply = (struct busi_hook_reply){.veto = true, .data = BUSI_STR("{}")};
    cr_assert_eq(ask(AUTH_EVENT_before_login), BUSI_PERMISSION_DENIED);
    close_risk();
}

Test(hooks, who_is_asked_may_add_and_refuse)
{
    run_with_hooks(asked, "before_login=risk");
}

static void nonsense(void)
{
    static const char *const texts[] = {"[]", "", "{", "{\"a\":1,\"a\":2}", "{\"a\":[[[[[[1]]]]]]}"};
    wait_for_risk();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        risk.reply = (struct busi_hook_reply){.claims = busi_str_of(texts[i])};
        cr_assert_eq(ask(AUTH_EVENT_before_login), BUSI_UNAVAILABLE, "%s", texts[i]);
    }
    close_risk();
}

Test(hooks, an_answer_that_is_no_object_is_none)
{
    run_with_hooks(nonsense, "before_login=risk closed");
}

static void closed_and_late(void)
{
    wait_for_risk();
    risk.takes_ms = 1000;
    int64_t before_ms = busi_now_ms();
    cr_assert_eq(ask(AUTH_EVENT_before_login), BUSI_UNAVAILABLE);
    cr_assert_lt(busi_now_ms() - before_ms, 800);
    cr_assert_gt(world.call.retry_after_ms, 0);
    busi_fiber_sleep(1200);
    close_risk();
    cr_assert_eq(ask(AUTH_EVENT_before_login), BUSI_UNAVAILABLE);
}

Test(hooks, a_closed_one_that_is_late_or_away_refuses)
{
    run_with_hooks(closed_and_late, "before_login=risk closed 200ms");
}

static void open_and_away(void)
{
    wait_for_risk();
    risk.answer = BUSI_INTERNAL;
    cr_assert_eq(ask(AUTH_EVENT_before_login), BUSI_OK);
    cr_assert_eq(world.call.message.len, 0);
    close_risk();
    cr_assert_eq(ask(AUTH_EVENT_before_login), BUSI_OK);
    cr_assert(!answer.data.ptr);
}

Test(hooks, an_open_one_that_fails_is_passed)
{
    run_with_hooks(open_and_away, "before_login=risk open 200ms");
}

/* ---- told ---- */

static int64_t user; /* of the events */

static enum busi_code tell(enum auth_event event)
{
    begin(&world.call);
    return auth_hooks_tell(world.auth->hooks, &world.call, event, user, BUSI_STR("busi"));
}

#define WAITING "SELECT count(*) FROM auth.events"

static bool within(int ms, int64_t expected)
{
    for (int64_t until_ms = busi_now_ms() + ms; busi_now_ms() < until_ms; busi_fiber_sleep(10))
        if (admin_int(WAITING) == expected)
            return true;
    return admin_int(WAITING) == expected;
}

static void told(void)
{
    new_session("ann@b.co", &user);
    cr_assert_eq(tell(AUTH_EVENT_after_confirm), BUSI_OK); /* nobody listens to that */
    cr_assert_eq(admin_int(WAITING), 0);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(tell(AUTH_EVENT_after_login), BUSI_OK);
    cr_assert(within(10000, 0));
    cr_assert_eq(risk.calls, 100);
    cr_assert(busi_str_eq(risk.event, BUSI_STR("after_login")) && busi_str_eq(risk.email, ann.email));
    cr_assert_eq(risk.keys[0].len, 36);
    cr_assert(!busi_str_eq(risk.keys[0], risk.keys[1]));
    close_risk();
}

Test(hooks, what_happened_is_told_once)
{
    run_with_hooks(told, "after_login=risk");
}

static void told_again(void)
{
    new_session("ann@b.co", &user);
    risk.answer = BUSI_UNAVAILABLE;
    cr_assert_eq(tell(AUTH_EVENT_after_login), BUSI_OK);
    while (risk.calls == 0)
        busi_fiber_sleep(5);
    busi_fiber_sleep(50);
    cr_assert_eq(admin_int(WAITING), 1);
    risk.answer = BUSI_OK;
    int before = risk.calls;
    admin("UPDATE auth.events SET due_at = now()"); /* time passes */
    cr_assert(within(5000, 0));
    cr_assert_eq(risk.calls, before + 1);
    cr_assert(busi_str_eq(risk.keys[0], risk.keys[before])); /* it can tell that it is the same */
    close_risk();
    cr_assert_eq(tell(AUTH_EVENT_after_login), BUSI_OK);
    busi_fiber_sleep(1200);
    cr_assert_eq(admin_int(WAITING), 1);
    open_risk(busi_str_of(risk.endpoint));
    cr_assert(within(20000, 0));
    close_risk();
}

Test(hooks, what_was_not_heard_comes_again)
{
    run_with_hooks(told_again, "after_login=risk");
}

static void too_old(void)
{
    while (!auth_ready(world.auth))
        busi_fiber_sleep(5);
    close_risk();
    cr_assert(within(5000, 1));
    cr_assert(busi_str_eq(admin_text("SELECT event FROM auth.events"), BUSI_STR("new")));
}

Test(hooks, what_nobody_takes_for_long_is_dropped)
{
    admin("INSERT INTO auth.events(subscriber, event, user_id, created_at) VALUES ('risk', 'old', 1, now() - "
          "interval '8 days'),"
          " ('crm', 'old', 1, now() - interval '8 days'), ('crm', 'new', 1, now())");
    run_with_hooks(too_old, "after_login=risk");
}

/* ---- where they are asked and told ---- */

static void refused(void)
{
    struct busi_session_reply session;
    wait_for_risk();
    risk.reply.veto = true;
    cr_assert_eq(sign_up("ann@b.co", PASSWORD, &session), BUSI_PERMISSION_DENIED);
    cr_assert(busi_str_eq(risk.event, BUSI_STR("after_register")));
    cr_assert_eq(admin_int("SELECT (SELECT count(*) FROM auth.users) + (SELECT count(*) FROM auth.outbox)"),
                 0);
    risk.reply.veto = false;
    new_session("ann@b.co", NULL); /* as if there had been nothing */
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox WHERE due_at > now() + interval '500 ms'"), 1);
    risk.reply.veto = true;
    risk.calls = 0;
    cr_assert_eq(sign_in("ann@b.co", "wrong", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(risk.calls, 0); /* only the right password asks */
    cr_assert_eq(sign_in("ann@b.co", PASSWORD, &session), BUSI_PERMISSION_DENIED);
    cr_assert(busi_str_eq(risk.event, BUSI_STR("before_login")));
    close_risk();
}

Test(hooks, a_refused_account_never_was_and_a_refused_sign_in_begins_no_session)
{
    run_with_hooks(refused, "after_register=risk; before_login=risk");
}

static void added(void)
{
    struct busi_session_reply session;
    struct busi_principal principal;
    struct busi_jwt_payload payload;
    static char json[4096];
    wait_for_risk();
    new_session("ann@b.co", NULL);
    risk.reply = (struct busi_hook_reply){.claims = BUSI_STR("{\"tenant\":\"x\",\"sub\":\"1234\"}"),
                                          .data = BUSI_STR("{\"score\":1}")};
    cr_assert_eq(sign_in("ann@b.co", PASSWORD, &session), BUSI_OK);
    struct busi_str token = keep(session.access_token);
    cr_assert_eq(check(token, &principal), BUSI_OK);
    cr_assert(busi_str_eq(principal.data, BUSI_STR("{\"score\":1}")));
    const char *dot = strchr(token.ptr, '.') + 1; /* kept texts end with a NUL */
    size_t len = strcspn(dot, ".");
    ptrdiff_t n = busi_base64url_decode(json, sizeof json - 1, (struct busi_str){dot, len});
    cr_assert(n > 0 && strstr(json, "\"tenant\":\"x\""));
    cr_assert(busi_jwt_payload_read(&world.arena, (struct busi_str){json, (size_t)n}, &payload));
    cr_assert_eq(principal.user_id, 1);
    cr_assert(busi_str_eq(payload.claims.subject, BUSI_STR("1"))); /* ours win */
    close_risk();
}

Test(hooks, what_is_added_is_in_the_token_and_in_every_check)
{
    run_with_hooks(added, "before_login=risk");
}

static void a_life(void)
{
    struct busi_session_reply session;
    new_session("ann@b.co", NULL);
    cr_assert_eq(sign_in("ann@b.co", PASSWORD, &session), BUSI_OK);
    cr_assert(within(5000, 0));
    cr_assert_eq(risk.calls, 1);
    cr_assert(busi_str_eq(risk.event, BUSI_STR("after_login")));
    cr_assert_eq(sign_out(keep(session.access_token)), BUSI_OK);
    cr_assert(within(5000, 0));
    cr_assert_eq(risk.calls, 2);
    cr_assert(busi_str_eq(risk.event, BUSI_STR("after_sign_out")) &&
              busi_str_eq(risk.email, BUSI_STR("ann@b.co")));
    close_risk();
}

Test(hooks, a_sign_in_and_its_end_are_told)
{
    run_with_hooks(a_life, "after_login=risk; after_sign_out=risk");
}
