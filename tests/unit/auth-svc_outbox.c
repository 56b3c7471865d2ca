#include "auth-svc_accounts_kit.h"
#include "rpc/server.h"

/* A mailer of the test: it keeps what it was given. */
static struct {
    struct busi_rpc_server *server;
    char endpoint[64];
    enum busi_code answer; /* to every mail */
    int calls;
    struct busi_str keys[16]; /* idempotency keys, in order */
    struct busi_str kind, recipient, argument, value;
    int64_t expires_at;
} mailer;

static enum busi_code enqueue(void *state, struct busi_call *call, const void *in, void *out)
{
    const struct busi_enqueue_mail_request *request = in;
    struct busi_enqueue_mail_reply *reply = out;
    (void)state;
    if (mailer.calls < 16)
        mailer.keys[mailer.calls] = keep(call->idempotency_key);
    mailer.calls++;
    mailer.kind = keep(request->kind);
    mailer.recipient = keep(request->recipient);
    mailer.expires_at = request->expires_at;
    if (request->arguments.n == 1) {
        mailer.argument = keep(request->arguments.items[0].name);
        mailer.value = keep(request->arguments.items[0].value);
    }
    reply->mail_id = mailer.calls;
    return mailer.answer == BUSI_OK ? BUSI_OK : busi_call_fail(call, mailer.answer, "not now");
}

static const struct busi_endpoint endpoints[] = {{BUSI_METHOD_mailer_enqueue, enqueue}};

static void open_mailer(struct busi_str bind)
{
    const char *error = NULL;
    mailer.server = busi_rpc_server_new(world.loop,
                                        &(struct busi_rpc_server_options){.service = "mailer",
                                                                          .bind = bind,
                                                                          .fibers = world.fibers,
                                                                          .endpoints = endpoints,
                                                                          .n_endpoints = 1},
                                        &error);
    cr_assert(mailer.server, "%s", error);
    struct busi_str endpoint = busi_rpc_server_endpoint(mailer.server);
    snprintf(mailer.endpoint, sizeof(mailer.endpoint), "%.*s", BUSI_ARG(endpoint));
}

static void set_up_mailer(void)
{
    set_up();
    open_loop();
    open_mailer(BUSI_STR("tcp://127.0.0.1:*"));
}

TestSuite(outbox, .init = set_up_mailer, .fini = tear_down, .timeout = 60);

static void run_with_mailer(void (*body)(void))
{
    struct busi_str setting =
        busi_arena_printf(&world.arena, "BUSI_MAILER_ENDPOINTS=%s", mailer.endpoint + strlen("tcp://"));
    run_with(body, (const char *const[]){setting.ptr, NULL});
}

static bool within(int ms, const char *count, int64_t expected)
{
    for (int64_t until_ms = busi_now_ms() + ms; busi_now_ms() < until_ms; busi_fiber_sleep(10))
        if (admin_int(count) == expected)
            return true;
    return admin_int(count) == expected;
}

#define WAITING "SELECT count(*) FROM auth.outbox"

static void a_mail_is_handed_over(void)
{
    new_session("Ann@Example.com", NULL);
    cr_assert(within(5000, WAITING, 0));
    cr_assert_eq(mailer.calls, 1);
    cr_assert(busi_str_eq(mailer.kind, BUSI_STR("account_created")));
    cr_assert(busi_str_eq(mailer.recipient, BUSI_STR("Ann@Example.com")));
    cr_assert(busi_str_eq(mailer.argument, BUSI_STR("login")) &&
              busi_str_eq(mailer.value, BUSI_STR("Ann@Example.com")));
    cr_assert_eq(mailer.keys[0].len, 36);
    busi_rpc_server_free(&mailer.server);
}

Test(outbox, a_mail_is_handed_over_once)
{
    run_with_mailer(a_mail_is_handed_over);
}

/* The mailer is told when the secret dies, by the clock that will judge it. */
static void a_mail_with_a_secret(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up_as("Bob", "Bob@Example.com", NULL, &session), BUSI_OK);
    cr_assert(within(5000, WAITING, 0));
    cr_assert(busi_str_eq(mailer.kind, BUSI_STR("confirm_email")));
    cr_assert_eq(mailer.expires_at, admin_int("SELECT (extract(epoch FROM expires_at) * 1000000)::bigint"
                                              " FROM auth.one_time_secrets WHERE kind = 'confirm_email'"));
    new_session("Ann@Example.com", NULL);
    cr_assert(within(5000, WAITING, 0));
    cr_assert(busi_str_eq(mailer.kind, BUSI_STR("account_created")));
    cr_assert_eq(mailer.expires_at, 0);
    busi_rpc_server_free(&mailer.server);
}

Test(outbox, a_mail_says_when_its_secret_expires)
{
    run_with_mailer(a_mail_with_a_secret);
}

static void many_mails(void)
{
    while (!auth_ready(world.auth))
        busi_fiber_sleep(5);
    admin("INSERT INTO auth.outbox(kind, recipient, arguments) SELECT 'k' || i, 'a@b.co', '{}' FROM "
          "generate_series(1, 100) AS i");
    cr_assert(within(10000, WAITING, 0));
    cr_assert_eq(mailer.calls, 100);
    busi_rpc_server_free(&mailer.server);
}

Test(outbox, more_than_a_batch)
{
    run_with_mailer(many_mails);
}

static void a_refusing_mailer(void)
{
    mailer.answer = BUSI_UNAVAILABLE;
    int64_t before_ms = busi_now_ms();
    new_session("a@b.co", NULL);
    cr_assert_lt(busi_now_ms() - before_ms, 1500);
    while (mailer.calls == 0)
        busi_fiber_sleep(5);
    busi_fiber_sleep(50);
    cr_assert_eq(admin_int(WAITING), 1);
    cr_assert_eq(admin_int("SELECT attempts FROM auth.outbox"), 1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox WHERE due_at > now() + interval '3 seconds'"),
                 1);
    mailer.answer = BUSI_OK;
    admin("UPDATE auth.outbox SET due_at = now()"); /* time passes */
    cr_assert(within(5000, WAITING, 0));
    cr_assert_eq(mailer.calls, 2);
    cr_assert(busi_str_eq(mailer.keys[0], mailer.keys[1])); /* the mailer can tell that it is the same */
    busi_rpc_server_free(&mailer.server);
}

Test(outbox, a_mail_that_was_not_taken_comes_again)
{
    run_with_mailer(a_refusing_mailer);
}

static void a_mailer_away(void)
{
    busi_rpc_server_free(&mailer.server);
    int64_t before_ms = busi_now_ms();
    for (int i = 0; i < 3; i++)
        new_session(busi_arena_printf(&world.arena, "a%d@b.co", i).ptr, NULL);
    cr_assert_lt(busi_now_ms() - before_ms, 3000);
    busi_fiber_sleep(1500);
    cr_assert_eq(admin_int(WAITING), 3);
    open_mailer(busi_str_of(mailer.endpoint));
    cr_assert(within(20000, WAITING, 0));
    cr_assert_eq(mailer.calls, 3);
    busi_rpc_server_free(&mailer.server);
}

Test(outbox, without_a_mailer_sign_ups_go_on_and_mails_wait)
{
    run_with_mailer(a_mailer_away);
}

static void nothing_configured(void)
{
    new_session("a@b.co", NULL);
    busi_fiber_sleep(200);
    cr_assert_eq(admin_int(WAITING), 1);
    cr_assert_eq(admin_int("SELECT attempts FROM auth.outbox"), 0);
    cr_assert_eq(mailer.calls, 0);
    busi_rpc_server_free(&mailer.server);
}

Test(outbox, without_a_mailer_configured_mails_wait)
{
    run(nothing_configured);
}
