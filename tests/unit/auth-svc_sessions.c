#define _GNU_SOURCE /* memmem */
#include "auth-svc_kit.h"

TestSuite(sessions, .init = set_up, .fini = tear_down, .timeout = 60);

/* A token signed with the door's real key, from claims that the test has changed. */
static struct busi_str forge(const struct busi_jwt_claims *claims)
{
    struct busi_str token = busi_jwt_sign(&world.arena, &world.auth->doors[0].jwt.ring.keys[0], claims);
    cr_assert(token.ptr);
    return token;
}

static struct busi_jwt_claims read_claims(struct busi_str token)
{
    struct busi_jwt_claims claims;
    enum busi_jwt_verdict verdict = busi_jwt_verify(&world.arena, &world.auth->doors[0].jwt.ring.keys[0],
                                                    token, busi_wall_us() / 1000000, &claims);
    cr_assert_eq(verdict, BUSI_JWT_OK);
    return claims;
}

static const char *key_of(struct busi_str token)
{
    struct busi_jwt_claims claims = read_claims(token);
    return busi_arena_printf(&world.arena, "busi:s:{%.*s}", BUSI_ARG(claims.session_id)).ptr;
}

static void expect_refused(struct busi_str token, const char *message)
{
    struct busi_principal who;
    cr_assert_eq(check(token, &who), BUSI_UNAUTHENTICATED);
    cr_assert(said(message), "%.*s", BUSI_ARG(world.call.message));
    cr_assert_eq(who.user_id, 0);
}

static void only_the_token_of_the_session(void)
{
    struct busi_principal who;
    struct busi_str token = new_session("a@b.co", NULL), other = new_session("b@c.de", NULL);
    struct busi_jwt_claims claims = read_claims(token), changed = claims;
    cr_assert_eq(check(forge(&claims), &who), BUSI_OK);
    expect_refused(BUSI_STR(""), "invalid_token");
    expect_refused(BUSI_STR("garbage"), "invalid_token");
    changed.subject = BUSI_STR("2"); /* other users' sessions, all well signed */
    expect_refused(forge(&changed), "invalid_token");
    static const char *const subjects[] = {"x",  "01",  "+1",       " 1", "1 ", "1.0", "9223372036854775808",
                                           "-1", "1\n", "user?id=1"};
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        changed.subject = busi_str_of(subjects[i]);
        expect_refused(forge(&changed), "invalid_token");
    }
    changed = claims;
    changed.jti = BUSI_STR("6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69");
    expect_refused(forge(&changed), "invalid_token");
    changed = claims;
    changed.session_id = read_claims(other).session_id;
    expect_refused(forge(&changed), "invalid_token");
    changed.session_id = BUSI_STR("x} busi:s:{y\r\nFLUSHALL");
    expect_refused(forge(&changed), "invalid_token");
    changed = claims;
    changed.type = BUSI_STR("refresh");
    expect_refused(forge(&changed), "invalid_token");
    changed = claims;
    changed.expires_at += 1; /* a longer life than the session's */
    expect_refused(forge(&changed), "invalid_token");
    changed = claims;
    changed.expires_at = claims.issued_at - 1;
    expect_refused(forge(&changed), "token_expired");
    changed = claims;
    changed.not_before += 1000;
    expect_refused(forge(&changed), "invalid_token");
    cr_assert_eq(check(token, &who), BUSI_OK);
}

Test(sessions, only_the_very_token_of_a_living_session_is_good)
{
    run(only_the_token_of_the_session);
}

static void what_redis_holds(void)
{
    int64_t id;
    struct busi_str token = new_session("a@b.co", &id);
    const char *key = key_of(token);
    struct busi_redis_reply ttl = redis("TTL", key, NULL, NULL),
                            index_ttl = redis("TTL", "busi:u:{1}", NULL, NULL);
    cr_assert(ttl.number > 2419200 - 60 && ttl.number <= 2419200);
    cr_assert(index_ttl.number > 2505600 - 60 && index_ttl.number <= 2505600); /* a day more */
    struct busi_redis_reply value = redis("GET", key, NULL, NULL);
    cr_assert(value.text.len < 160);
    struct busi_jwt_claims claims = read_claims(token);
    cr_assert_null(memmem(value.text.ptr, value.text.len, claims.jti.ptr, claims.jti.len));
}

Test(sessions, redis_holds_nothing_that_opens_a_session)
{
    run(what_redis_holds);
}

static void damaged_records(void)
{
    struct busi_principal who;
    struct busi_str token = new_session("a@b.co", NULL), other = new_session("a@b.co", NULL);
    const char *key = key_of(token);
    struct busi_str good = redis("GET", key, NULL, NULL).text;
    for (size_t bit = 0; bit < good.len * 8; bit++) {
        struct busi_str bad = busi_arena_dup(&world.arena, good);
        ((char *)bad.ptr)[bit / 8] ^= (char)(1 << bit % 8);
        struct busi_redis_reply reply;
        const struct busi_str set[] = {BUSI_STR("SET"), busi_str_of(key), bad};
        cr_assert_eq(busi_redis_run(world.auth->redis, &world.arena, 3, set, busi_now_ms() + 5000, &reply),
                     BUSI_OK);
        expect_refused(token, "invalid_token");
    }
    redis("SET", key, "", NULL);
    expect_refused(token, "invalid_token");
    redis("COPY", key_of(other), key, "REPLACE"); /* the record of another session of the same user */
    expect_refused(token, "invalid_token");
    redis("DEL", key, NULL, NULL);
    expect_refused(token, "invalid_token");
    redis("RPUSH", key, "x", NULL); /* not what we stored: no verdict on the token */
    cr_assert_eq(check(token, &who), BUSI_UNAVAILABLE);
    cr_assert_eq(check(other, &who), BUSI_OK);
}

Test(sessions, damaged_records_open_nothing) /* D-03 */
{
    run(damaged_records);
}

/* ---- ending ---- */

static void sign_out_ends_one(void)
{
    struct busi_principal who;
    struct busi_str token = new_session("a@b.co", NULL), other = new_session("a@b.co", NULL);
    cr_assert_eq(sign_out(token), BUSI_OK);
    expect_refused(token, "invalid_token");
    cr_assert_eq(check(other, &who), BUSI_OK);
    cr_assert_eq(sign_out(token), BUSI_OK); /* again */
    cr_assert_eq(redis("ZCARD", "busi:u:{1}", NULL, NULL).number, 1);
}

Test(sessions, sign_out_ends_one_session)
{
    run(sign_out_ends_one);
}

static void forged_sign_outs(void)
{
    struct busi_principal who;
    struct busi_str token = new_session("a@b.co", NULL);
    struct busi_jwt_claims claims = read_claims(token), expired = claims;
    struct busi_jwt_key wrong = world.auth->doors[0].jwt.ring.keys[0];
    wrong.secret = BUSI_STR("another-secret-of-sixty-four-bytes-0123456789-0123456789-0123456");
    cr_assert_eq(sign_out(busi_jwt_sign(&world.arena, &wrong, &claims)), BUSI_OK);
    cr_assert_eq(sign_out((struct busi_str){token.ptr, token.len - 1}), BUSI_OK);
    cr_assert_eq(sign_out(BUSI_STR("")), BUSI_OK);
    cr_assert_eq(check(token, &who), BUSI_OK);
    expired.issued_at -= 10000000;
    expired.expires_at = expired.issued_at + 1;
    cr_assert_eq(sign_out(forge(&expired)), BUSI_OK); /* expired, but really ours */
    expect_refused(token, "invalid_token");
}

Test(sessions, a_forged_sign_out_ends_nothing)
{
    run(forged_sign_outs);
}

static void delete_ends_all(void)
{
    struct busi_principal who;
    struct busi_session_reply session;
    struct busi_str tokens[5];
    int64_t id, count;
    for (int i = 0; i < 5; i++)
        tokens[i] = new_session("a@b.co", &id);
    struct busi_str neighbour = new_session("b@c.de", NULL);
    for (int i = 0; i < 250; i++) /* more than are ended at once */
        redis("ZADD", "busi:u:{1}", "9999999999", busi_arena_printf(&world.arena, "gone%d", i).ptr);
    cr_assert_eq(delete_user(id, &count), BUSI_OK);
    cr_assert_eq(count, 1);
    for (int i = 0; i < 5; i++)
        expect_refused(tokens[i], "invalid_token");
    cr_assert_eq(check(neighbour, &who), BUSI_OK);
    cr_assert_eq(redis("EXISTS", "busi:u:{1}", NULL, NULL).number, 0);
    cr_assert_eq(sign_in("a@b.co", PASSWORD, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(delete_user(id, &count), BUSI_OK);
    cr_assert_eq(count, 0);
    new_session("a@b.co", NULL); /* the address is free again */
}

Test(sessions, deleting_a_user_ends_all_of_its_sessions)
{
    run(delete_ends_all);
}

static void no_session_for_the_gone(void)
{
    struct busi_session_reply session = {0};
    int64_t id;
    new_session("a@b.co", &id);
    redis("FLUSHDB", NULL, NULL, NULL);
    admin("UPDATE auth.users SET blocked_at = now()");
    begin(&world.call);
    const struct auth_account account = {.id = id};
    cr_assert_eq(auth_session_open(world.auth, &world.call, &account, &world.auth->doors[0], NULL, &session),
                 BUSI_UNAUTHENTICATED);
    admin("DELETE FROM auth.users");
    begin(&world.call);
    cr_assert_eq(auth_session_open(world.auth, &world.call, &account, &world.auth->doors[0], NULL, &session),
                 BUSI_UNAUTHENTICATED);
    cr_assert_null(session.access_token.ptr);
    cr_assert_eq(redis("KEYS", "busi:[su]:*", NULL, NULL).n_items, 0);
}

Test(sessions, none_begins_for_a_user_deleted_meanwhile)
{
    run(no_session_for_the_gone);
}

static void the_index_is_pruned(void)
{
    new_session("a@b.co", NULL);
    redis("ZADD", "busi:u:{1}", "1000", "long-gone");
    redis("EXPIRE", "busi:u:{1}", "9000000", NULL); /* of a session that lives longer */
    new_session("a@b.co", NULL);
    cr_assert_eq(redis("ZCARD", "busi:u:{1}", NULL, NULL).number, 2);
    cr_assert_gt(redis("TTL", "busi:u:{1}", NULL, NULL).number, 8999000);
}

Test(sessions, the_index_is_pruned_and_outlives_its_sessions)
{
    run(the_index_is_pruned);
}

static void short_lives(void)
{
    struct busi_principal who;
    struct busi_str token = new_session("a@b.co", NULL);
    cr_assert_eq(check(token, &who), BUSI_OK);
    busi_fiber_sleep(2100);
    expect_refused(token, "token_expired");
    cr_assert_eq(redis("KEYS", "busi:s:*", NULL, NULL).n_items, 0);
    busi_fiber_sleep(2100);
    cr_assert_eq(redis("KEYS", "busi:u:*", NULL, NULL).n_items, 0);
}

Test(sessions, end_with_their_token)
{
    run_with(short_lives, (const char *const[]){"BUSI_JWT_LIFETIME=2s", NULL});
}

/* ---- the store is away ---- */

static struct busi_str token_before;

static void remember_token(void)
{
    token_before = new_session("a@b.co", NULL);
}

static void never_a_verdict(void)
{
    struct busi_principal who;
    struct busi_session_reply session;
    int64_t count, hashes = busi_metric_get(BUSI_METRIC_password_hashes);
    for (int i = 0; i < 600 && !busi_pg_ready(world.auth->pg); i++)
        busi_fiber_sleep(5);
    cr_assert(busi_pg_ready(world.auth->pg) && !auth_ready(world.auth));
    cr_assert_eq(check(token_before, &who), BUSI_UNAVAILABLE);
    cr_assert_gt(world.call.retry_after_ms, 0);
    expect_refused(BUSI_STR("garbage"), "invalid_token");
    cr_assert_eq(sign_in("a@b.co", PASSWORD, &session), BUSI_UNAVAILABLE);
    cr_assert_eq(sign_up("b@c.de", PASSWORD, &session), BUSI_UNAVAILABLE);
    cr_assert_eq(sign_out(token_before), BUSI_UNAVAILABLE);
    cr_assert_eq(delete_user(1, &count), BUSI_UNAVAILABLE);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_password_hashes), hashes);
}

Test(sessions, without_redis_no_token_is_judged)
{
    run(remember_token);
    world.stores_away = true;
    run_with(never_a_verdict, (const char *const[]){"BUSI_REDIS=redis://127.0.0.1:1/0", NULL});
}

static void users_away(void)
{
    struct busi_principal who;
    struct busi_session_reply session;
    struct busi_str token = new_session("a@b.co", NULL);
    admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'auth-svc'");
    while (busi_pg_ready(world.auth->pg)) {
        cr_assert_eq(check(token, &who), BUSI_OK);
        busi_fiber_sleep(1);
    }
    cr_assert_eq(check(token, &who), BUSI_OK); /* needs no Postgres */
    cr_assert_eq(sign_in("a@b.co", PASSWORD, &session), BUSI_UNAVAILABLE);
}

Test(sessions, without_postgres_tokens_are_still_good)
{
    run(users_away);
}

/* Nothing has been compared with the journal: Redis may be an old one. */
static void nothing_to_compare_with(void)
{
    struct busi_principal who;
    for (int i = 0; i < 600 && !busi_redis_ready(world.auth->redis); i++)
        busi_fiber_sleep(5);
    cr_assert(busi_redis_ready(world.auth->redis) && !auth_ready(world.auth));
    busi_fiber_sleep(100);
    cr_assert_eq(check(token_before, &who), BUSI_UNAVAILABLE);
}

Test(sessions, without_the_journal_no_token_is_judged)
{
    run(remember_token);
    world.stores_away = true;
    run_with(nothing_to_compare_with,
             (const char *const[]){"BUSI_AUTH_DATABASE=host=127.0.0.1 port=1 user=nobody", NULL});
}
