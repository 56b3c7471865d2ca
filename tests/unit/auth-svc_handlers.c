#include "auth-svc_kit.h"

TestSuite(auth, .init = set_up, .fini = tear_down, .timeout = 60);

/* ---- signing up ---- */

static void sign_up_opens_a_session(void)
{
    struct busi_session_reply session;
    struct busi_principal who;
    int64_t before_s = busi_wall_us() / 1000000;
    cr_assert_eq(sign_up("Ann@Example.com", PASSWORD, &session), BUSI_OK);
    cr_assert(busi_str_eq(session.email, BUSI_STR("Ann@Example.com")));
    cr_assert_eq(session.session_id.len, 22);
    int64_t expires_s = session.expires_at / 1000000;
    cr_assert(expires_s >= before_s + 28 * 86400 && expires_s <= before_s + 28 * 86400 + 10);
    int64_t id = session.user_id;
    struct busi_str token = keep(session.access_token), session_id = keep(session.session_id);
    cr_assert_eq(check(token, &who), BUSI_OK);
    cr_assert_eq(who.user_id, id);
    cr_assert(busi_str_eq(who.session_id, session_id) && busi_str_eq(who.door, BUSI_STR("busi")));
    cr_assert_eq(who.expires_at, expires_s * 1000000);
    cr_assert(busi_str_eq(admin_text("SELECT email FROM auth.users"), BUSI_STR("Ann@Example.com")));
    cr_assert(busi_str_eq(admin_text("SELECT email_key FROM auth.users"), BUSI_STR("ann@example.com")));
    cr_assert(busi_str_starts(admin_text("SELECT password_hash FROM auth.users"),
                              BUSI_STR("$argon2id$v=19$m=8192,t=1,p=1$")));
}

Test(auth, sign_up_opens_a_session)
{
    run(sign_up_opens_a_session);
}

static void claims_are_those_clients_know(void)
{
    struct busi_jwt_claims claims;
    int64_t id;
    struct busi_str token = new_session("a@b.co", &id);
    int64_t now_s = busi_wall_us() / 1000000;
    cr_assert(busi_str_starts(token, BUSI_STR("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.")));
    cr_assert_eq(world.auth->doors[0].jwt.ring.keys[0].issuer.len, 8); /* busi_api, checked by verify below */
    cr_assert_eq(busi_jwt_verify(&world.arena, &world.auth->doors[0].jwt.ring.keys[0], token, now_s, &claims),
                 BUSI_JWT_OK);
    cr_assert_eq(claims.expires_at - claims.issued_at, 2419200);
    cr_assert_eq(claims.not_before, claims.issued_at - 1);
    cr_assert(busi_str_eq(claims.type, BUSI_STR("access")) && claims.jti.len == 36);
    cr_assert(busi_str_eq(claims.subject, busi_arena_printf(&world.arena, "%lld", (long long)id)));
}

Test(auth, claims_are_those_clients_know)
{
    run(claims_are_those_clients_know);
}

static void wrong_accounts_are_refused_by_field(void)
{
    struct busi_session_reply session;
    int64_t hashes = busi_metric_get(BUSI_METRIC_password_hashes);
    cr_assert_eq(sign_up(NULL, NULL, &session), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(world.call.n_violations, 2);
    cr_assert_eq(sign_up("a@b.co", "12345", &session), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_TOO_SHORT, 6));
    cr_assert_eq(sign_up("a b@c.de", PASSWORD, &session), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("email", BUSI_RULE_FORMAT, 0));
    cr_assert_eq(busi_metric_get(BUSI_METRIC_password_hashes), hashes);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users"), 0);
    struct busi_sign_up_request in = {
        .door = BUSI_STR("nowhere"), .email = BUSI_STR("a@b.co"), .password = BUSI_STR(PASSWORD)};
    begin(&world.call);
    cr_assert_eq(auth_sign_up(world.auth, &world.call, &in, &session), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(world.call.n_violations, 0);
}

Test(auth, wrong_accounts_are_refused_by_field)
{
    run(wrong_accounts_are_refused_by_field);
}

static void taken_is_told_last_and_after_the_same_work(void)
{
    struct busi_session_reply session;
    new_session("ann@example.com", NULL);
    int64_t hashes = busi_metric_get(BUSI_METRIC_password_hashes);
    cr_assert_eq(sign_up("ANN@example.COM", "another password", &session), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("email", BUSI_RULE_TAKEN, 0));
    cr_assert_eq(busi_metric_get(BUSI_METRIC_password_hashes), hashes + 1);
    cr_assert_eq(sign_up("ann@example.com", "short", &session), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_TOO_SHORT, 6));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox"), 1);
}

Test(auth, taken_is_told_last_and_after_the_same_work)
{
    run(taken_is_told_last_and_after_the_same_work);
}

static int race_running, race_won, race_taken;

static void sign_up_in_a_race(void *arg)
{
    char email[] = "racer@example.com";
    struct busi_call call;
    struct busi_session_reply out = {0};
    busi_call_init(&call, 1 << 20);
    call.until_ms = busi_now_ms() + 30000;
    for (size_t bits = (size_t)(intptr_t)arg, i = 0; i < 6; i++)
        if (bits >> i & 1)
            email[i] = (char)(email[i] & ~0x20);
    struct busi_sign_up_request in = {
        .door = BUSI_STR("busi"), .email = busi_str_of(email), .password = BUSI_STR(PASSWORD)};
    enum busi_code code = auth_sign_up(world.auth, &call, &in, &out);
    race_won += code == BUSI_OK;
    race_taken +=
        code == BUSI_INVALID_ARGUMENT && call.n_violations == 1 && call.violations[0].rule == BUSI_RULE_TAKEN;
    busi_call_fini(&call);
    race_running--;
}

static void one_of_fifty_wins(void)
{
    for (race_running = 0; race_running < 50;)
        cr_assert(busi_fiber_start(world.fibers, sign_up_in_a_race, (void *)(intptr_t)race_running++));
    while (race_running > 0)
        busi_fiber_sleep(5);
    cr_assert_eq(race_won, 1, "%d", race_won);
    cr_assert_eq(race_taken, 49, "%d", race_taken);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users"), 1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox"), 1);
}

Test(auth, one_of_fifty_sign_ups_of_one_address_wins)
{
    run(one_of_fifty_wins);
}

/* ---- signing in ---- */

static void sign_in_whatever_the_case(void)
{
    struct busi_session_reply session;
    struct busi_principal who;
    int64_t id;
    struct busi_str first = new_session("Ann@Example.com", &id);
    cr_assert_eq(sign_in("aNN@eXAMPLE.COM", PASSWORD, &session), BUSI_OK);
    cr_assert_eq(session.user_id, id);
    cr_assert(busi_str_eq(session.email, BUSI_STR("Ann@Example.com")));
    struct busi_str second = keep(session.access_token);
    cr_assert_not(busi_str_eq(first, second));
    cr_assert_eq(check(first, &who), BUSI_OK); /* each sign-in is a session of its own */
    cr_assert_eq(check(second, &who), BUSI_OK);
    cr_assert_eq(redis("ZCARD", "busi:u:{1}", NULL, NULL).number, 2);
}

Test(auth, sign_in_works_whatever_the_case)
{
    run(sign_in_whatever_the_case);
}

/* The same answer after the same single hash. */
static void failures_look_alike(void)
{
    static char long_text[40000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    struct busi_session_reply session;
    new_session("ann@example.com", NULL);
    admin("INSERT INTO auth.users(email, email_key) VALUES ('no@password.de', 'no@password.de')");
    new_session("blocked@example.com", NULL);
    admin("UPDATE auth.users SET blocked_at = now() WHERE email = 'blocked@example.com'");
    const char *const rows[][2] = {{"ann@example.com", "wrong password"},
                                   {"nobody@example.com", PASSWORD},
                                   {"ann@example.com", ""},
                                   {"nobody@example.com", ""},
                                   {"ann@example.com", long_text},
                                   {"nobody@example.com", long_text},
                                   {long_text, PASSWORD},
                                   {"", PASSWORD},
                                   {"", ""},
                                   {"not an address", PASSWORD},
                                   {"no@password.de", PASSWORD},
                                   {"no@password.de", ""},
                                   {"blocked@example.com", PASSWORD},
                                   {"blocked@example.com", "wrong password"},
                                   {"ann@example.com' OR 1=1 --", PASSWORD},
                                   {"ann@example.com ", PASSWORD},
                                   {"ann@example.com", PASSWORD " "},
                                   {"ann@example.com", "Correct horse"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t hashes = busi_metric_get(BUSI_METRIC_password_hashes);
        cr_assert_eq(sign_in(rows[i][0], rows[i][1], &session), BUSI_UNAUTHENTICATED, "%zu", i);
        cr_assert(said("unauthorized") && world.call.n_violations == 0, "%zu", i);
        cr_assert_eq(busi_metric_get(BUSI_METRIC_password_hashes), hashes + 1, "%zu", i);
        cr_assert(!session.access_token.ptr && !session.email.ptr);
    }
    cr_assert_eq(sign_in("ann@example.com", PASSWORD, &session), BUSI_OK);
}

Test(auth, failures_look_alike)
{
    run(failures_look_alike);
}

/* A row of nulls goes the way of an account: what is worked out for one takes its time for both. */
static void rows_of_nobody(void)
{
    new_session("ann@example.com", NULL);
    admin("UPDATE auth.users SET username = 'ann', username_key = 'ann'");
    const struct {
        enum auth_statement statement;
        struct busi_str key;
        bool known;
    } rows[] = {{AUTH_FIND_BY_EMAIL, BUSI_STR("ann@example.com"), true},
                {AUTH_FIND_BY_EMAIL, BUSI_STR("nobody@example.com"), false},
                {AUTH_FIND_BY_EMAIL, BUSI_STR(""), false},
                {AUTH_FIND_BY_USERNAME, BUSI_STR("ann"), true},
                {AUTH_FIND_BY_USERNAME, BUSI_STR("nobody"), false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct busi_pg_result result;
        cr_assert_eq(
            busi_pg_run(world.auth->pg, rows[i].statement, &rows[i].key, busi_now_ms() + 5000, &result),
            BUSI_OK);
        cr_assert_eq(result.rows, 1, "%zu", i);
        cr_assert_eq(busi_pg_int(&result, 0, 0) != 0, rows[i].known, "%zu", i);
        busi_pg_clear(&result);
    }
}

Test(auth, somebody_and_nobody_are_looked_up_alike)
{
    run(rows_of_nobody);
}

static void long_passwords_are_whole(void)
{
    char password[1025];
    struct busi_session_reply session;
    memset(password, 'p', 1024);
    password[1024] = '\0';
    cr_assert_eq(sign_up("a@b.co", password, &session), BUSI_OK);
    cr_assert_eq(sign_in("a@b.co", password, &session), BUSI_OK);
    password[1023] = 'q';
    cr_assert_eq(sign_in("a@b.co", password, &session), BUSI_UNAUTHENTICATED);
}

Test(auth, long_passwords_are_whole)
{
    run(long_passwords_are_whole);
}

static void user_names_where_a_door_takes_them(void)
{
    struct busi_session_reply session;
    new_session("bob@example.com", NULL);
    admin("UPDATE auth.users SET username = 'Bob', username_key = 'bob'");
    cr_assert_eq(sign_in("bob", PASSWORD, &session), BUSI_UNAUTHENTICATED);
    world.auth->doors[0].logins = AUTH_LOGIN_EMAIL_OR_USERNAME;
    cr_assert_eq(sign_in("BOB", PASSWORD, &session), BUSI_OK);
    cr_assert(busi_str_eq(session.username, BUSI_STR("Bob")));
    cr_assert_eq(sign_in("bob@example.com", PASSWORD, &session), BUSI_OK);
    cr_assert_eq(sign_in("", PASSWORD, &session), BUSI_UNAUTHENTICATED);
}

Test(auth, user_names_sign_in_where_a_door_takes_them)
{
    run(user_names_where_a_door_takes_them);
}

/* ---- stored hashes ---- */

static void imported_hashes_are_replaced(void)
{
    struct busi_session_reply session;
    admin("INSERT INTO auth.users(email, email_key, password_hash) VALUES "
          "('b@c.de', 'b@c.de', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW')");
    cr_assert_eq(sign_in("b@c.de", "U*u", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in("b@c.de", "U*U", &session), BUSI_OK); /* shorter than a new one may be */
    struct busi_str hash = admin_text("SELECT password_hash FROM auth.users");
    cr_assert(busi_str_starts(hash, BUSI_STR("$argon2id$v=19$m=8192,t=1,p=1$")), "%.*s", BUSI_ARG(hash));
    cr_assert_eq(sign_in("b@c.de", "U*U", &session), BUSI_OK);
    cr_assert(busi_str_eq(admin_text("SELECT password_hash FROM auth.users"), hash)); /* good as it is */
    cr_assert_eq(sign_in("b@c.de", "U*u", &session), BUSI_UNAUTHENTICATED);
}

Test(auth, imported_hashes_are_replaced_at_sign_in)
{
    run(imported_hashes_are_replaced);
}

static void dearer(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_in("a@b.co", PASSWORD, &session), BUSI_OK);
    cr_assert(busi_str_starts(admin_text("SELECT password_hash FROM auth.users"),
                              BUSI_STR("$argon2id$v=19$m=8192,t=3,p=1$")));
    cr_assert_eq(sign_in("a@b.co", PASSWORD, &session), BUSI_OK);
}

static void just_sign_up(void)
{
    new_session("a@b.co", NULL);
}

Test(auth, a_raised_cost_reaches_old_accounts)
{
    run(just_sign_up);
    run_with(dearer, (const char *const[]){"BUSI_PASSWORD_PASSES=3", NULL});
}

static void a_failed_rehash_is_only_counted(void)
{
    struct busi_session_reply session;
    int64_t failed = busi_metric_get(BUSI_METRIC_password_rehash_failed);
    admin("INSERT INTO auth.users(email, email_key, password_hash) VALUES "
          "('b@c.de', 'b@c.de', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW')");
    admin("REVOKE UPDATE (password_hash) ON auth.users FROM busi_auth");
    cr_assert_eq(sign_in("b@c.de", "U*U", &session), BUSI_OK);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_password_rehash_failed), failed + 1);
    cr_assert(busi_str_starts(admin_text("SELECT password_hash FROM auth.users"), BUSI_STR("$2a$")));
}

Test(auth, a_failed_rehash_is_only_counted)
{
    run(a_failed_rehash_is_only_counted);
}

static void a_rehash_does_not_undo_a_change(void)
{
    struct busi_pg_result result;
    new_session("a@b.co", NULL);
    admin("UPDATE auth.users SET password_hash = 'changed meanwhile'");
    const struct busi_str params[] = {BUSI_STR("1"), BUSI_STR("what sign-in saw"), BUSI_STR("its re-hash")};
    cr_assert_eq(busi_pg_run(world.auth->pg, AUTH_REPLACE_HASH, params, busi_now_ms() + 5000, &result),
                 BUSI_OK);
    cr_assert_eq(result.affected, 0);
    busi_pg_clear(&result);
    cr_assert(busi_str_eq(admin_text("SELECT password_hash FROM auth.users"), BUSI_STR("changed meanwhile")));
}

Test(auth, a_rehash_does_not_undo_a_change_of_password)
{
    run(a_rehash_does_not_undo_a_change);
}

static void hostile_hashes_fail_closed(void)
{
    static const char *const hashes[] = {
        "$argon2id$v=19$m=8388608,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "*", "",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"};
    struct busi_session_reply session;
    new_session("a@b.co", NULL);
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        admin(busi_arena_printf(&world.arena, "UPDATE auth.users SET password_hash = '%s'", hashes[i]).ptr);
        cr_assert_eq(sign_in("a@b.co", PASSWORD, &session), BUSI_UNAUTHENTICATED, "%s", hashes[i]);
        cr_assert(said("unauthorized"));
    }
}

Test(auth, hostile_stored_hashes_fail_closed)
{
    run(hostile_hashes_fail_closed);
}

/* ---- too many ---- */

static int flood_running, flood_served, flood_shed;

static void sign_in_in_a_flood(void *arg)
{
    struct busi_call call;
    struct busi_session_reply out = {0};
    (void)arg;
    busi_call_init(&call, 1 << 20);
    call.until_ms = busi_now_ms() + 30000;
    struct busi_sign_in_request in = {
        .door = BUSI_STR("busi"), .login = BUSI_STR("a@b.co"), .password = BUSI_STR(PASSWORD)};
    enum busi_code code = auth_sign_in(world.auth, &call, &in, &out);
    flood_served += code == BUSI_OK;
    flood_shed += code == BUSI_RESOURCE_EXHAUSTED && call.retry_after_ms > 0;
    busi_call_fini(&call);
    flood_running--;
}

static void a_flood_is_shed(void)
{
    int64_t shed = busi_metric_get(BUSI_METRIC_password_shed);
    new_session("a@b.co", NULL);
    for (int i = 0; i < 200; i++, flood_running++)
        cr_assert(busi_fiber_start(world.fibers, sign_in_in_a_flood, NULL));
    while (flood_running > 0)
        busi_fiber_sleep(5);
    cr_assert_eq(flood_served + flood_shed, 200, "%d %d", flood_served, flood_shed);
    cr_assert(flood_served > 0 && flood_shed > 100, "%d %d", flood_served, flood_shed);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_password_shed), shed + flood_shed);
}

Test(auth, a_flood_is_shed_with_a_hint)
{
    run_with(a_flood_is_shed, (const char *const[]){"BUSI_PASSWORD_THREADS=1", "BUSI_PASSWORD_WAIT=100ms",
                                                    "BUSI_PASSWORD_MEMORY=19M", NULL});
}

/* ---- unknown outcome ---- */

static void lose_the_connection(void *arg)
{
    (void)arg;
    busi_fiber_sleep(300);
    admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'auth-svc' AND "
          "wait_event_type = 'Lock'");
    admin("ROLLBACK");
}

static void a_lost_insert_is_unavailable(void)
{
    struct busi_session_reply session;
    admin("BEGIN; LOCK TABLE auth.users IN SHARE MODE");
    cr_assert(busi_fiber_start(world.fibers, lose_the_connection, NULL));
    cr_assert_eq(sign_up("a@b.co", PASSWORD, &session), BUSI_UNAVAILABLE);
    cr_assert_gt(world.call.retry_after_ms, 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users"), 0);
    for (int i = 0; i < 600 && !auth_ready(world.auth); i++)
        busi_fiber_sleep(5);
    new_session("a@b.co", NULL);
}

Test(auth, a_lost_insert_is_unavailable_and_repeatable)
{
    run(a_lost_insert_is_unavailable);
}

/* ---- privileges ---- */

static void the_role_can_do_no_more(void)
{
    PGconn *connection =
        PQconnectdb(busi_arena_printf(&world.arena, "%.*s", BUSI_ARG(world.settings.auth_database)).ptr);
    static const char *const forbidden[] = {
        "DROP TABLE auth.users",
        "TRUNCATE auth.users",
        "UPDATE auth.users SET inserted_at = now()",
        "CREATE TABLE auth.x(i int)",
        "DELETE FROM auth.migrations",
        "INSERT INTO auth.users(id, email, email_key) OVERRIDING SYSTEM VALUE VALUES (1, 'x@y', 'x@y')"};
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        PGresult *result = PQexec(connection, forbidden[i]);
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        cr_assert(state && strcmp(state, "42501") == 0, "%s: %s", forbidden[i], PQresultErrorMessage(result));
        PQclear(result);
    }
    PQfinish(connection);
}

Test(auth, the_run_time_role_can_do_no_more_than_it_needs)
{
    run(the_role_can_do_no_more);
}
