/* auth-svc in a test: real Postgres (schema auth, as the run-time role) and Redis, a loop, a fiber for the
 * test's body. The schema's name is fixed, so tests take turns on it. */
#pragma once
#include "base/clock.h"
#include "base/metrics.h"
#include "core/auth.h"
#include "crypto/secret.h"
#include "database.h"
#include "loop/fiber.h"
#include "postgres_admin.h"
#include "sessions/sessions.h"
#include "sessions/tokens.h"

#define JWT_SECRET "a-secret-of-sixty-four-bytes-for-tests-0123456789-0123456789-012"
#define PASSWORD "correct horse"
enum { LEASE_MS = 100 }; /* of gateways, the same for all workers */

static struct {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct busi_settings settings;
    struct busi_arena arena; /* of the settings and of texts the test keeps */
    struct auth *auth;
    struct auth *other; /* a second replica that a test made; idle at its end */
    PGconn *admin;
    void (*body)(void);
    struct busi_call call; /* of the last request */
    bool stores_away;      /* do not wait for them */
} world;

static inline void admin(const char *sql)
{
    postgres_run(world.admin, sql);
}

/* The first column of the first row. */
static inline struct busi_str admin_text(const char *sql)
{
    PGresult *result = postgres_ask(world.admin, sql);
    cr_assert_eq(PQntuples(result), 1, "%s", sql);
    struct busi_str text = busi_arena_dup(&world.arena, busi_str_of(PQgetvalue(result, 0, 0)));
    PQclear(result);
    return text;
}

static inline int64_t admin_int(const char *sql)
{
    return postgres_number(world.admin, sql);
}

/* Settings as the process reads them, then the test's own: NULL-ended "BUSI_X=y" texts. */
static inline void read_settings(const char *const *more)
{
    char *environment[32] = {0};
    size_t n = 0;
    struct busi_buf errors;
    busi_buf_init(&errors, 4096);
    environment[n++] =
        (char *)busi_arena_printf(&world.arena, "BUSI_AUTH_DATABASE=%s options='-c role=busi_auth'",
                                  must_have("BUSI_TEST_POSTGRES"))
            .ptr;
    environment[n++] =
        (char *)busi_arena_printf(&world.arena, "BUSI_REDIS=%s", must_have("BUSI_TEST_REDIS")).ptr;
    environment[n++] = (char *)"BUSI_JWT_SECRET=" JWT_SECRET;
    environment[n++] = (char *)"BUSI_TOKEN_HASH_KEY=0123456789abcdef0123456789abcdef";
    environment[n++] = (char *)"BUSI_PASSWORD_PASSES=1";
    environment[n++] = (char *)"BUSI_PASSWORD_MEMORY=8M";
    environment[n++] = (char *)"BUSI_PASSWORD_WAIT=30s";
    environment[n++] = (char *)"BUSI_STATEMENT_TIMEOUT=5s";
    environment[n++] = (char *)"BUSI_LIMIT_SIGN_IN_ACCOUNT=off"; /* most tests know one account only */
    environment[n++] = (char *)"BUSI_LIMIT_SIGN_UP_ACCOUNT=off";
    environment[n++] = (char *)"BUSI_LIMIT_MAILS_ACCOUNT=off";
    environment[n++] = (char *)"BUSI_LIMIT_CHANGE_PASSWORD_ACCOUNT=off";
    environment[n++] = (char *)"BUSI_LIMIT_SLOW_AFTER=0";
    environment[n++] = (char *)"BUSI_LIMIT_LOCK_AFTER=0";
    for (; more && *more; more++) {
        size_t name = strcspn(*more, "=") + 1, at = 0;
        while (at < n && strncmp(environment[at], *more, name) != 0)
            at++;
        environment[at] = (char *)*more;
        n += at == n;
    }
    bool fine = busi_settings_read(&world.settings, BUSI_USER_A, NULL, environment, &world.arena, &errors);
    cr_assert(fine, "%.*s", (int)errors.len, errors.ptr ? errors.ptr : "");
    busi_buf_fini(&errors);
}

static inline void set_up(void)
{
    busi_arena_init(&world.arena, 16 << 20);
    cr_assert(busi_crypto_init());
    world.admin = postgres_open();
    admin("SELECT pg_advisory_lock(4712)");
    admin("DO $$ BEGIN CREATE ROLE busi_auth; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    admin("DROP SCHEMA IF EXISTS auth CASCADE; CREATE SCHEMA auth");
    struct busi_settings settings = {.migrate_database = busi_str_of(must_have("BUSI_TEST_POSTGRES"))};
    cr_assert_eq(auth_migrate(&settings, 1, (char *[]){(char *)"migrate", NULL}), 0);
}

static inline void tear_down(void)
{
    PQfinish(world.admin);
    busi_arena_fini(&world.arena);
}

/* One command of the test itself. */
static inline struct busi_redis_reply redis(const char *a, const char *b, const char *c, const char *d)
{
    struct busi_redis_reply reply;
    struct busi_str argv[] = {busi_str_of(a), busi_str_of(b), busi_str_of(c), busi_str_of(d)};
    int argc = d ? 4 : c ? 3 : b ? 2 : 1;
    cr_assert_eq(busi_redis_run(world.auth->redis, &world.arena, argc, argv, busi_now_ms() + 5000, &reply),
                 BUSI_OK);
    return reply;
}

static inline void run_in_world(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000 && !world.stores_away && !auth_ready(world.auth); i++)
        busi_fiber_sleep(5);
    cr_assert(world.stores_away || auth_ready(world.auth), "the stores are not there");
    if (!world.stores_away)
        redis("FLUSHDB", NULL, NULL, NULL);
    world.body();
    auth_drain(world.auth);
    while (!auth_idle(world.auth))
        busi_fiber_sleep(5);
    busi_loop_stop(world.loop);
}

static inline void open_loop(void)
{
    world.loop = busi_loop_new();
    world.fibers = busi_fibers_new(world.loop, 512, 256 * 1024);
    cr_assert(world.loop && world.fibers);
}

static inline void run_with(void (*body)(void), const char *const *settings)
{
    if (!world.loop)
        open_loop();
    read_settings(settings);
    world.body = body;
    world.auth = auth_new(
        world.loop,
        &(struct auth_options){.settings = &world.settings, .fibers = world.fibers, .lease_ms = LEASE_MS});
    cr_assert(world.auth);
    cr_assert(busi_fiber_start(world.fibers, run_in_world, NULL));
    busi_loop_run(world.loop);
    busi_call_fini(&world.call);
    auth_free(&world.auth);
    auth_free(&world.other);
    busi_fibers_free(&world.fibers);
    busi_loop_free(&world.loop);
}

static inline void run(void (*body)(void))
{
    run_with(body, NULL);
}

/* Another worker on the same stores, until part_with_other(). */
static inline void join_other(void)
{
    world.other = auth_new(
        world.loop,
        &(struct auth_options){.settings = &world.settings, .fibers = world.fibers, .lease_ms = LEASE_MS});
    cr_assert(world.other);
    while (!auth_ready(world.other))
        busi_fiber_sleep(5);
}

/* It is freed when the loop has stopped. */
static inline void part_with_other(void)
{
    auth_drain(world.other);
    while (!auth_idle(world.other))
        busi_fiber_sleep(5);
}

/* ---- requests ---- */

static inline void begin(struct busi_call *call)
{
    busi_call_fini(call);
    busi_call_init(call, 1 << 20);
    call->until_ms = busi_now_ms() + 20000;
}

static inline enum busi_code sign_up(const char *email, const char *password, struct busi_session_reply *out)
{
    struct busi_sign_up_request in = {
        .door = BUSI_STR("busi"), .email = busi_str_of(email), .password = busi_str_of(password)};
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    return auth_sign_up(world.auth, &world.call, &in, out);
}

static inline enum busi_code sign_in(const char *login, const char *password, struct busi_session_reply *out)
{
    struct busi_sign_in_request in = {
        .door = BUSI_STR("busi"), .login = busi_str_of(login), .password = busi_str_of(password)};
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    return auth_sign_in(world.auth, &world.call, &in, out);
}

static inline enum busi_code check(struct busi_str token, struct busi_principal *out)
{
    *out = (struct busi_principal){0};
    begin(&world.call);
    return auth_check_token(world.auth, &world.call, &(struct busi_check_token_request){.token = token}, out);
}

static inline enum busi_code sign_out(struct busi_str token)
{
    struct busi_empty out;
    begin(&world.call);
    return auth_sign_out(world.auth, &world.call, &(struct busi_check_token_request){.token = token}, &out);
}

static inline enum busi_code delete_user(int64_t id, int64_t *count)
{
    struct busi_count_reply out = {0};
    begin(&world.call);
    enum busi_code code =
        auth_delete_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = id}, &out);
    *count = out.count;
    return code;
}

static inline enum busi_code refresh(struct busi_str token, struct busi_session_reply *out)
{
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    return auth_refresh_token(world.auth, &world.call,
                              &(struct busi_refresh_token_request){.refresh_token = token}, out);
}

/* A token that outlives its request. */
static inline struct busi_str keep(struct busi_str text)
{
    return busi_arena_dup(&world.arena, text);
}

static inline struct busi_str new_session(const char *email, int64_t *id)
{
    struct busi_session_reply session;
    enum busi_code code = sign_up(email, PASSWORD, &session);
    if (code == BUSI_INVALID_ARGUMENT)
        code = sign_in(email, PASSWORD, &session);
    cr_assert_eq(code, BUSI_OK, "%s", busi_code_name((int)code));
    if (id)
        *id = session.user_id;
    return keep(session.access_token);
}

static inline bool said(const char *message)
{
    return busi_str_eq(world.call.message, busi_str_of(message));
}

/* The last request had just this violation. */
static inline bool violates(const char *field, enum busi_rule rule, int64_t limit)
{
    const struct busi_violation *v = &world.call.violations[0];
    return world.call.n_violations == 1 && busi_str_eq(v->field, busi_str_of(field)) && v->rule == rule &&
           v->limit == limit;
}
