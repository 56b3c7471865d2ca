/* How often a client may try, counted by a real Redis. */
#include "auth-svc_limits_kit.h"

TestSuite(limits, .init = set_up, .fini = tear_down, .timeout = 60);

#define ONLY_ACCOUNT(rates)                                                                                  \
    ((const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=off", "BUSI_LIMIT_SIGN_IN_ACCOUNT=" rates,            \
                           "BUSI_LIMIT_SIGN_IN_PAIR=off", NULL})
#define ONLY_NETWORK(rates)                                                                                  \
    ((const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=" rates, "BUSI_LIMIT_SIGN_IN_ACCOUNT=off",            \
                           "BUSI_LIMIT_SIGN_IN_PAIR=off", NULL})

/* ---- exactly so many ---- */

enum { PARALLEL = 1000, BUDGET = 37 };

static struct {
    int left, passed, refused;
} race;

static void guess(void *arg)
{
    struct busi_call call = {0};
    begin(&call);
    call.origin.remote_addr = BUSI_STR("192.0.2.1");
    enum busi_code code = auth_limit(arg, &call, AUTH_LIMIT_sign_in, BUSI_STR("ann@example.com"));
    race.passed += code == BUSI_OK;
    race.refused += code == BUSI_RESOURCE_EXHAUSTED && call.quota.limit == BUDGET;
    race.left--;
    busi_call_fini(&call);
}

static void a_thousand_in_parallel_find_no_gap(void)
{
    join_other();
    race.left = PARALLEL;
    for (int i = 0; i < PARALLEL; i++)
        cr_assert(busi_fiber_start(world.fibers, guess, i % 2 ? world.auth : world.other));
    while (race.left > 0)
        busi_fiber_sleep(1);
    cr_expect_eq(race.passed, BUDGET, "%d passed", race.passed);
    cr_expect_eq(race.refused, PARALLEL - BUDGET);
    part_with_other();
}

Test(limits, a_thousand_in_parallel_find_no_gap)
{
    world.loop = busi_loop_new();
    world.fibers = busi_fibers_new(world.loop, PARALLEL + 64, 64 * 1024);
    cr_assert(world.loop && world.fibers);
    run_with(a_thousand_in_parallel_find_no_gap, ONLY_ACCOUNT("37/1h"));
}

static void odd_rates_are_exact_too(void)
{
    cr_expect_eq(pass(999 + 5, NULL, "ann@example.com"), 999);
}

Test(limits, odd_rates_are_exact_too)
{
    run_with(odd_rates_are_exact_too, ONLY_ACCOUNT("999/1d"));
}

/* ---- time ---- */

static void who_waits_as_told_passes(void)
{
    cr_assert_eq(pass(4, "192.0.2.1", NULL), 4);
    for (int i = 0; i < 3; i++) {
        cr_assert_not(may("192.0.2.1", NULL));
        cr_expect_eq(world.call.quota.limit, 4);
        cr_expect_eq(world.call.quota.window_ms, 1000);
        cr_expect_eq(world.call.quota.remaining, 0);
        int64_t wait = world.call.retry_after_ms, reset = world.call.quota.reset_ms;
        cr_assert(wait > 0 && wait <= 250, "%ld ms", (long)wait);
        cr_expect(reset >= wait && reset <= 1000, "%ld ms", (long)reset);
        busi_fiber_sleep(wait + 1); /* its clock counts whole milliseconds */
        cr_expect(may("192.0.2.1", NULL), "not after %ld ms", (long)wait);
    }
}

Test(limits, who_waits_as_told_passes)
{
    run_with(who_waits_as_told_passes, ONLY_NETWORK("4/1s"));
}

static size_t keys_of_limits(void)
{
    struct busi_redis_reply keys = redis("KEYS", "busi:l:*", NULL, NULL);
    static const char prefix[] = "busi:l:{limits}:";
    for (size_t i = 0; i < keys.n_items; i++) {
        struct busi_str key = keys.items[i].text;
        cr_assert_eq(key.len, sizeof prefix - 1 + 32);
        cr_assert(busi_str_starts(key, BUSI_STR("busi:l:{limits}:")));
        cr_assert_eq(strspn(key.ptr + sizeof prefix - 1, "0123456789abcdef"), 32, "%.*s", BUSI_ARG(key));
    }
    return keys.n_items;
}

static void buckets_that_are_full_again_are_gone(void)
{
    cr_assert_eq(pass(9, "192.0.2.1", "ann@example.com\r\nDEL {x} %s%n"), 3);
    cr_assert_eq(pass(9, "2001:db8::1", "bob"), 3);
    cr_expect_eq(keys_of_limits(), 6);
    busi_fiber_sleep(1100);
    cr_expect_eq(keys_of_limits(), 0);
    cr_expect_eq(pass(9, "192.0.2.1", "bob"), 3);
}

Test(limits, buckets_that_are_full_again_are_gone_and_tell_nothing)
{
    run_with(buckets_that_are_full_again_are_gone,
             (const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=5/1s", "BUSI_LIMIT_SIGN_IN_ACCOUNT=3/1s",
                                   "BUSI_LIMIT_SIGN_IN_PAIR=4/1s", NULL});
}

/* ---- several buckets ---- */

static void a_refused_try_is_charged_to_nobody(void)
{
    /* the network is used up first: what it then tries costs the account nothing */
    cr_expect_eq(pass(50, "192.0.2.1", "ann"), 4);
    cr_expect_eq(world.call.quota.limit, 4);
    cr_expect_eq(pass(50, "192.0.2.2", "ann"), 2, "the account had six");
    cr_expect_eq(world.call.quota.limit, 6);
    cr_expect_eq(pass(50, "192.0.2.2", "bob"), 2, "the network had four");
    /* every rate of a setting holds, and the one that takes longest is told */
    cr_expect_eq(pass(50, NULL, "carl"), 6);
    cr_expect_eq(world.call.quota.limit, 6);
    cr_expect(world.call.retry_after_ms > 60000);
}

Test(limits, a_refused_try_is_charged_to_nobody)
{
    run_with(a_refused_try_is_charged_to_nobody,
             (const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=4/1h",
                                   "BUSI_LIMIT_SIGN_IN_ACCOUNT=20/1h 6/30m 9/1s",
                                   "BUSI_LIMIT_SIGN_IN_PAIR=off", NULL});
}

/* ---- who is who ---- */

static void networks(void)
{
    cr_expect_eq(pass(9, "192.0.2.1", NULL), 2);
    cr_expect_not(may("::ffff:192.0.2.1", NULL), "the same address written as IPv6");
    cr_expect_not(may("::FFFF:c000:0201", NULL));
    cr_expect_eq(pass(9, "192.0.2.2", NULL), 2, "another IPv4 address");
    cr_expect_eq(pass(9, "2001:db8:0:7::1", NULL), 2);
    cr_expect_not(may("2001:DB8:0:7:ffff:ffff:ffff:ffff", NULL), "the same /64");
    cr_expect_eq(pass(9, "2001:db8:0:8::1", NULL), 2, "another /64");
    cr_expect_eq(pass(9, "nonsense", NULL), 2);
    cr_expect_not(may("other nonsense", NULL), "what is no address is one network");
    cr_expect_eq(pass(9, NULL, "ann"), 9, "callers within the house have none");
}

Test(limits, a_client_is_its_network)
{
    run_with(networks, ONLY_NETWORK("2/1h"));
}

static void names(void)
{
    cr_expect_eq(pass(9, "192.0.2.1", "Ann@Example.com"), 2);
    cr_expect_not(may("192.0.2.2", "ann@example.COM"));
    cr_expect_not(may("192.0.2.3", "ann@example.com."));
    cr_expect_not(may(NULL, "ann@example.com"));
    cr_expect_eq(pass(9, "192.0.2.1", "J\u00fcrgen"), 2);
    cr_expect_not(may("192.0.2.1", "J\u00dcRGEN"));
    cr_expect_not(may("192.0.2.1", "ju\u0308rgen"), "the same, decomposed");
    cr_expect_eq(pass(9, "192.0.2.1", "ann"), 2);
    cr_expect_eq(pass(9, "192.0.2.1", ""), 2, "no name is a name, too");
    cr_expect_eq(pass(9, "192.0.2.1", "n\u00f6 name"), 2, "what can be nobody's as well");
    cr_expect_eq(pass(9, "192.0.2.1", "n\u00f6 one"), 2);
    cr_expect_eq(pass(9, "192.0.2.1", "@..."), 2);
    cr_expect_not(may("192.0.2.1", "@"));
    char long_name[70001];
    memset(long_name, 'x', sizeof long_name);
    long_name[70000] = 0;
    cr_expect_eq(pass(9, "192.0.2.1", long_name), 2);
    long_name[69999] = 'y';
    cr_expect_eq(pass(9, "192.0.2.1", long_name), 2);
    cr_expect_eq(pass(9, "192.0.2.1", NULL), 9);
}

Test(limits, an_account_is_its_name_whether_it_exists_or_not)
{
    run_with(names, ONLY_ACCOUNT("2/1h"));
}

static void pairs(void)
{
    cr_expect_eq(pass(9, "192.0.2.1", "ann"), 2);
    cr_expect_eq(pass(9, "192.0.2.2", "ann"), 2);
    cr_expect_eq(pass(9, "192.0.2.1", "bob"), 2);
    cr_expect_eq(pass(9, NULL, "ann"), 9);
    auth_limit_passed(world.auth, &world.call, AUTH_LIMIT_sign_in, BUSI_STR("ann"));
    cr_expect_not(may("192.0.2.1", "ann"), "nobody passed from there");
    auth_limit_passed(world.auth, &world.call, AUTH_LIMIT_sign_in, BUSI_STR("ANN"));
    cr_expect_eq(pass(9, "192.0.2.1", "ann"), 2, "a right password gives its tries back");
    cr_expect_not(may("192.0.2.2", "ann"));
    cr_expect_not(may("192.0.2.1", "bob"));
}

Test(limits, a_right_password_gives_the_pairs_tries_back)
{
    run_with(pairs, (const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=off", "BUSI_LIMIT_SIGN_IN_ACCOUNT=off",
                                          "BUSI_LIMIT_SIGN_IN_PAIR=2/1h", NULL});
}

static void strangers(void)
{
    cr_assert(may("2001:db8::1", "ann"));
    auth_limit_passed(world.auth, &world.call, AUTH_LIMIT_sign_in, BUSI_STR("ann"));
    cr_expect_eq(pass(9, "192.0.2.1", "ann"), 1, "the account's budget is used up by strangers");
    cr_expect_not(may("192.0.2.2", "ann"));
    cr_expect_eq(pass(9, "2001:db8::2", "ann"), 4, "her own network has the pair's");
    cr_expect_not(may("192.0.2.2", "ann"));
    busi_fiber_sleep(1100);
    cr_expect_not(may("2001:db8::1", "ann"), "it is forgotten in time");
}

Test(limits, strangers_do_not_lock_an_owner_out_of_her_network)
{
    run_with(strangers,
             (const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=off", "BUSI_LIMIT_SIGN_IN_ACCOUNT=2/1h",
                                   "BUSI_LIMIT_SIGN_IN_PAIR=4/1h", "BUSI_LIMIT_KNOWN=1s", NULL});
}

/* ---- what is in force ---- */

/* As shipped: tries until the first refusal, and by which limit. */
static void defaults(void)
{
    static const struct {
        enum auth_limit limit;
        int passes;
        int64_t limit_count, window_s;
    } rows[] = {{AUTH_LIMIT_sign_in, 3, 3, 10},
                {AUTH_LIMIT_sign_up, 5, 5, 10},
                {AUTH_LIMIT_change_password, 3, 3, 10},
                {AUTH_LIMIT_start_reset, 5, 5, 600},
                {AUTH_LIMIT_finish_reset, 10, 10, 60},
                {AUTH_LIMIT_send_confirmation, 5, 5, 600},
                {AUTH_LIMIT_remind_username, 5, 5, 600},
                {AUTH_LIMIT_confirm_email, 10, 10, 60},
                {AUTH_LIMIT_refresh_token, 150, 150, 300},
                {AUTH_LIMIT_change_email, 5, 5, 600},
                {AUTH_LIMIT_write_log, 60, 60, 60},
                {AUTH_LIMIT_start_magic_link, 5, 5, 600},
                {AUTH_LIMIT_sign_in_secret, 10, 10, 60},
                {AUTH_LIMIT_finish_provider, 10, 10, 60},
                {AUTH_LIMIT_name_taken, 20, 20, 60},
                {AUTH_LIMIT_change_username, 20, 20, 60}};
    cr_assert_eq(sizeof rows / sizeof *rows, AUTH_LIMITS);
    for (size_t i = 0; i < AUTH_LIMITS; i++) {
        int passed = 0;
        redis("FLUSHDB", NULL, NULL, NULL);
        while (passed < 1000 &&
               try_from(&world.call, rows[i].limit, "192.0.2.1", "ann@example.com") == BUSI_OK)
            passed++;
        cr_expect_eq(passed, rows[i].passes, "row %zu: %d", i, passed);
        cr_expect_eq(world.call.quota.limit, rows[i].limit_count);
        cr_expect_eq(world.call.quota.window_ms, rows[i].window_s * 1000);
    }
    redis("FLUSHDB", NULL, NULL, NULL);
    cr_expect_eq(pass(20, NULL, "ann"), 10, "an account from everywhere");
    for (int i = 0; i < 4; i++)
        cr_expect_eq(try_from(&world.call, AUTH_LIMIT_start_reset, "192.0.2.9", "ann"), BUSI_OK);
    cr_expect_eq(try_from(&world.call, AUTH_LIMIT_remind_username, "192.0.2.9", "ann"), BUSI_OK);
    cr_expect_eq(try_from(&world.call, AUTH_LIMIT_send_confirmation, "192.0.2.8", "ann"),
                 BUSI_RESOURCE_EXHAUSTED, "mails of all kinds share one budget");
}

Test(limits, defaults)
{
    run_with(defaults,
             (const char *const[]){"BUSI_LIMIT_SIGN_IN_ACCOUNT=10/1m", "BUSI_LIMIT_SIGN_UP_ACCOUNT=10/10m",
                                   "BUSI_LIMIT_MAILS_ACCOUNT=5/10m 10/15m 15/30m",
                                   "BUSI_LIMIT_CHANGE_PASSWORD_ACCOUNT=10/1m", NULL});
}

static void nothing_is_counted(void)
{
    cr_expect_eq(pass(200, "192.0.2.1", "ann"), 200);
    auth_limit_passed(world.auth, &world.call, AUTH_LIMIT_sign_in, BUSI_STR("ann"));
    cr_expect_eq(keys_of_limits(), 0);
}

Test(limits, off_is_off)
{
    run_with(nothing_is_counted,
             (const char *const[]){"BUSI_LIMIT_SIGN_IN_NETWORK=off", "BUSI_LIMIT_SIGN_IN_ACCOUNT=off",
                                   "BUSI_LIMIT_SIGN_IN_PAIR=off", "BUSI_LIMIT_KNOWN=0s", NULL});
}

/* ---- asked together with the session ---- */

static enum busi_code refresh_from(const char *address, struct busi_str token)
{
    struct busi_session_reply out = {0};
    begin(&world.call);
    world.call.origin.remote_addr = busi_str_of(address);
    return auth_refresh_token(world.auth, &world.call,
                              &(struct busi_refresh_token_request){.refresh_token = token}, &out);
}

static struct busi_str refresh_token_of_ann(void)
{
    struct busi_session_reply out = {0};
    const struct busi_sign_up_request in = {.door = BUSI_STR("accesspass"),
                                            .email = BUSI_STR("ann@example.com"),
                                            .username = BUSI_STR("ann"),
                                            .password = BUSI_STR(PASSWORD),
                                            .password_confirm = BUSI_STR(PASSWORD)};
    begin(&world.call);
    cr_assert_eq(auth_sign_up(world.auth, &world.call, &in, &out), BUSI_OK);
    return keep(out.refresh_token);
}

/* Good ones count as bad ones do, also where Redis has forgotten the script; what is limited says nothing of
 * a token. */
static void refreshed(void)
{
    struct busi_str token = refresh_token_of_ann();
    redis("SCRIPT", "FLUSH", NULL, NULL);
    cr_assert_eq(refresh_from("192.0.2.1", token), BUSI_OK);
    cr_assert_eq(refresh_from("192.0.2.1", BUSI_STR("nonsense")), BUSI_UNAUTHENTICATED);
    cr_assert(said("invalid_token"));
    redis("SCRIPT", "FLUSH", NULL, NULL);
    cr_assert_eq(refresh_from("192.0.2.1", token), BUSI_OK);
    cr_assert_eq(refresh_from("192.0.2.1", token), BUSI_RESOURCE_EXHAUSTED);
    cr_assert_eq(world.call.quota.limit, 3);
    cr_assert_eq(refresh_from("192.0.2.1", BUSI_STR("nonsense")), BUSI_RESOURCE_EXHAUSTED);
    cr_assert_eq(refresh_from("192.0.2.2", token), BUSI_OK);
    cr_assert_eq(refresh_from(NULL, token), BUSI_OK, "within the house there is nothing to ask of limits");
    begin(&world.call);
    cr_assert_eq(auth_end_sessions(world.auth, &world.call, &(struct busi_user_id_request){.user_id = 1},
                                   &(struct busi_count_reply){0}),
                 BUSI_OK);
    cr_assert_eq(refresh_from("192.0.2.2", token), BUSI_UNAUTHENTICATED);
}

Test(limits, a_refresh_is_counted_and_judged_together)
{
    run_with(refreshed, (const char *const[]){"BUSI_LIMIT_REFRESH_NETWORK=3/1h", NULL});
}

/* What a lowered rate, another server's clock or a stranger's hand left in Redis. */
static void damaged(void)
{
    static const struct {
        const char *value;
        int passes; /* of four; of one that is full in the future, one */
    } rows[] = {{"", 4},      {"nonsense", 4},           {"-5", 4}, {"0", 4}, {"nan", 4},
                {"1e308", 1}, {"9999999999999999999", 1}};
    cr_assert(may("192.0.2.1", NULL));
    struct busi_redis_reply keys = redis("KEYS", "busi:l:*", NULL, NULL);
    cr_assert_eq(keys.n_items, 1);
    const char *key = keep(keys.items[0].text).ptr;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        redis("SET", key, rows[i].value, NULL);
        int passed = pass(9, "192.0.2.1", NULL);
        cr_expect_eq(passed, rows[i].passes, "'%s': %d", rows[i].value, passed);
        cr_expect(world.call.retry_after_ms <= 250, "'%s': %ld ms", rows[i].value,
                  (long)world.call.retry_after_ms);
        busi_fiber_sleep(world.call.retry_after_ms + 1);
        cr_expect(may("192.0.2.1", NULL), "'%s'", rows[i].value);
    }
}

Test(limits, what_is_no_bucket_is_one_again_within_a_window)
{
    run_with(damaged, ONLY_NETWORK("4/1s"));
}

static void without_redis(void)
{
    begin(&world.call);
    cr_expect_eq(auth_limit(world.auth, &world.call, AUTH_LIMIT_sign_in, BUSI_STR("ann")), BUSI_UNAVAILABLE);
    cr_expect_eq(world.call.retry_after_ms, 1000);
    cr_expect_eq(world.call.quota.limit, 0);
    begin(&world.call);
    auth_limit_passed(world.auth, &world.call, AUTH_LIMIT_sign_in, BUSI_STR("ann"));
}

Test(limits, without_redis_nothing_is_judged)
{
    world.stores_away = true;
    run_with(without_redis, (const char *const[]){"BUSI_REDIS=redis://127.0.0.1:1/0",
                                                  "BUSI_LIMIT_SIGN_IN_ACCOUNT=3/1m", NULL});
}

/* ---- two names ---- */

static enum busi_code sign_in_as(const char *login)
{
    struct busi_session_reply out = {0};
    begin(&world.call);
    return auth_sign_in(world.auth, &world.call,
                        &(struct busi_sign_in_request){.door = BUSI_STR("accesspass"),
                                                       .login = busi_str_of(login),
                                                       .password = BUSI_STR("wrong")},
                        &out);
}

static void one_name_says_nothing_of_the_other(void)
{
    refresh_token_of_ann();
    static const char *const names[] = {"ann@example.com", "ann", "nobody@example.com", "nobody"};
    for (size_t name = 0; name < sizeof names / sizeof *names; name++)
        for (int i = 0; i < 6; i++)
            cr_expect_eq(sign_in_as(names[name]), i < 4 ? BUSI_UNAUTHENTICATED : BUSI_RESOURCE_EXHAUSTED,
                         "%s, try %d", names[name], i);
}

/* Whoever tries names would see which of them are one account's, and that there is one. */
Test(limits, what_was_spent_of_one_name_says_nothing_of_the_other)
{
    run_with(one_name_says_nothing_of_the_other,
             (const char *const[]){"BUSI_LIMIT_SIGN_IN_ACCOUNT=4/1h", NULL});
}

/* ---- before the hash ---- */

static void no_hash_past_the_budget(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up("ann@example.com", PASSWORD, &session), BUSI_OK);
    int64_t hashes = busi_metric_get(BUSI_METRIC_password_hashes);
    for (int i = 0; i < 10; i++) {
        enum busi_code wanted = i < 4 ? BUSI_UNAUTHENTICATED : BUSI_RESOURCE_EXHAUSTED;
        cr_expect_eq(sign_in("Ann@example.com", "wrong", &session), wanted);
        cr_expect_eq(sign_in("nobody@example.com", "wrong", &session), wanted,
                     "nobody's account is no other");
    }
    cr_expect_eq(sign_in("ann@example.com", PASSWORD, &session), BUSI_RESOURCE_EXHAUSTED);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_password_hashes) - hashes, 8);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(sign_up("Bob@example.com", PASSWORD, &session), i ? BUSI_INVALID_ARGUMENT : BUSI_OK);
    cr_expect_eq(sign_up("bob@example.com", PASSWORD, &session), BUSI_RESOURCE_EXHAUSTED);
    cr_expect_eq(sign_up("not an address", PASSWORD, &session), BUSI_INVALID_ARGUMENT);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_password_hashes) - hashes, 11);
}

Test(limits, no_hash_past_the_budget)
{
    run_with(no_hash_past_the_budget, (const char *const[]){"BUSI_LIMIT_SIGN_IN_ACCOUNT=4/1h",
                                                            "BUSI_LIMIT_SIGN_UP_ACCOUNT=3/1h", NULL});
}
