#include "auth-svc_kit.h"
#include "base/text.h"
#include "sessions/record.h"

/* Sessions of the accesspass door. They are opened as a sign-in does it, but without its hash. */
static void set_up_ada(void)
{
    set_up();
    admin("INSERT INTO auth.users(email, email_key, username, username_key, meta, code, confirmed_at)"
          " VALUES ('Ada@example.com', 'ada@example.com', 'ada', 'ada', '{\"role\": \"admin\"}', 'abc123', "
          "now())");
}

TestSuite(opaque, .init = set_up_ada, .fini = tear_down, .timeout = 60);

static const struct auth_account ada = {.id = 1,
                                        .email = {"Ada@example.com", 15},
                                        .username = {"ada", 3},
                                        .code = {"abc123", 6},
                                        .meta = {"{\"role\": \"admin\"}", 17},
                                        .confirmed = true};

static enum busi_code open_at(int door, struct busi_session_reply *out)
{
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    world.call.origin.remote_addr = BUSI_STR("192.0.2.7");
    world.call.origin.user_agent = BUSI_STR("curl/7.88.1");
    enum busi_code code =
        auth_session_open(world.auth, &world.call, &ada, &world.auth->doors[door], NULL, out);
    out->access_token = keep(out->access_token);
    out->refresh_token = keep(out->refresh_token);
    out->session_id = keep(out->session_id);
    return code;
}

static struct busi_session_reply open_session(void)
{
    struct busi_session_reply session;
    cr_assert_eq(open_at(AUTH_DOOR_accesspass, &session), BUSI_OK);
    return session;
}

static void expect_refused(struct busi_str token, const char *message)
{
    struct busi_principal who;
    cr_assert_eq(check(token, &who), BUSI_UNAUTHENTICATED);
    cr_assert(said(message), "%.*s", BUSI_ARG(world.call.message));
    cr_assert_eq(who.user_id, 0);
}

static size_t keys_left(void)
{
    return redis("KEYS", "busi:[sun]:*", NULL, NULL).n_items;
}

static const char *key_of(struct busi_str session_id)
{
    return busi_arena_printf(&world.arena, "busi:s:{%.*s}", BUSI_ARG(session_id)).ptr;
}

static void both_tokens(void)
{
    struct busi_principal who;
    int64_t now_s = busi_wall_us() / 1000000;
    struct busi_session_reply session = open_session(), again;
    cr_assert(session.access_token.len == 48 && session.refresh_token.len == 48);
    cr_assert_eq(session.session_id.len, 11);
    cr_assert(session.user_id == 1 && session.access_lifetime == 300 && session.refresh_lifetime == 0);
    int64_t expires_s = session.expires_at / 1000000;
    cr_assert(expires_s >= now_s + 300 && expires_s <= now_s + 310);
    cr_assert_eq(check(session.access_token, &who), BUSI_OK);
    cr_assert(who.user_id == 1 && who.email_confirmed && who.expires_at == session.expires_at);
    cr_assert(busi_str_eq(who.session_id, session.session_id) &&
              busi_str_eq(who.door, BUSI_STR("accesspass")));
    cr_assert(busi_str_eq(who.email, ada.email) && busi_str_eq(who.username, ada.username) &&
              busi_str_eq(who.user_code, ada.code) && busi_str_eq(who.meta, ada.meta));
    expect_refused(session.refresh_token, "invalid_token");
    cr_assert_eq(refresh(session.access_token, &again), BUSI_UNAUTHENTICATED);
    cr_assert_eq(refresh(session.refresh_token, &again), BUSI_OK);
    cr_assert(busi_str_eq(again.refresh_token, session.refresh_token), "the refresh token stays");
    cr_assert(again.user_id == 1 && again.access_lifetime == 300 &&
              busi_str_eq(again.username, ada.username) && busi_str_eq(again.user_code, ada.code));
    struct busi_str newer = keep(again.access_token);
    cr_assert_eq(check(newer, &who), BUSI_OK);
    cr_assert_eq(check(session.access_token, &who), BUSI_OK);
    cr_assert_eq(refresh(BUSI_STR(""), &again), BUSI_UNAUTHENTICATED);
    cr_assert_null(again.access_token.ptr);
}

Test(opaque, access_and_refresh_tokens_are_good_for_what_they_are)
{
    run(both_tokens);
}

static void one_second(void)
{
    struct busi_principal who;
    struct busi_session_reply session = open_session(), again;
    cr_assert_eq(check(session.access_token, &who), BUSI_OK);
    busi_fiber_sleep(2100);
    expect_refused(session.access_token, "token_expired");
    cr_assert_eq(refresh(session.refresh_token, &again), BUSI_OK);
    struct busi_str newer = keep(again.access_token);
    cr_assert_eq(check(newer, &who), BUSI_OK);
    cr_assert_eq(sign_out(session.access_token), BUSI_OK); /* expired, but really ours */
    expect_refused(newer, "invalid_token");
    cr_assert_eq(refresh(session.refresh_token, &again), BUSI_UNAUTHENTICATED);
    cr_assert_eq(keys_left(), 0);
}

Test(opaque, an_expired_access_token_still_ends_its_session)
{
    run_with(one_second, (const char *const[]){"BUSI_ACCESSPASS_ACCESS_LIFETIME=1s", NULL});
}

static void sign_out_ends_one(void)
{
    struct busi_principal who;
    struct busi_session_reply session = open_session(), other = open_session(), again;
    struct busi_str forged = keep(session.access_token);
    ((char *)forged.ptr)[3] ^= 1;
    cr_assert_eq(sign_out(forged), BUSI_OK);
    cr_assert_eq(sign_out(session.refresh_token), BUSI_OK); /* not for this */
    cr_assert_eq(check(session.access_token, &who), BUSI_OK);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations"), 0);
    cr_assert_eq(sign_out(session.access_token), BUSI_OK);
    expect_refused(session.access_token, "invalid_token");
    cr_assert_eq(refresh(session.refresh_token, &again), BUSI_UNAUTHENTICATED);
    cr_assert_eq(check(other.access_token, &who), BUSI_OK);
    cr_assert_eq(refresh(other.refresh_token, &again), BUSI_OK);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(sign_out(session.access_token), BUSI_OK); /* again and again: one row is enough */
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations"), 1);
}

Test(opaque, sign_out_ends_one_session_and_is_journalled_once)
{
    run(sign_out_ends_one);
}

static void what_redis_holds(void)
{
    struct busi_session_reply session = open_session();
    const char *key = key_of(session.session_id);
    cr_assert_eq(redis("TTL", key, NULL, NULL).number, -1);
    cr_assert_eq(redis("TTL", "busi:n:{1}", NULL, NULL).number, -1);
    cr_assert_eq(keys_left(), 2);
    cr_assert_lt(redis("GET", key, NULL, NULL).text.len, 150);
    cr_assert_eq(sign_out(session.access_token), BUSI_OK);
    cr_assert_eq(keys_left(), 0);
}

Test(opaque, an_endless_session_is_two_keys_and_leaves_none)
{
    run(what_redis_holds);
}

/* Point 6 with a short clock: nothing of what expired is left, of any door, nor in the journal's table. */
static void all_expire(void)
{
    struct busi_session_reply session, again;
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(open_at(i % 2 ? AUTH_DOOR_accesspass : AUTH_DOOR_busi, &session), BUSI_OK);
        if (i % 5 == 4)
            cr_assert_eq(sign_out(session.access_token), BUSI_OK);
    }
    cr_assert_eq(session.refresh_lifetime, 2);
    cr_assert_gt(keys_left(), 0);
    busi_fiber_sleep(5200); /* their list lives twice as long */
    cr_assert_eq(keys_left(), 0);
    cr_assert_eq(refresh(session.refresh_token, &again), BUSI_UNAUTHENTICATED);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations WHERE expires_at > now()"), 0);
}

Test(opaque, sessions_with_an_end_leave_nothing_behind)
{
    run_with(all_expire, (const char *const[]){"BUSI_ACCESSPASS_REFRESH_LIFETIME=2s", "BUSI_JWT_LIFETIME=2s",
                                               "BUSI_ACCESSPASS_ACCESS_LIFETIME=300s", NULL});
}

static void access_within_session(void)
{
    struct busi_session_reply session = open_session(), again;
    int64_t now_s = busi_wall_us() / 1000000;
    cr_assert_leq(session.expires_at / 1000000, now_s + 3);
    cr_assert_eq(refresh(session.refresh_token, &again), BUSI_OK);
    cr_assert_eq(again.expires_at, session.expires_at);
}

Test(opaque, no_access_token_outlives_its_session)
{
    run_with(access_within_session, (const char *const[]){"BUSI_ACCESSPASS_REFRESH_LIFETIME=3s", NULL});
}

/* Nothing is looked up for what we never made. */
static void guesses(void)
{
    struct busi_session_reply again;
    struct busi_principal who;
    open_session();
    redis("CONFIG", "RESETSTAT", NULL, NULL);
    for (int i = 0; i < 2000; i++) {
        char uuid[37], text[48];
        busi_uuid4(uuid);
        busi_base64url_encode(text, uuid, 36);
        struct busi_str token = {text, i % 4 == 3 ? 47 : 48};
        cr_assert_eq(check(token, &who), BUSI_UNAUTHENTICATED);
        cr_assert_eq(refresh(token, &again), BUSI_UNAUTHENTICATED);
        cr_assert_eq(sign_out(token), BUSI_OK);
    }
    struct busi_str stats = redis("INFO", "commandstats", NULL, NULL).text;
    const char *gets = strstr(stats.ptr, "cmdstat_get:calls=");
    int64_t n = 0;
    if (gets)
        n = strtoll(gets + 18, NULL, 10);
    cr_assert_lt(n, 20, "%lld look-ups for 6,000 guesses",
                 (long long)n); /* the journal's mark is read, too */
}

Test(opaque, guesses_cost_no_look_up)
{
    run_with(guesses, (const char *const[]){"BUSI_LIMIT_REFRESH_NETWORK=off", NULL});
}

/* A refresh token of a session whose name another one has by now. */
static void names_used_again(void)
{
    struct busi_session_reply session = open_session(), again;
    struct auth_session other = {.id = session.session_id,
                                 .user_id = 2,
                                 .door = &world.auth->doors[AUTH_DOOR_accesspass],
                                 .created_s = busi_wall_us() / 1000000 + 400};
    struct busi_redis_reply reply;
    struct busi_str record = auth_record_write(&world.arena, &other, world.settings.token_hash_key);
    const struct busi_str set[] = {BUSI_STR("SET"), busi_str_of(key_of(session.session_id)), record};
    cr_assert_eq(busi_redis_run(world.auth->redis, &world.arena, 3, set, busi_now_ms() + 5000, &reply),
                 BUSI_OK);
    expect_refused(session.access_token, "invalid_token");
    cr_assert_eq(refresh(session.refresh_token, &again), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_out(session.refresh_token), BUSI_OK);
    cr_assert_eq(redis("EXISTS", key_of(session.session_id), NULL, NULL).number, 1);
}

Test(opaque, an_old_token_does_not_open_another_session_of_the_same_name)
{
    run(names_used_again);
}

/* What the release before stored is good until it expires. */
static void old_record(void)
{
    struct busi_session_reply session;
    struct busi_principal who;
    struct auth_token token;
    cr_assert_eq(open_at(AUTH_DOOR_busi, &session), BUSI_OK);
    cr_assert_eq(auth_token_read(world.auth, &world.arena, session.access_token, &token), AUTH_TOKEN_GOOD);
    char record[1 + 24 + 5 + 32] = {1};
    int64_t numbers[] = {1, token.created_s, token.expires_s};
    for (int i = 0; i < 24; i++)
        record[1 + i] = (char)((uint64_t)numbers[i / 8] >> (56 - 8 * (i % 8)));
    memcpy(record + 25, "\4busi", 5);
    const struct busi_str hashed[] = {BUSI_STR("busi session\0"), BUSI_STR("\x16"), token.session_id,
                                      BUSI_STR("\x24"),           token.id,         {record, 30}};
    busi_keyed_hash_parts((uint8_t *)record + 30, world.settings.token_hash_key, hashed, 6);
    struct busi_redis_reply reply;
    const struct busi_str set[] = {BUSI_STR("SET"), busi_str_of(key_of(token.session_id)), {record, 62}};
    cr_assert_eq(busi_redis_run(world.auth->redis, &world.arena, 3, set, busi_now_ms() + 5000, &reply),
                 BUSI_OK);
    cr_assert_eq(check(session.access_token, &who), BUSI_OK);
    cr_assert(who.user_id == 1 && !who.email.ptr && !who.email_confirmed);
}

Test(opaque, a_session_of_the_release_before_lives_on)
{
    run(old_record);
}

/* ---- listing and ending ---- */

static struct busi_list_sessions_reply list(int64_t user_id)
{
    struct busi_list_sessions_reply out = {0};
    begin(&world.call);
    cr_assert_eq(
        auth_list_sessions(world.auth, &world.call, &(struct busi_user_id_request){.user_id = user_id}, &out),
        BUSI_OK);
    return out;
}

static int64_t end_session(int64_t user_id, struct busi_str id)
{
    struct busi_count_reply out = {0};
    begin(&world.call);
    cr_assert_eq(auth_end_session(world.auth, &world.call,
                                  &(struct busi_session_id_request){.user_id = user_id, .session_id = id},
                                  &out),
                 BUSI_OK);
    return out.count;
}

static enum busi_code end_others(struct busi_str token, int64_t *count)
{
    struct busi_count_reply out = {0};
    begin(&world.call);
    enum busi_code code = auth_end_other_sessions(world.auth, &world.call,
                                                  &(struct busi_check_token_request){.token = token}, &out);
    *count = out.count;
    return code;
}

static void listing(void)
{
    struct busi_principal who;
    struct busi_session_reply jwt, first = open_session();
    busi_fiber_sleep(1100);
    cr_assert_eq(open_at(AUTH_DOOR_busi, &jwt), BUSI_OK);
    struct busi_list_sessions_reply found = list(1);
    cr_assert_eq(found.sessions.n, 2);
    const struct busi_session_info *new = &found.sessions.items[0], *old = &found.sessions.items[1];
    cr_assert(busi_str_eq(old->session_id, first.session_id) && busi_str_eq(new->session_id, jwt.session_id));
    cr_assert(busi_str_eq(old->door, BUSI_STR("accesspass")) && busi_str_eq(new->door, BUSI_STR("busi")));
    cr_assert(old->expires_at == 0 && new->expires_at == jwt.expires_at);
    cr_assert(busi_str_eq(old->remote_addr, BUSI_STR("192.0.2.7")) &&
              busi_str_eq(old->user_agent, BUSI_STR("curl/7.88.1")));
    cr_assert(old->created_at > 0 && old->created_at < new->created_at);
    cr_assert_eq(list(2).sessions.n, 0);
    cr_assert_eq(end_session(2, first.session_id), 0); /* another's */
    cr_assert_eq(end_session(1, BUSI_STR("no-such-one")), 0);
    cr_assert_eq(check(first.access_token, &who), BUSI_OK);
    cr_assert_eq(end_session(1, first.session_id), 1);
    cr_assert_eq(end_session(1, first.session_id), 0);
    expect_refused(first.access_token, "invalid_token");
    cr_assert_eq(end_session(1, jwt.session_id), 1);
    expect_refused(jwt.access_token, "invalid_token");
    cr_assert_eq(list(1).sessions.n, 0);
    cr_assert_eq(keys_left(), 0);
}

Test(opaque, sessions_are_listed_newest_first_and_ended_one_by_one)
{
    run(listing);
}

static void leftovers(void)
{
    struct busi_session_reply session = open_session();
    redis("ZADD", "busi:n:{1}", "1000", "never-stored");
    redis("ZADD", "busi:n:{1}", "2000", "unreadable00");
    redis("SET", "busi:s:{unreadable00}", "x", NULL);
    struct busi_list_sessions_reply found = list(1);
    cr_assert_eq(found.sessions.n, 1);
    cr_assert(busi_str_eq(found.sessions.items[0].session_id, session.session_id));
    cr_assert_eq(redis("ZCARD", "busi:n:{1}", NULL, NULL).number, 1);
    cr_assert_eq(keys_left(), 2);
}

Test(opaque, what_a_failed_opening_left_is_swept_by_listing)
{
    run(leftovers);
}

static void many_listed(void)
{
    struct busi_principal who;
    struct busi_session_reply session, last;
    int64_t count;
    for (int i = 0; i < 1100; i++)
        cr_assert_eq(open_at(i % 2 ? AUTH_DOOR_accesspass : AUTH_DOOR_busi, i ? &last : &session), BUSI_OK);
    cr_assert_eq(list(1).sessions.n, 1000);
    cr_assert_eq(end_others(last.access_token, &count), BUSI_OK);
    cr_assert_eq(count, 1099);
    cr_assert_eq(list(1).sessions.n, 1);
    expect_refused(session.access_token, "invalid_token");
    cr_assert_eq(check(last.access_token, &who), BUSI_OK);
    cr_assert_eq(end_others(last.access_token, &count), BUSI_OK);
    cr_assert_eq(count, 0);
    cr_assert_eq(end_others(session.access_token, &count), BUSI_UNAUTHENTICATED);
}

Test(opaque, all_others_end_however_many)
{
    run(many_listed);
}

/* The journal tells rows again: those opened after the end of all others must not hear of it. */
static void younger_ones_live(void)
{
    struct busi_principal who;
    struct busi_session_reply mine = open_session(), other = open_session(), younger;
    int64_t count;
    cr_assert_eq(end_others(mine.access_token, &count), BUSI_OK);
    struct auth_account now = ada;
    now.epoch = admin_int("SELECT epoch FROM auth.users");
    cr_assert_eq(now.epoch, 1);
    cr_assert_eq(open_at(AUTH_DOOR_accesspass, &younger), BUSI_UNAUTHENTICATED); /* it began before */
    begin(&world.call);
    cr_assert_eq(auth_session_open(world.auth, &world.call, &now, &world.auth->doors[AUTH_DOOR_accesspass],
                                   NULL, &younger),
                 BUSI_OK);
    struct busi_str token = keep(younger.access_token);
    redis("SET", "busi:journal", "0", NULL);
    redis("CLIENT", "KILL", "SKIPME", "no");
    enum busi_code code = BUSI_UNAVAILABLE;
    for (int64_t until_ms = busi_now_ms() + 10000; code == BUSI_UNAVAILABLE && busi_now_ms() < until_ms;
         busi_fiber_sleep(1))
        code = check(token, &who);
    cr_assert_eq(code, BUSI_OK);
    cr_assert_eq(check(mine.access_token, &who), BUSI_OK);
    expect_refused(other.access_token, "invalid_token");
}

Test(opaque, the_journal_told_again_spares_the_younger_and_the_spared)
{
    run(younger_ones_live);
}

/* ---- the cap ---- */

static void the_oldest_ends(void)
{
    struct busi_principal who;
    struct busi_session_reply sessions[5];
    for (int i = 0; i < 5; i++) {
        sessions[i] = open_session();
        busi_fiber_sleep(1050); /* order is by second */
    }
    expect_refused(sessions[0].access_token, "invalid_token");
    expect_refused(sessions[1].access_token, "invalid_token");
    for (int i = 2; i < 5; i++)
        cr_assert_eq(check(sessions[i].access_token, &who), BUSI_OK);
    cr_assert_eq(list(1).sessions.n, 3);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations"), 2); /* for good */
}

Test(opaque, past_the_most_the_oldest_ends)
{
    run_with(the_oldest_ends, (const char *const[]){"BUSI_SESSIONS_MOST=3", NULL});
}

static void the_most_was_lowered(void)
{
    struct busi_principal who;
    struct busi_session_reply first, last;
    for (int i = 0; i < 200; i++)
        cr_assert_eq(open_at(i % 2 ? AUTH_DOOR_accesspass : AUTH_DOOR_busi, i ? &last : &first), BUSI_OK);
    world.settings.sessions_most = 3;
    last = open_session();
    cr_assert_eq(check(last.access_token, &who), BUSI_OK);
    expect_refused(first.access_token, "invalid_token");
    cr_assert_eq(list(1).sessions.n, 3);
    cr_assert_eq(admin_int("SELECT count(DISTINCT session_id) FROM auth.revocations WHERE user_id = 1"), 198);
    cr_assert_eq(keys_left(), 4);
}

Test(opaque, a_lower_most_ends_all_that_are_too_many_at_once)
{
    run(the_most_was_lowered);
}

enum { RACERS = 40 };
static struct busi_str raced[RACERS];
static int racing;

static void open_in_a_race(void *arg)
{
    size_t i = (size_t)(intptr_t)arg;
    struct busi_session_reply out = {0};
    struct auth *worker = i % 3 ? world.auth : world.other;
    struct busi_call call;
    busi_call_init(&call, 16 << 20);
    call.until_ms = busi_now_ms() + 20000;
    enum busi_code code = auth_session_open(worker, &call, &ada, &worker->doors[i % 2], NULL, &out);
    cr_assert_eq(code, BUSI_OK, "%s: %.*s", busi_code_name((int)code), BUSI_ARG(call.message));
    raced[i] = keep(out.access_token);
    busi_call_fini(&call);
    racing--;
}

static int64_t living(void)
{
    struct busi_principal who;
    int64_t n = 0;
    for (int i = 0; i < RACERS; i++)
        n += raced[i].ptr && check(raced[i], &who) == BUSI_OK;
    return n;
}

static void never_above(void)
{
    join_other();
    racing = RACERS;
    for (int i = 0; i < RACERS; i++)
        cr_assert(busi_fiber_start(world.fibers, open_in_a_race, (void *)(intptr_t)i));
    while (racing > 0) {
        cr_assert_leq(living(), 3);
        busi_fiber_sleep(1);
    }
    cr_assert_eq(living(), 3);
    cr_assert_eq(
        redis("ZCARD", "busi:u:{1}", NULL, NULL).number + redis("ZCARD", "busi:n:{1}", NULL, NULL).number, 3);
    part_with_other();
}

Test(opaque, never_more_than_the_most_when_many_begin_at_once)
{
    run_with(never_above, (const char *const[]){"BUSI_SESSIONS_MOST=3", NULL});
}
