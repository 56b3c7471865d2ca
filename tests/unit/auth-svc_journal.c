#include "auth-svc_kit.h"
#include "core/session_store.h"

/* What was revoked stays revoked, whatever happens to Redis. */
TestSuite(journal, .init = set_up, .fini = tear_down, .timeout = 60);

static const char *key_of(struct busi_str token)
{
    struct auth_token read;
    cr_assert_eq(auth_token_read(world.auth, &world.arena, token, &read), AUTH_TOKEN_GOOD);
    return busi_arena_printf(&world.arena, "busi:s:{%.*s}", BUSI_ARG(read.session_id)).ptr;
}

/* Puts a session back as an old snapshot would, and lets the service meet that Redis anew. */
static void restore(const char *key, struct busi_str record)
{
    struct busi_redis_reply reply;
    const struct busi_str set[] = {BUSI_STR("SET"), busi_str_of(key), record};
    cr_assert_eq(busi_redis_run(world.auth->redis, &world.arena, 3, set, busi_now_ms() + 5000, &reply),
                 BUSI_OK);
}

static void reconnect(void)
{
    redis("CLIENT", "KILL", "SKIPME", "no");
}

/* The first verdict after a restart; it must not come before the journal was applied. */
static enum busi_code first_verdict(struct busi_str token)
{
    struct busi_principal who;
    enum busi_code code = BUSI_UNAVAILABLE;
    for (int64_t until_ms = busi_now_ms() + 10000; code == BUSI_UNAVAILABLE && busi_now_ms() < until_ms;) {
        code = check(token, &who);
        busi_fiber_sleep(1);
    }
    return code;
}

static void sign_out_survives(void)
{
    struct busi_principal who;
    struct busi_str token = new_session("a@b.co", NULL), other = new_session("a@b.co", NULL);
    const char *key = key_of(token);
    struct busi_str record = redis("GET", key, NULL, NULL).text;
    cr_assert_eq(sign_out(token), BUSI_OK);
    restore(key, record);
    cr_assert_eq(check(token, &who), BUSI_OK); /* the snapshot did revive it */
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_UNAUTHENTICATED);
    cr_assert_eq(first_verdict(other), BUSI_OK);
}

Test(journal, a_sign_out_survives_a_redis_from_an_old_snapshot)
{
    run(sign_out_survives);
}

static void clocks_do_not_count(void)
{
    struct busi_str tokens[] = {new_session("a@b.co", NULL), new_session("a@b.co", NULL)};
    const char *keys[] = {key_of(tokens[0]), key_of(tokens[1])};
    struct busi_str records[] = {redis("GET", keys[0], NULL, NULL).text,
                                 redis("GET", keys[1], NULL, NULL).text};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(sign_out(tokens[i]), BUSI_OK);
        restore(keys[i], records[i]);
    }
    admin("UPDATE auth.revocations SET created_at = now() + interval '1 hour' WHERE id % 2 = 0");
    admin("UPDATE auth.revocations SET expires_at = now() - interval '1 hour' WHERE id % 2 = 1");
    reconnect();
    cr_assert_eq(first_verdict(tokens[0]), BUSI_UNAUTHENTICATED);
    cr_assert_eq(first_verdict(tokens[1]), BUSI_UNAUTHENTICATED);
}

/* Postgres' clock was an hour ahead when the one was written, and is when the other is read. */
Test(journal, it_survives_it_whatever_postgres_says_of_the_time)
{
    run(clocks_do_not_count);
}

static void deletion_survives(void)
{
    int64_t id, count;
    struct busi_str token = new_session("a@b.co", &id);
    const char *key = key_of(token);
    struct busi_str record = redis("GET", key, NULL, NULL).text;
    struct busi_jwt_claims claims;
    cr_assert_eq(busi_jwt_verify(&world.arena, &world.auth->doors[0].jwt.ring.keys[0], token,
                                 busi_wall_us() / 1000000, &claims),
                 BUSI_JWT_OK);
    cr_assert_eq(delete_user(id, &count), BUSI_OK);
    restore(key, record);
    redis("ZADD", "busi:u:{1}", "9999999999", busi_arena_dup(&world.arena, claims.session_id).ptr);
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_UNAUTHENTICATED);
}

Test(journal, a_deletion_survives_it_too)
{
    run(deletion_survives);
}

static void many(void)
{
    struct busi_str token = new_session("a@b.co", NULL);
    const char *key = key_of(token);
    struct busi_str record = redis("GET", key, NULL, NULL).text;
    admin("INSERT INTO auth.revocations(user_id, session_id, expires_at)"
          " SELECT 9, 'gone' || i, now() + interval '1 day' FROM generate_series(1, 1200) AS i");
    cr_assert_eq(sign_out(token), BUSI_OK);
    restore(key, record);
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_UNAUTHENTICATED);
}

Test(journal, more_than_a_batch)
{
    run(many);
}

static bool becomes(const char *key, int64_t expected, int64_t within_ms)
{
    int64_t number = -1;
    for (int64_t until_ms = busi_now_ms() + within_ms; busi_now_ms() < until_ms; busi_fiber_sleep(20)) {
        struct busi_redis_reply reply = redis("GET", key, NULL, NULL);
        if (reply.type == BUSI_REDIS_TEXT && busi_str_int(reply.text, &number) && number == expected)
            return true;
    }
    return false;
}

static void the_mark(void)
{
    struct busi_str token = new_session("a@b.co", NULL);
    cr_assert_eq(sign_out(token), BUSI_OK);
    int64_t id = admin_int("SELECT id FROM auth.revocations");
    cr_assert_not(becomes("busi:journal", id, 1000)); /* not before it is certain that none is missing */
    cr_assert(becomes("busi:journal", id, 15000));
    /* What is behind the mark is not told again. */
    const char *key = key_of(token);
    restore(key, BUSI_STR("revived"));
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_UNAUTHENTICATED);
    cr_assert_eq(redis("EXISTS", key, NULL, NULL).number, 1);
    /* A mark that is none: everything is. */
    redis("SET", "busi:journal", "x", NULL);
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_UNAUTHENTICATED);
    cr_assert_eq(redis("EXISTS", key, NULL, NULL).number, 0);
    /* One past the end is of another journal: likewise. */
    restore(key, BUSI_STR("revived"));
    redis("SET", "busi:journal", "1000000", NULL);
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_UNAUTHENTICATED);
    cr_assert_eq(redis("EXISTS", key, NULL, NULL).number, 0);
}

Test(journal, the_mark_follows_what_is_settled)
{
    run(the_mark);
}

static int64_t mark(void)
{
    int64_t number = 0;
    struct busi_redis_reply reply;
    const struct busi_str get[] = {BUSI_STR("GET"), BUSI_STR("busi:journal")};
    /* between two connections there is nobody to ask */
    bool known =
        busi_redis_run(world.auth->redis, &world.arena, 2, get, busi_now_ms() + 5000, &reply) == BUSI_OK &&
        reply.type == BUSI_REDIS_TEXT && busi_str_int(reply.text, &number);
    return known ? number : 0;
}

/* A Redis that comes and goes is told a long journal all the same: what it has heard is not begun again. */
static void bit_by_bit(void)
{
    struct busi_str token = new_session("a@b.co", NULL);
    admin("INSERT INTO auth.revocations(user_id, session_id, expires_at, created_at)"
          " SELECT 9, 'gone' || i, now() + interval '1 day', now() - interval '1 minute'"
          " FROM generate_series(1, 3000) AS i");
    redis("SET", "busi:journal", "0", NULL);
    reconnect();
    for (int64_t until_ms = busi_now_ms() + 10000; mark() < 500 && busi_now_ms() < until_ms;)
        busi_fiber_sleep(1);
    int64_t heard = mark();
    cr_assert_geq(heard, 500);
    cr_assert_not(auth_store_knows(world.auth), "it is not told all yet: %lld", (long long)heard);
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_OK);
    cr_assert_geq(mark(), heard);
}

Test(journal, a_long_one_is_told_bit_by_bit)
{
    run(bit_by_bit);
}

static void half_done(void)
{
    struct busi_principal who;
    struct busi_str token = new_session("a@b.co", NULL);
    struct auth_token read;
    cr_assert_eq(auth_token_read(world.auth, &world.arena, token, &read), AUTH_TOKEN_GOOD);
    admin(busi_arena_printf(&world.arena,
                            "INSERT INTO auth.revocations(user_id, session_id, expires_at, created_at)"
                            " VALUES (1, '%.*s', now() + interval '1 day', now() - interval '1 minute')",
                            BUSI_ARG(read.session_id))
              .ptr);
    enum busi_code code = BUSI_OK;
    for (int64_t until_ms = busi_now_ms() + 10000; code == BUSI_OK && busi_now_ms() < until_ms;
         busi_fiber_sleep(20))
        code = check(token, &who);
    cr_assert_eq(code, BUSI_UNAUTHENTICATED);
}

Test(journal, what_redis_was_not_told_of_is_told_later)
{
    run(half_done);
}

/* Redis is emptied while a revocation is on its way: committed, but by nobody told. */
static void in_flight(void)
{
    struct busi_str token = new_session("a@b.co", NULL);
    const char *key = key_of(token);
    struct busi_str record = redis("GET", key, NULL, NULL).text;
    struct auth_token read;
    cr_assert_eq(auth_token_read(world.auth, &world.arena, token, &read), AUTH_TOKEN_GOOD);
    admin(busi_arena_printf(&world.arena,
                            "INSERT INTO auth.revocations(user_id, session_id, expires_at)"
                            " VALUES (1, '%.*s', now() + interval '1 day')",
                            BUSI_ARG(read.session_id))
              .ptr);
    redis("FLUSHDB", NULL, NULL, NULL);
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_UNAUTHENTICATED);
    redis("SET", "other", "key", NULL); /* the next time it is not empty */
    restore(key, record);
    reconnect();
    cr_assert_eq(first_verdict(token), BUSI_UNAUTHENTICATED);
}

Test(journal, an_empty_redis_is_told_what_is_not_settled)
{
    run(in_flight);
}

static void purged(void)
{
    for (int i = 0; i < 500 && admin_int("SELECT count(*) FROM auth.revocations") > 1; i++)
        busi_fiber_sleep(20);
    cr_assert_eq(admin_int("SELECT min(user_id) FROM auth.revocations"), 2);
}

Test(journal, rows_go_when_their_sessions_would_have_expired)
{
    admin(
        "INSERT INTO auth.revocations(user_id, session_id, expires_at) VALUES (1, 'x', now() - interval '25 "
        "hours'),"
        " (2, 'y', now() + interval '1 hour')");
    run(purged);
}
