#include "auth-svc_roles_kit.h"

/* Roles of sessions: as they are now, at every replica, whatever happens to Redis. */
TestSuite(roles, .init = set_up, .fini = tear_down, .timeout = 60);

#define A "a@b.co"
#define B "b@b.co"

/* ---- in force at once ---- */

static void come_and_go(void)
{
    struct busi_session_reply session;
    struct busi_str token = new_session(A, NULL), second = new_session(A, NULL), other = new_session(B, NULL);
    join_other();
    expect_roles(token, "");
    grant(A, "Guest");
    grant(A, "admin");
    expect_roles(token, "admin,guest");
    expect_roles(second, "admin,guest");
    expect_roles(other, "");
    cr_assert_eq(sign_in(A, PASSWORD, &session), BUSI_OK);
    cr_assert(busi_str_eq(session.roles, BUSI_STR("admin,guest")));
    revoke(A, "ADMIN");
    expect_roles(token, "guest");
    expect_roles(second, "guest");
    revoke(A, "guest");
    expect_roles(token, "");
    part_with_other();
}

Test(roles, are_in_force_at_every_replica_at_once)
{
    run(come_and_go);
}

static void by_hand(void)
{
    struct busi_str token = new_session(A, NULL);
    admin("INSERT INTO auth.users_roles SELECT u.id, r.id FROM auth.users AS u, auth.roles AS r"
          " WHERE r.name IN ('admin', 'guest')");
    struct busi_principal who = {0};
    for (int64_t until_ms = busi_now_ms() + 20000; busi_now_ms() < until_ms; busi_fiber_sleep(50))
        if (check(token, &who) == BUSI_OK && busi_str_eq(who.roles, BUSI_STR("admin,guest")))
            break;
    expect_roles(token, "admin,guest");
    admin("DELETE FROM auth.roles WHERE name = 'guest'");
    for (int64_t until_ms = busi_now_ms() + 20000; busi_now_ms() < until_ms; busi_fiber_sleep(50))
        if (check(token, &who) == BUSI_OK && busi_str_eq(who.roles, BUSI_STR("admin")))
            break;
    expect_roles(token, "admin");
}

Test(roles, by_sql_count_within_seconds)
{
    run(by_hand);
}

static void at_their_doors(void)
{
    struct busi_session_reply session;
    int64_t n;
    cr_assert_eq(sign_up(A, PASSWORD, &session), BUSI_OK);
    cr_assert_eq(change(auth_grant_role, A, "wizard", &n), BUSI_NOT_FOUND);
    cr_assert(said("no such role"));
    cr_assert_eq(change(auth_grant_role, A, "a b", &n), BUSI_NOT_FOUND);
    cr_assert_eq(change(auth_grant_role, "nobody@b.co", "admin", &n), BUSI_NOT_FOUND);
    cr_assert(said("no such user"));
    cr_assert_eq(change(auth_grant_role, "nobody", "admin", &n), BUSI_NOT_FOUND);
    grant(A, "admin");
    cr_assert_eq(change(auth_grant_role, A, "ADMIN", &n), BUSI_ALREADY_EXISTS);
    cr_assert_eq(n, 0);
    cr_assert_eq(change(auth_revoke_role, A, "guest", &n), BUSI_OK);
    cr_assert_eq(n, 0);
    cr_assert_eq(change(auth_revoke_role, A, "wizard", &n), BUSI_OK);
    cr_assert_eq(change(auth_revoke_role, "nobody@b.co", "admin", &n), BUSI_OK);
    cr_assert_eq(n, 0);
}

Test(roles, unknown_ones_and_repetitions)
{
    run(at_their_doors);
}

static void too_many(void)
{
    int64_t n;
    struct busi_str token = new_session(A, NULL);
    admin("INSERT INTO auth.roles(name) SELECT repeat('r', 57) || i FROM generate_series(1000, 1039) AS i");
    for (int i = 0; i < 33; i++)
        grant(A, busi_arena_printf(&world.arena, "%.57s%d",
                                   "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", 1000 + i)
                     .ptr);
    struct busi_principal who;
    cr_assert_eq(check(token, &who), BUSI_OK);
    cr_assert_eq(who.roles.len, 33 * 62 - 1);
    cr_assert_eq(
        change(auth_grant_role, A, "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr1039", &n),
        BUSI_FAILED_PRECONDITION);
    cr_assert(said("too many roles"));
    cr_assert_eq(check(token, &who), BUSI_OK);
    cr_assert_eq(who.roles.len, 33 * 62 - 1);
}

Test(roles, as_many_as_a_message_holds)
{
    run(too_many);
}

/* ---- whatever happens to Redis ---- */

static void old_snapshot(void)
{
    struct busi_str token = new_session(A, NULL);
    struct auth_token read;
    cr_assert_eq(auth_token_read(world.auth, &world.arena, token, &read), AUTH_TOKEN_GOOD);
    const char *key = busi_arena_printf(&world.arena, "busi:s:{%.*s}", BUSI_ARG(read.session_id)).ptr;
    grant(A, "admin");
    struct busi_str record = redis("GET", key, NULL, NULL).text;
    revoke(A, "admin");
    struct busi_redis_reply reply;
    const struct busi_str set[] = {BUSI_STR("SET"), busi_str_of(key), record, BUSI_STR("KEEPTTL")};
    cr_assert_eq(busi_redis_run(world.auth->redis, &world.arena, 4, set, busi_now_ms() + 5000, &reply),
                 BUSI_OK);
    expect_roles(token, "admin"); /* the snapshot did bring it back */
    redis("CLIENT", "KILL", "SKIPME", "no");
    struct busi_principal who;
    enum busi_code code;
    for (int64_t until_ms = busi_now_ms() + 10000;
         (code = check(token, &who)) == BUSI_UNAVAILABLE && busi_now_ms() < until_ms;)
        busi_fiber_sleep(1);
    cr_assert_eq(code, BUSI_OK);
    cr_assert_eq(who.roles.len, 0, "%.*s", BUSI_ARG(who.roles));
}

Test(roles, one_taken_away_stays_away_in_a_redis_from_an_old_snapshot)
{
    run(old_snapshot);
}

static void late_word(void)
{
    int64_t id;
    struct busi_str token = new_session(A, &id);
    grant(A, "admin");
    revoke(A, "admin");
    begin(&world.call);
    cr_assert_eq(auth_session_tell_roles(world.auth, &world.call, id, BUSI_STR("admin"), 1), BUSI_OK);
    expect_roles(token, "");
}

Test(roles, an_older_word_changes_nothing)
{
    run(late_word);
}

/* Who changed the roles died between Postgres and Redis, and its row is behind the mark of nobody: whoever
 * asks again finishes it. */
static void asked_again(void)
{
    int64_t n;
    struct busi_str token = new_session(A, NULL);
    grant(A, "admin");
    admin("ALTER TABLE auth.revocations DISABLE TRIGGER ALL; DELETE FROM auth.users_roles;"
          " DELETE FROM auth.revocations");
    expect_roles(token, "admin");
    cr_assert_eq(change(auth_revoke_role, A, "admin", &n), BUSI_OK);
    cr_assert_eq(n, 0);
    expect_roles(token, "");
}

Test(roles, whoever_asks_again_finishes_it)
{
    run(asked_again);
}

/* ---- sessions that begin meanwhile ---- */

static struct {
    struct busi_call call;
    struct busi_session_reply session;
    enum busi_code code;
    bool done;
} entry;

static void enter(void *arg)
{
    (void)arg;
    busi_call_init(&entry.call, 1 << 20);
    entry.call.until_ms = busi_now_ms() + 10000;
    entry.code =
        auth_sign_in(world.auth, &entry.call,
                     &(struct busi_sign_in_request){
                         .door = BUSI_STR("busi"), .login = BUSI_STR(A), .password = BUSI_STR(PASSWORD)},
                     &entry.session);
    entry.done = true;
}

static void race(void)
{
    new_session(A, NULL);
    for (int i = 0; i < 60; i++) {
        grant(A, "admin");
        entry.done = false;
        entry.session = (struct busi_session_reply){0};
        cr_assert(busi_fiber_start(world.fibers, enter, NULL));
        busi_fiber_sleep(i / 3);
        revoke(A, "admin");
        while (!entry.done)
            busi_fiber_sleep(1);
        cr_assert_eq(entry.code, BUSI_OK);
        expect_roles(entry.session.access_token, "");
        busi_call_fini(&entry.call);
    }
}

Test(roles, a_session_that_begins_meanwhile_does_not_keep_one)
{
    run(race);
}
