#include "auth-svc_kit.h"
#include "sessions/safety.h"

/* A Redis that may lose sessions by its configuration is not used. */
TestSuite(safety, .init = set_up, .fini = tear_down, .timeout = 60);

static bool becomes_ready(bool wanted)
{
    for (int64_t until_ms = busi_now_ms() + 5000; busi_now_ms() < until_ms; busi_fiber_sleep(10))
        if (auth_ready(world.auth) == wanted)
            return true;
    return false;
}

static enum busi_code check_while(struct busi_str token, const char *name, const char *unsafe,
                                  const char *safe)
{
    struct busi_principal who;
    redis("CONFIG", "SET", name, unsafe);
    bool noticed = becomes_ready(false);
    enum busi_code code = check(token, &who);
    bool stays = !becomes_ready(true);
    redis("CONFIG", "SET", name, safe); /* before anything fails: others use this server, too */
    cr_assert(noticed && stays, "%s %s is not safe", name, unsafe);
    cr_assert(becomes_ready(true), "%s %s is", name, safe);
    cr_assert_eq(check(token, &who), BUSI_OK);
    return code;
}

static void unsafe(void)
{
    struct busi_str token = new_session("a@b.co", NULL);
    cr_assert_eq(check_while(token, "appendonly", "no", "yes"), BUSI_UNAVAILABLE);
    cr_assert_eq(check_while(token, "maxmemory-policy", "volatile-ttl", "noeviction"), BUSI_UNAVAILABLE);
    cr_assert_eq(check_while(token, "maxmemory-policy", "allkeys-lru", "noeviction"), BUSI_UNAVAILABLE);
}

Test(safety, an_unsafe_redis_is_not_used_until_it_is_safe)
{
    run(unsafe);
}

static void any(void)
{
    struct busi_principal who;
    struct busi_str token = new_session("a@b.co", NULL);
    redis("CONFIG", "SET", "appendonly", "no");
    bool noticed = becomes_ready(false);
    enum busi_code code = check(token, &who);
    redis("CONFIG", "SET", "appendonly", "yes");
    cr_assert_not(noticed);
    cr_assert_eq(code, BUSI_OK);
    cr_assert_eq(check_while(token, "maxmemory-policy", "allkeys-lru", "noeviction"), BUSI_UNAVAILABLE);
}

Test(safety, persistence_may_be_waived_eviction_may_not)
{
    run_with(any, (const char *const[]){"BUSI_REDIS_PERSISTENCE=any", NULL});
}

Test(safety, two_words_are_known)
{
    cr_assert(auth_safety_word_valid(BUSI_STR("any")) && auth_safety_word_valid(BUSI_STR("required")));
    cr_assert_not(auth_safety_word_valid(BUSI_STR("none")) || auth_safety_word_valid(BUSI_STR("")));
}

static bool same_time(const char *server, int64_t before_s, int64_t after_s)
{
    return auth_safety_same_time(busi_str_of(server), before_s * 1000000, after_s * 1000000);
}

Test(safety, a_clock_half_a_minute_away_is_another_time, .init = NULL, .fini = NULL)
{
    const char *server =
        "# Server\r\nredis_version:7.0.15\r\nserver_time_usec:1000000000\r\nuptime_in_seconds:7\r\n";
    cr_assert(same_time(server, 1000, 1000) && same_time(server, 971, 972) && same_time(server, 1029, 1030));
    cr_assert(same_time(server, 900, 1100), "we were frozen meanwhile");
    cr_assert_not(same_time(server, 960, 969) || same_time(server, 1031, 1031));
    cr_assert_not(same_time(server, 1000 - 3600, 1000 - 3600) || same_time(server, 1000 + 3600, 1000 + 3600));
    cr_assert(same_time("# Server\r\nredis_version:5.0\r\n", 1, 1), "it does not tell");
    cr_assert_not(same_time("# Server\r\nserver_time_usec:noon\r\n", 1, 1));
}
