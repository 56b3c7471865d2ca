#include "auth-svc_kit.h"
#include "sessions/index.h"
#include "sessions/record.h"
#include <time.h>

/* Sessions while the clock of Redis is another than ours, and records that Redis keeps for too long or drops
 * too soon. Ours is what can be set here (CMakeLists.txt, --wrap): that of Redis and Postgres is as far off
 * then. */
static int64_t set_on_s, booted_before_s;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = __real_clock_gettime(clock, now);
    if (!failed && clock == CLOCK_REALTIME)
        now->tv_sec += set_on_s;
    if (!failed && clock == CLOCK_BOOTTIME)
        now->tv_sec += booted_before_s;
    return failed;
}

static void set_up_ada(void)
{
    set_up();
    admin("INSERT INTO auth.users(email, email_key, confirmed_at)"
          " VALUES ('ada@example.com', 'ada@example.com', now())");
}

TestSuite(clocks, .init = set_up_ada, .fini = tear_down, .timeout = 60);

static struct auth_account ada(void)
{
    return (struct auth_account){.id = 1,
                                 .email = BUSI_STR("ada@example.com"),
                                 .confirmed = true,
                                 .epoch = admin_int("SELECT epoch FROM auth.users")};
}

static enum busi_code open_for(int door, int64_t lifetime_s, struct busi_session_reply *out)
{
    const struct auth_account account = ada();
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    enum busi_code code = auth_session_open_for(world.auth, &world.call, &account, &world.auth->doors[door],
                                                NULL, lifetime_s, out);
    out->access_token = keep(out->access_token);
    out->refresh_token = keep(out->refresh_token);
    out->session_id = keep(out->session_id);
    return code;
}

static bool is_ready_by(bool wanted)
{
    for (int64_t until_ms = busi_now_ms() + 10000; busi_now_ms() < until_ms; busi_fiber_sleep(5))
        if (auth_ready(world.auth) == wanted)
            return true;
    return false;
}

static size_t n_listed(void)
{
    struct busi_list_sessions_reply out = {0};
    begin(&world.call);
    cr_assert_eq(
        auth_list_sessions(world.auth, &world.call, &(struct busi_user_id_request){.user_id = 1}, &out),
        BUSI_OK);
    return out.sessions.n;
}

static const char *record_of(struct busi_str session_id)
{
    return busi_arena_printf(&world.arena, "busi:s:{%.*s}", BUSI_ARG(session_id)).ptr;
}

/* What is done in a moment is done before it is looked at the clocks again: that would end it, rightly. */
static bool before_anybody_looks(bool (*attempt)(void), int64_t set_on)
{
    for (int i = 0; i < 20; i++) {
        cr_assert(is_ready_by(true));
        set_on_s = set_on;
        bool done = attempt();
        set_on_s = 0;
        if (done)
            return true;
    }
    return false;
}

/* ---- another clock ---- */

static int door;
static int64_t lifetime_s;

static bool signs_in_and_out(void)
{
    struct busi_session_reply session, again;
    struct busi_principal who;
    struct busi_count_reply count = {0};
    enum busi_code code = open_for(door, lifetime_s, &session);
    if (code == BUSI_UNAVAILABLE)
        return false;
    cr_assert_eq(code, BUSI_OK, "%s: %.*s", busi_code_name((int)code), BUSI_ARG(world.call.message));
    code = check(session.access_token, &who);
    if (code == BUSI_OK && session.refresh_token.ptr)
        code = refresh(session.refresh_token, &again);
    if (code == BUSI_UNAVAILABLE)
        return false;
    cr_assert_eq(code, BUSI_OK, "door %d, %lld s, %lld s ahead: %.*s", door, (long long)lifetime_s,
                 (long long)set_on_s, BUSI_ARG(world.call.message));
    begin(&world.call);
    code = auth_end_sessions(world.auth, &world.call, &(struct busi_user_id_request){.user_id = 1}, &count);
    cr_assert(code == BUSI_OK && count.count >= 1, "it is among the user's, whatever the clock");
    code = check(session.access_token, &who);
    cr_assert(code == BUSI_UNAUTHENTICATED || code == BUSI_UNAVAILABLE);
    return code == BUSI_UNAUTHENTICATED;
}

static void any_clock(void)
{
    static const int doors[] = {AUTH_DOOR_busi, AUTH_DOOR_accesspass};
    static const int64_t lifetimes_s[] = {0, 600}, clocks_s[] = {-3600, 3600};
    for (size_t i = 0; i < 8; i++) {
        door = doors[i & 1];
        lifetime_s = lifetimes_s[i >> 1 & 1];
        cr_assert(before_anybody_looks(signs_in_and_out, clocks_s[i >> 2]));
    }
}

Test(clocks, a_sign_in_is_good_whatever_the_clock_of_redis)
{
    run(any_clock);
}

static void looked_at(void)
{
    static const int64_t clocks_s[] = {-3600, 3600, -60, 60};
    for (size_t i = 0; i < sizeof clocks_s / sizeof *clocks_s; i++) {
        set_on_s = clocks_s[i];
        bool noticed = is_ready_by(false);
        busi_fiber_sleep(1500); /* and it stays so */
        noticed = noticed && !auth_ready(world.auth);
        set_on_s = 0;
        cr_assert(noticed, "%lld", (long long)clocks_s[i]);
        cr_assert(is_ready_by(true));
    }
}

Test(clocks, nothing_is_judged_by_a_clock_of_ours_that_was_set)
{
    run(looked_at);
}

/* ---- whose clock is wrong ---- */

/* As if Postgres' clock were another: a function that is found before its own. */
static void set_postgres(const char *on)
{
    admin(busi_arena_printf(&world.arena,
                            "CREATE OR REPLACE FUNCTION auth.clock_timestamp() RETURNS timestamptz VOLATILE"
                            " LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() + interval '%s' $$",
                            on)
              .ptr);
}

static bool stays_ready(void)
{
    for (int64_t until_ms = busi_now_ms() + 2500; busi_now_ms() < until_ms; busi_fiber_sleep(5))
        if (!auth_ready(world.auth))
            return false;
    return true;
}

/* An hour between Redis' clock and ours: who was set, by whom it can be told. */
static void an_hour(void)
{
    struct busi_session_reply session;
    struct busi_principal who;
    set_on_s = booted_before_s = 3600; /* an hour that Redis did not see, but we did */
    set_postgres("1 hour");
    cr_assert(stays_ready(), "it is Redis'");
    cr_assert_eq(open_for(AUTH_DOOR_accesspass, 600, &session), BUSI_OK);
    cr_assert_eq(check(session.access_token, &who), BUSI_OK);
    set_postgres("0");
    cr_assert(is_ready_by(false), "it may be ours: Postgres' agrees with Redis'");
    set_postgres("1 hour");
    cr_assert(is_ready_by(true));
    booted_before_s = 0;
    cr_assert(is_ready_by(false), "ours was set, and Postgres' with it");
    set_on_s = 0;
    set_postgres("0");
    cr_assert(is_ready_by(true));
}

Test(clocks, a_wrong_clock_of_redis_is_borne_if_ours_is_right)
{
    set_postgres("0");
    run_with(an_hour,
             (const char *const[]){busi_arena_printf(&world.arena,
                                                     "BUSI_AUTH_DATABASE=%s options='-c role=busi_auth"
                                                     " -c search_path=auth,pg_catalog'",
                                                     must_have("BUSI_TEST_POSTGRES"))
                                       .ptr,
                                   NULL});
}

/* ---- kept for too long ---- */

static struct busi_session_reply kept;

static bool is_over(void)
{
    struct busi_session_reply again;
    enum busi_code code = refresh(kept.refresh_token, &again);
    if (code == BUSI_UNAVAILABLE)
        return false;
    cr_assert_eq(code, BUSI_UNAUTHENTICATED);
    cr_assert(said("invalid_token"));
    cr_assert_eq(n_listed(), 0);
    return true;
}

static void past_its_end(void)
{
    struct busi_session_reply again;
    cr_assert_eq(open_for(AUTH_DOOR_accesspass, 600, &kept), BUSI_OK);
    int64_t left_s = redis("TTL", record_of(kept.session_id), NULL, NULL).number;
    cr_assert(left_s > 590 && left_s <= 600);
    redis("PERSIST", record_of(kept.session_id), NULL, NULL); /* its clock was set back */
    cr_assert_eq(refresh(kept.refresh_token, &again), BUSI_OK);
    cr_assert_eq(n_listed(), 1);
    cr_assert(before_anybody_looks(is_over, 601));
}

Test(clocks, a_session_ends_when_it_says_though_redis_keeps_it)
{
    run(past_its_end);
}

/* ---- dropped too soon ---- */

static bool meddling;

static void wipe(void *arg)
{
    while (meddling)
        redis("FLUSHDB", NULL, NULL, NULL);
    *(bool *)arg = true;
}

static int64_t dropped(void)
{
    return busi_metric_get(BUSI_METRIC_sessions_dropped);
}

static void gone_meanwhile(void)
{
    struct busi_session_reply session;
    struct busi_principal who;
    bool over = false;
    const int64_t before = dropped();
    int refused = 0;
    meddling = true;
    cr_assert(busi_fiber_start(world.fibers, wipe, &over));
    for (int i = 0; i < 100 && refused == 0; i++)
        refused += open_for(AUTH_DOOR_accesspass, 0, &session) == BUSI_UNAVAILABLE;
    meddling = false;
    while (!over)
        busi_fiber_sleep(1);
    cr_assert_eq(refused, 1);
    cr_assert_gt(world.call.retry_after_ms, 0);
    cr_assert_gt(dropped(), before);
    cr_assert_eq(redis("KEYS", "busi:[sun]:*", NULL, NULL).n_items, 0);
    cr_assert_eq(open_for(AUTH_DOOR_accesspass, 0, &session), BUSI_OK);
    cr_assert_eq(check(session.access_token, &who), BUSI_OK);
}

/* As of a Redis whose clock is set on by more than it was to stand by. */
Test(clocks, what_was_not_kept_is_not_handed_out)
{
    run(gone_meanwhile);
}

static void end_all(void *arg)
{
    struct busi_call call = {0};
    while (meddling) {
        struct busi_count_reply count;
        begin(&call);
        cr_assert_eq(
            auth_end_sessions(world.auth, &call, &(struct busi_user_id_request){.user_id = 1}, &count),
            BUSI_OK);
    }
    busi_call_fini(&call);
    *(bool *)arg = true;
}

static void ended_meanwhile(void)
{
    struct busi_session_reply session;
    bool over = false;
    const int64_t before = dropped();
    int refused = 0;
    meddling = true;
    cr_assert(busi_fiber_start(world.fibers, end_all, &over));
    for (int64_t i = 0, until_ms = busi_now_ms() + 20000; i < 300 || (!refused && busi_now_ms() < until_ms);
         i++) {
        enum busi_code code = open_for(AUTH_DOOR_accesspass, 0, &session);
        cr_assert(code == BUSI_OK || code == BUSI_UNAUTHENTICATED, "%s", busi_code_name((int)code));
        refused += code != BUSI_OK;
    }
    meddling = false;
    while (!over)
        busi_fiber_sleep(1);
    cr_assert_gt(refused, 0, "none was ended meanwhile");
    cr_assert_eq(dropped(), before);
}

Test(clocks, what_was_ended_meanwhile_was_not_dropped)
{
    run(ended_meanwhile);
}
