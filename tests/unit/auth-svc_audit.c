#include "audit/audit.h"
#include "auth-svc_accounts_kit.h"
#include "limits/tally.h"

TestSuite(audit, .init = set_up, .fini = tear_down, .timeout = 60);

/* "event outcome detail, event outcome detail" of all rows so far, oldest first. */
static const char *log_of(const char *where)
{
    struct busi_str sql = busi_arena_printf(&world.arena,
                                            "SELECT COALESCE(string_agg(concat_ws(' ', event, outcome, "
                                            "detail), ', ' ORDER BY id), '') FROM auth.audit"
                                            " WHERE %s",
                                            where);
    return admin_text(sql.ptr).ptr;
}

static int64_t rows(const char *where)
{
    return admin_int(busi_arena_printf(&world.arena, "SELECT count(*) FROM auth.audit WHERE %s", where).ptr);
}

/* ---- what handlers leave ---- */

static void a_life(void)
{
    struct busi_session_reply session;
    struct busi_count_reply count;
    cr_assert_eq(sign_up_as("Bob", "bob@example.com", NULL, &session), BUSI_OK);
    int64_t bob = session.user_id;
    cr_assert_eq(confirm(admin_text(SECRET), &session), BUSI_OK);
    cr_assert_eq(sign_in_as("bob", "wrong horse", &session), BUSI_UNAUTHENTICATED);
    struct busi_str token = signed_in("Bob", PASSWORD), other = signed_in("Bob", PASSWORD);
    begin(&world.call);
    cr_assert_eq(auth_end_other_sessions(world.auth, &world.call,
                                         &(struct busi_check_token_request){.token = token}, &count),
                 BUSI_OK);
    cr_assert(!lives(other));
    cr_assert_eq(sign_out(token), BUSI_OK);
    cr_assert_eq(sign_out(token), BUSI_OK); /* twice is once */
    cr_assert_eq(finish_reset(reset_of("bob"), "another horse", "another horse"), BUSI_OK);
    begin(&world.call);
    cr_assert_eq(
        auth_block_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = bob}, &count),
        BUSI_OK);
    cr_assert_eq(sign_in_as("bob", "another horse", &session), BUSI_UNAUTHENTICATED);
    begin(&world.call);
    cr_assert_eq(
        auth_unblock_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = bob}, &count),
        BUSI_OK);
    begin(&world.call);
    struct busi_issue_token_request issue = {.door = DOOR, .user_id = bob};
    cr_assert_eq(auth_issue_token(world.auth, &world.call, &issue, &session), BUSI_OK);
    cr_assert_eq(delete_user(bob, &count.count), BUSI_OK);
    cr_assert_eq(delete_user(bob, &count.count), BUSI_OK); /* nobody to delete */
    cr_assert_str_eq(
        log_of("true"),
        "sign_up ok, confirm_email ok, sign_in ok confirm_email, sign_in failed wrong_password,"
        " sign_in ok password, sign_in ok password,"
        " end_sessions ok, sign_out ok, reset_password ok, block_user ok, sign_in failed blocked,"
        " unblock_user ok, issue_token ok, delete_user ok");
    cr_assert_eq(rows("user_id IS NULL"), 0);
    cr_assert_eq(rows("door = 'accesspass'"), 11);
}

Test(audit, an_account_s_life_is_in_it)
{
    run(a_life);
}

static void failures(void)
{
    struct busi_session_reply session;
    struct busi_count_reply count;
    cr_assert_eq(confirm(BUSI_STR("no secret"), &session), BUSI_NOT_FOUND);
    cr_assert_eq(finish_reset(BUSI_STR("no secret"), "another horse", "another horse"), BUSI_NOT_FOUND);
    struct busi_str token = bob(), secret = reset_of("bob");
    admin(
        "UPDATE auth.one_time_secrets SET expires_at = now() - interval '1 s' WHERE kind = 'reset_password'");
    cr_assert_eq(finish_reset(secret, "another horse", "another horse"), BUSI_INVALID_ARGUMENT);
    begin(&world.call);
    struct busi_change_password_request in = {.token = token,
                                              .password = BUSI_STR("wrong horse"),
                                              .new_password = BUSI_STR("another horse"),
                                              .password_confirm = BUSI_STR("another horse")};
    cr_assert_eq(auth_change_password(world.auth, &world.call, &in, &count), BUSI_INVALID_ARGUMENT);
    cr_assert(said("the password is wrong") && violates("password", BUSI_RULE_INVALID, 0));
    begin(&world.call);
    in.password = BUSI_STR(PASSWORD);
    cr_assert_eq(auth_change_password(world.auth, &world.call, &in, &count), BUSI_OK);
    cr_assert_str_eq(log_of("event <> 'sign_up'"),
                     "confirm_email failed unknown_secret, reset_password failed unknown_secret,"
                     " reset_password failed expired_secret, change_password failed wrong_password,"
                     " change_password ok");
    cr_assert_eq(rows("actor_id = user_id AND event = 'change_password'"), 2);
}

Test(audit, failures_are_in_it)
{
    run(failures);
}

/* ---- what must not be in it ---- */

static void typed(void)
{
    struct busi_session_reply session;
    bob();
    cr_assert_eq(sign_in_as("hunter2 is my password", "x", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_as("nobody@example.com", "hunter2", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_as("NoBody@Example.com.", "hunter2", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_as("Bob", "hunter2", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(finish_reset(reset_of("bob"), "another horse", "another horse"), BUSI_OK);
    signed_in("bob", "another horse");
    cr_assert_eq(rows("audit::text ~* 'hunter2|nobody|example|horse|argon2'"), 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.audit, auth.outbox WHERE audit::text LIKE '%' || "
                           "(arguments->>'secret') || '%'"),
                 0);
    /* one name, however it is written; others apart; no hash where there is an id */
    cr_assert_eq(admin_int("SELECT count(DISTINCT name_hash) FROM auth.audit"), 2);
    cr_assert_eq(rows("name_hash IS NOT NULL AND user_id IS NOT NULL"), 0);
    cr_assert_eq(
        rows("event = 'sign_in' AND outcome = 'failed' AND user_id IS NOT NULL AND name_hash IS NULL"), 1);
}

Test(audit, no_name_that_was_typed_and_no_secret_is_in_it)
{
    run(typed);
}

/* ---- who and where ---- */

static void origin(void)
{
    begin(&world.call);
    world.call.caller = BUSI_STR("gateway");
    world.call.user_id = 77;
    world.call.request_id = BUSI_STR("request-1");
    world.call.traceparent = BUSI_STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    world.call.origin.remote_addr = BUSI_STR("2001:db8::1");
    world.call.origin.user_agent = BUSI_STR("curl \"8\" \\ x");
    struct auth_deed deed = {.event = AUTH_AUDIT_grant_role, .user_id = 5, .detail = BUSI_STR("admin")};
    cr_assert_eq(auth_audit(world.auth, &world.call, &deed), BUSI_OK);
    cr_assert_eq(
        rows("event = 'grant_role' AND outcome = 'ok' AND actor = 'gateway' AND actor_id = 77 AND user_id = 5"
             " AND request_id = 'request-1' AND trace_id = '0af7651916cd43dd8448eb211c80319c'"
             " AND remote_addr = '2001:db8::1' AND user_agent = 'curl \"8\" \\ x' AND detail = 'admin'"
             " AND at > now() - interval '1 minute'"),
        1);
    deed.actor_id = 78; /* who did it is known better */
    cr_assert_eq(auth_audit(world.auth, &world.call, &deed), BUSI_OK);
    cr_assert_eq(rows("actor_id = 78"), 1);
}

Test(audit, who_and_where_is_the_call_s)
{
    run(origin);
}

static void refused_by_database(void)
{
    struct busi_session_reply session;
    int64_t lost = busi_metric_get(BUSI_METRIC_audit_lost);
    bob();
    admin("ALTER TABLE auth.audit ADD CHECK (event = 'nothing') NOT VALID");
    cr_assert_eq(sign_in_as("bob", "wrong horse", &session), BUSI_UNAUTHENTICATED);
    cr_assert(said("unauthorized"));
    cr_assert_eq(busi_metric_get(BUSI_METRIC_audit_lost), lost + 1);
    cr_assert_neq(sign_in_as("bob", PASSWORD, &session), BUSI_OK); /* nobody comes in unseen */
    cr_assert_neq(sign_up_as("Eve", "eve@example.com", NULL, &session), BUSI_OK);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users"), 1);
}

Test(audit, nothing_that_changes_happens_without_its_row)
{
    run(refused_by_database);
}

/* ---- many ---- */

static void counted(void)
{
    struct busi_session_reply session;
    int refused = 0;
    for (int i = 0; i < 20; i++) {
        struct busi_sign_in_request in = {
            .door = DOOR, .login = BUSI_STR("nobody"), .password = BUSI_STR("x")};
        begin(&world.call);
        world.call.origin.remote_addr = BUSI_STR("203.0.113.9");
        refused += auth_sign_in(world.auth, &world.call, &in, &session) == BUSI_RESOURCE_EXHAUSTED;
    }
    cr_assert_geq(refused, 10);
    cr_assert_eq(rows("true"), 20 - refused);
    auth_limit_tally_stop(world.auth->tally); /* writes what it has, as after a minute */
    while (!auth_limit_tally_stopped(world.auth->tally))
        busi_fiber_sleep(5);
    struct busi_str expected = busi_arena_printf(&world.arena, "limited failed sign_in %d", refused);
    cr_assert_str_eq(log_of("event = 'limited'"), expected.ptr);
}

Test(audit, what_limits_refuse_is_counted_not_written)
{
    run_with(counted, (const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=3/1h", NULL});
}

/* ---- kept for a time, and unchanged ---- */

Test(audit, the_service_may_add_and_read_only)
{
    static const char *const forbidden[] = {
        "UPDATE auth.audit SET event = 'x'", "DELETE FROM auth.audit", "TRUNCATE auth.audit",
        "INSERT INTO auth.audit(at, event, outcome) VALUES (now(), 'x', 'ok')",
        "ALTER TABLE auth.audit ADD x text"};
    admin("SET ROLE busi_auth");
    admin("INSERT INTO auth.audit(event, outcome) VALUES ('sign_in', 'ok')");
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        PGresult *result = PQexec(world.admin, forbidden[i]);
        cr_assert_str_eq(PQresultErrorField(result, PG_DIAG_SQLSTATE), "42501", "%s", forbidden[i]);
        PQclear(result);
    }
    cr_assert_eq(rows("true"), 1);
}

/* Whatever is asked for, a week is kept. */
Test(audit, a_week_is_kept_in_any_case)
{
    admin(
        "INSERT INTO auth.audit(at, event, outcome) SELECT now() - i * interval '1 day' + interval '1 hour',"
        " 'sign_in', 'ok' FROM generate_series(20, 1, -1) AS i");
    admin("SET ROLE busi_auth");
    cr_assert_eq(admin_int("SELECT auth.expire_audit(interval '10 days')"), 10);
    cr_assert_eq(admin_int("SELECT auth.expire_audit(interval '0')"), 3);
    cr_assert_eq(admin_int("SELECT auth.expire_audit(interval '-1000 years')"), 0);
    cr_assert_eq(rows("true"), 7);
    cr_assert_eq(rows("at < now() - interval '7 days'"), 0);
}

static void swept(void)
{
    for (int64_t until_ms = busi_now_ms() + 20000; rows("true") > 30 && busi_now_ms() < until_ms;)
        busi_fiber_sleep(20);
    cr_assert_eq(rows("true"), 30);
}

Test(audit, what_is_old_is_swept)
{
    admin("INSERT INTO auth.audit(at, event, outcome) SELECT now() - interval '31 days', 'sign_in', 'ok'"
          " FROM generate_series(1, 2500) AS i");
    admin("INSERT INTO auth.audit(at, event, outcome) SELECT now() - interval '29 days', 'sign_in', 'ok'"
          " FROM generate_series(1, 30) AS i");
    run_with(swept, (const char *const[]){"BUSI_AUDIT_KEEP=30d", NULL});
}

/* ---- reading ---- */

static struct busi_list_audit_reply list;

static const char *ids(struct busi_list_audit_request in)
{
    struct busi_buf out;
    begin(&world.call);
    list = (struct busi_list_audit_reply){0};
    cr_assert_eq(auth_list_audit(world.auth, &world.call, &in, &list), BUSI_OK);
    const struct busi_audit_entry *entries = list.entries.items;
    busi_buf_init(&out, 4096);
    for (size_t i = 0; i < list.entries.n; i++)
        busi_buf_printf(&out, "%s%lld", i ? " " : "", (long long)entries[i].id);
    busi_buf_str(&out, list.more ? BUSI_STR(" more") : BUSI_STR(""));
    const char *text = busi_arena_dup(&world.arena, (struct busi_str){out.ptr ? out.ptr : "", out.len}).ptr;
    busi_buf_fini(&out);
    return text;
}

#define IDS(...) ids((struct busi_list_audit_request){__VA_ARGS__})

static void filtered(void)
{
    int64_t now_us = busi_wall_us(), day_us = 86400LL * 1000000;
    cr_assert_str_eq(IDS(0), "6 5 4 3 2 1");
    cr_assert_str_eq(IDS(.limit = 2), "6 5 more");
    cr_assert_str_eq(IDS(.limit = 4, .before_id = 5), "4 3 2 1");
    cr_assert_str_eq(IDS(.limit = 3, .before_id = 5), "4 3 2 more");
    cr_assert_str_eq(IDS(.user_id = 7), "5 3 1");
    cr_assert_str_eq(IDS(.actor_id = 8), "3 2");
    cr_assert_str_eq(IDS(.event = BUSI_STR("sign_in")), "4 1");
    cr_assert_str_eq(IDS(.outcome = BUSI_STR("failed")), "4");
    cr_assert_str_eq(IDS(.user_id = 7, .actor_id = 8), "3");
    cr_assert_str_eq(IDS(.from = now_us - 3 * day_us - day_us / 2), "6 5 4 3");
    cr_assert_str_eq(IDS(.until = now_us - 3 * day_us - day_us / 2), "2 1");
    cr_assert_str_eq(IDS(.from = now_us - 4 * day_us - day_us / 2, .until = now_us - 2 * day_us - day_us / 2),
                     "3 2");
    cr_assert_str_eq(IDS(.from = now_us + day_us), "");
    cr_assert_str_eq(IDS(.name = BUSI_STR("BOB@example.com")), "5 3 1");
    cr_assert_str_eq(IDS(.name = BUSI_STR("bob")), "5 3 1");
    cr_assert_str_eq(IDS(.name = BUSI_STR("nobody")), "");
    cr_assert_str_eq(IDS(.name = BUSI_STR("' OR true --")), "");
    cr_assert_str_eq(IDS(.oldest_first = true, .limit = 2), "1 2 more");
    cr_assert_str_eq(IDS(.oldest_first = true, .after_id = 2), "3 4 5"); /* the last is too young */
}

/* A row a day, the last one just now. */
Test(audit, filters_and_pages)
{
    admin("INSERT INTO auth.users(id, email, email_key, username, username_key) OVERRIDING SYSTEM VALUE"
          " VALUES (7, 'bob@example.com', 'bob@example.com', 'Bob', 'bob')");
    admin(
        "INSERT INTO auth.audit(at, event, outcome, user_id, actor_id) SELECT now() - (6 - i) * interval '1 "
        "day',"
        " CASE WHEN i IN (1, 4) THEN 'sign_in' ELSE 'update_user' END, CASE WHEN i = 4 THEN 'failed' ELSE "
        "'ok' END,"
        " CASE WHEN i % 2 = 1 THEN 7 END, CASE WHEN i IN (2, 3) THEN 8 END FROM generate_series(1, 6) AS i");
    run_with(filtered, (const char *const[]){"BUSI_STATEMENT_TIMEOUT=1s", NULL});
}

static void found_by_name(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_in_as("Carol@example.com", "x", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_as("dave@example.com", "x", &session), BUSI_UNAUTHENTICATED);
    cr_assert_str_eq(IDS(.name = BUSI_STR("carol@EXAMPLE.com")), "1");
    const struct busi_audit_entry *entry = list.entries.items;
    cr_assert_eq(entry->name_hash.len, 32);
    cr_assert(busi_str_eq(entry->event, BUSI_STR("sign_in")) &&
              busi_str_eq(entry->outcome, BUSI_STR("failed")) &&
              busi_str_eq(entry->detail, BUSI_STR("unknown_name")) && busi_str_eq(entry->door, DOOR));
    cr_assert_gt(entry->at, busi_wall_us() - 60000000);
}

Test(audit, a_name_that_is_nobody_s_is_found_by_who_knows_it)
{
    run(found_by_name);
}
