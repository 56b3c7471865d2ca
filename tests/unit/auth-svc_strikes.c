/* Wrong passwords in a row: for whom the next must wait, for how long, and who hears of it. */
#include "auth-svc_limits_kit.h"

TestSuite(strikes, .init = set_up, .fini = tear_down, .timeout = 60);

#define ONLY_STRIKES(slow, lock, lasts)                                                                      \
    ((const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=off", "BUSI_LIMIT_SIGN_IN_ACCOUNT=off",               \
                           "BUSI_LIMIT_SIGN_IN_PAIR=off", "BUSI_LIMIT_SLOW_AFTER=" slow,                     \
                           "BUSI_LIMIT_LOCK_AFTER=" lock, "BUSI_LIMIT_LOCK_FOR=" lasts, NULL})

/* The next must wait for so many seconds, and does. */
static void expect_pause(int seconds, const char *address, const char *name)
{
    int64_t most_ms = seconds * 1000;
    cr_assert_not(may(address, name), "a pause of %d s", seconds);
    int64_t wait_ms = world.call.retry_after_ms;
    cr_assert(wait_ms > most_ms - 900 && wait_ms <= most_ms, "%ld of %ld ms", (long)wait_ms, (long)most_ms);
    cr_expect_eq(world.call.quota.limit, 1);
    cr_expect_not(may(address, name), "a refused try shortens nothing");
    cr_expect_leq(world.call.retry_after_ms, wait_ms, "nor makes it longer");
    busi_fiber_sleep(wait_ms + 1);
    cr_assert(may(address, name), "not after %ld ms", (long)wait_ms);
}

static void passed_from(const char *address, const char *name)
{
    begin(&world.call);
    world.call.origin.remote_addr = busi_str_of(address);
    auth_limit_passed(world.auth, &world.call, AUTH_LIMIT_sign_in, busi_str_of(name));
}

static void wrong_ones_slow_down(void)
{
    cr_assert_eq(pass(9, "192.0.2.1", "ann"), 2);
    expect_pause(1, "192.0.2.2", "ann");
    expect_pause(1, "192.0.2.3", "Ann");
    expect_pause(2, NULL, "ANN");
    cr_expect_eq(pass(9, "192.0.2.1", "bob"), 2, "another account's are others");
    passed_from("192.0.2.1", "ann");
    cr_expect_eq(pass(9, "192.0.2.2", "ann"), 2, "a right one begins anew, everywhere");
    passed_from(NULL, "bob");
    cr_expect_eq(pass(9, NULL, "bob"), 2, "within the house, too");
    cr_expect_eq(pass(9, "192.0.2.1", NULL), 9);
}

Test(strikes, wrong_ones_in_a_row_slow_down)
{
    run_with(wrong_ones_slow_down, ONLY_STRIKES("2", "0", "1h"));
}

static void slower_but_not_for_ever(void)
{
    cr_assert(may("192.0.2.1", "ann"));
    struct busi_redis_reply keys = redis("KEYS", "busi:l:*", NULL, NULL);
    cr_assert_eq(keys.n_items, 1);
    const char *key = keep(keys.items[0].text).ptr;
    static const char *const values[] = {"1000000 99999999999999999", "1000000 1795290000000000"};
    redis("SET", key, values[0], NULL);
    cr_assert_not(may("192.0.2.1", "ann"));
    cr_expect_leq(world.call.retry_after_ms, 10000, "ten seconds at most, whatever its clock said: %ld",
                  (long)world.call.retry_after_ms);
    redis("SET", key, "1 99999999999999999", NULL);
    cr_assert_not(may("192.0.2.1", "ann"));
    busi_fiber_sleep(world.call.retry_after_ms + 1);
    cr_expect(may("192.0.2.1", "ann"), "and it passes");
    redis("SET", key, values[1], NULL);
    cr_expect(may("192.0.2.1", "ann"));
    static const char *const damaged[] = {"", "nonsense", "5", "-1 -1", "1e308 1e308", "nan 0"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        redis("SET", key, damaged[i], NULL);
        cr_expect(may("192.0.2.1", "ann"), "'%s'", damaged[i]);
    }
}

Test(strikes, pauses_are_bounded)
{
    run_with(slower_but_not_for_ever, ONLY_STRIKES("1", "0", "1h"));
}

static bool locks(const char *address, const char *name)
{
    bool last;
    begin(&world.call);
    world.call.origin.remote_addr = busi_str_of(address);
    cr_assert_eq(auth_limit_strike(world.auth, &world.call, AUTH_LIMIT_sign_in, busi_str_of(name), &last),
                 BUSI_OK);
    return last;
}

static void a_lock(void)
{
    cr_assert(may("192.0.2.1", "ann"));
    passed_from("192.0.2.1", "ann"); /* her network */
    cr_expect_not(locks("198.51.100.1", "ann"));
    cr_expect_not(locks("198.51.100.2", "ann"));
    cr_expect(locks("198.51.100.3", "ann"), "the last one says so");
    cr_expect_eq(pass(9, "198.51.100.4", "ann"), 0);
    cr_expect_gt(world.call.retry_after_ms, 1000);
    cr_expect_eq(pass(9, "192.0.2.1", "ann"), 9, "strangers keep nobody out of her own network");
    passed_from("192.0.2.1", "ann");
    cr_expect_eq(pass(9, "198.51.100.4", "ann"), 0, "nor does her being there let them go on");
    begin(&world.call);
    world.call.origin.remote_addr = BUSI_STR("203.0.113.1");
    auth_limit_proved(world.auth, &world.call, BUSI_STR("ann@example.com"), BUSI_STR("ann"));
    cr_expect(may("203.0.113.1", "ann"), "what was mailed to her opens it");
    cr_assert_eq(pass(9, "203.0.113.9", "carl"), 3);
    world.call.origin.remote_addr = BUSI_STR("203.0.113.9");
    auth_limit_forget(world.auth, &world.call, (struct busi_str){0}, BUSI_STR("carl"));
    cr_expect_eq(pass(9, "203.0.113.9", "carl"), 3, "forgotten, but no known network");
    cr_assert_eq(pass(2, "198.51.100.4", "bob"), 2);
    cr_expect(locks(NULL, "bob"), "within the house, too");
    busi_fiber_sleep(2100);
    cr_expect_eq(pass(9, "198.51.100.4", "bob"), 3, "then it begins anew");
}

Test(strikes, after_too_many_strangers_are_shut_out)
{
    run_with(a_lock, ONLY_STRIKES("0", "3", "2s"));
}

static int64_t asked_for(const char *email)
{
    char query[256];
    snprintf(query, sizeof query,
             "SELECT count(*) FROM auth.mail_requests WHERE kind = 'sign_in_paused' AND email_key = '%s' AND "
             "hash IS NULL",
             email);
    return postgres_number(world.admin, query);
}

static void its_owner_hears(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up("ann@example.com", PASSWORD, &session), BUSI_OK);
    cr_assert_eq(sign_up("bob@example.com", PASSWORD, &session), BUSI_OK);
    /* the relay takes a tenth of a second before it looks at one */
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(asked_for("ann@example.com"), 0);
        cr_expect_eq(sign_in("ann@example.com", "wrong", &session), BUSI_UNAUTHENTICATED);
    }
    cr_expect_eq(asked_for("ann@example.com"), 1);
    cr_expect_eq(sign_in("ann@example.com", PASSWORD, &session), BUSI_RESOURCE_EXHAUSTED);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(sign_in("nobody@example.com", "wrong", &session), BUSI_UNAUTHENTICATED);
    cr_expect_eq(asked_for("nobody@example.com"), 1, "names of nobody are treated alike");
    for (int i = 0; i < 3; i++)
        cr_expect_eq(sign_in("bob@example.com", i < 2 ? "wrong" : PASSWORD, &session),
                     i < 2 ? BUSI_UNAUTHENTICATED : BUSI_OK);
    cr_expect_eq(asked_for("bob@example.com"), 0, "the third was right");
    while (postgres_number(world.admin, "SELECT count(*) FROM auth.mail_requests") > 0)
        busi_fiber_sleep(50);
    cr_expect_eq(postgres_number(world.admin, "SELECT count(*) FROM auth.outbox WHERE kind = 'sign_in_paused'"
                                              " AND recipient = 'ann@example.com'"),
                 1);
}

Test(strikes, its_owner_hears_of_a_lock)
{
    run_with(its_owner_hears, ONLY_STRIKES("0", "3", "1h"));
}

/* A try at an account whose caller hangs up. */
static struct {
    struct busi_fiber *fiber;
    enum busi_code code;
    bool done;
} hasty;

static void try_in_haste(void *arg)
{
    struct busi_call call = {0};
    struct busi_session_reply out = {0};
    const struct busi_sign_in_request in = {
        .door = BUSI_STR("busi"), .login = BUSI_STR("ann@example.com"), .password = BUSI_STR("wrong")};
    (void)arg;
    hasty.fiber = busi_fiber_self();
    begin(&call);
    hasty.code = auth_sign_in(world.auth, &call, &in, &out);
    busi_call_fini(&call);
    hasty.done = true;
}

static void hang_up(void *arg)
{
    (void)arg;
    cr_expect_not(busi_fiber_cancel(hasty.fiber));
}

static void who_hangs_up_is_told_on(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up("ann@example.com", PASSWORD, &session), BUSI_OK);
    admin("BEGIN; LOCK TABLE auth.users"); /* there it waits, its strike counted */
    struct busi_timer *timer = busi_loop_timer(world.loop, hang_up, NULL);
    cr_assert_not_null(timer);
    busi_timer_set(timer, busi_now_ms() + 150);
    cr_assert(busi_fiber_start(world.fibers, try_in_haste, NULL));
    busi_fiber_sleep(200);
    admin("COMMIT");
    for (int i = 0; i < 500 && !hasty.done; i++)
        busi_fiber_sleep(10);
    cr_expect_eq(hasty.code, BUSI_UNAUTHENTICATED, "%s", busi_code_name((int)hasty.code));
    while (postgres_number(world.admin, "SELECT count(*) FROM auth.mail_requests") > 0)
        busi_fiber_sleep(50);
    cr_expect_eq(
        postgres_number(world.admin, "SELECT count(*) FROM auth.outbox WHERE kind = 'sign_in_paused'"), 1);
    busi_timer_free(&timer);
}

Test(strikes, its_owner_hears_also_when_nobody_waits_for_the_answer)
{
    run_with(who_hangs_up_is_told_on, ONLY_STRIKES("0", "1", "1h"));
}
