#include "store_redis_kit.h"

TestSuite(redis_script, .timeout = 20);

static const char add[] = "return redis.call('INCRBY', KEYS[1], ARGV[1])";

static enum busi_code run_add(struct world *w, struct busi_str amount, struct busi_redis_reply *reply)
{
    const struct busi_str argv[] = {BUSI_STR("script-sum"), amount};
    return busi_redis_run_script(w->redis, &w->arena, add, 1, 2, argv, busi_now_ms() + 5000, reply);
}

static int64_t calls_of(struct world *w, const char *command)
{
    struct busi_redis_reply reply;
    char key[64];
    snprintf(key, sizeof key, "cmdstat_%s:calls=", command);
    cr_assert_eq(run(w, "INFO commandstats", &reply), BUSI_OK);
    const char *at = strstr(reply.text.ptr, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : 0;
}

static void known_and_forgotten(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "DEL script-sum", &reply), BUSI_OK);
    cr_assert_eq(run(w, "SCRIPT FLUSH", &reply), BUSI_OK);
    cr_assert_eq(run_add(w, BUSI_STR("40"), &reply), BUSI_OK);
    cr_assert_eq(reply.number, 40);
    int64_t loads = calls_of(w, "script|load");
    cr_assert_eq(run_add(w, BUSI_STR("2"), &reply), BUSI_OK);
    cr_assert_eq(reply.number, 42);
    cr_assert_eq(calls_of(w, "script|load"), loads, "its text is not sent again");
    cr_assert_eq(run(w, "SCRIPT FLUSH", &reply), BUSI_OK);
    cr_assert_eq(run_add(w, BUSI_STR("1"), &reply), BUSI_OK);
    cr_assert_eq(reply.number, 43, "it ran once");
    cr_assert_eq(run_add(w, BUSI_STR("0"), &reply), BUSI_OK);
    cr_assert_eq(calls_of(w, "script|load"), loads + 1);
}

Test(redis_script, is_loaded_where_it_is_unknown)
{
    run_with(server(), 500, known_and_forgotten);
}

/* Whether the server knows it or not, all run once. */
static void in_company(struct world *w)
{
    const struct busi_str argv[] = {BUSI_STR("script-sum"), BUSI_STR("5")},
                          incr[] = {BUSI_STR("INCR"), BUSI_STR("script-other")},
                          wrong_type[] = {BUSI_STR("LLEN"), BUSI_STR("script-other")};
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "DEL script-sum script-other", &reply), BUSI_OK);
    for (int round = 1; round <= 4; round++) {
        struct busi_redis_command commands[] = {
            {0}, {.argc = 2, .argv = incr}, {.argc = 2, .argv = wrong_type}};
        if (round % 2 == 0)
            cr_assert_eq(run(w, "SCRIPT FLUSH", &reply), BUSI_OK);
        cr_assert_eq(busi_redis_run_script_with(w->redis, &w->arena, add, 1, 2, argv, busi_now_ms() + 5000,
                                                commands, 3),
                     BUSI_OK);
        cr_assert_eq(commands[0].reply.number, 5 * round);
        cr_assert_eq(commands[1].code, BUSI_OK);
        cr_assert_eq(commands[1].reply.number, round);
        cr_assert_eq(commands[2].code, BUSI_INTERNAL);
    }
    struct busi_redis_command late[] = {{0}, {.argc = 2, .argv = incr}};
    cr_assert_eq(busi_redis_run_script_with(w->redis, &w->arena, add, 1, 2, argv, 1, late, 2),
                 BUSI_DEADLINE_EXCEEDED);
    cr_assert_neq(late[1].code, BUSI_OK);
}

Test(redis_script, takes_others_along)
{
    run_with(server(), 500, in_company);
}

static void wrong(struct world *w)
{
    static const char broken[] = "this is no Lua", fails[] = "return redis.error_reply('MINE it is')",
                      no_write[] = "return redis.error_reply('READONLY it is')";
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "SET script-sum text", &reply), BUSI_OK);
    cr_assert_eq(run_add(w, BUSI_STR("1"), &reply), BUSI_INTERNAL);
    cr_assert_eq(busi_redis_run_script(w->redis, &w->arena, broken, 0, 0, NULL, INT64_MAX, &reply),
                 BUSI_INTERNAL);
    cr_assert_eq(busi_redis_run_script(w->redis, &w->arena, fails, 0, 0, NULL, INT64_MAX, &reply),
                 BUSI_INTERNAL);
    cr_assert(busi_str_starts(reply.text, BUSI_STR("MINE it is")), "%s", reply.text.ptr);
    cr_assert_eq(busi_redis_run_script(w->redis, &w->arena, add, 0, 0, NULL, 1, &reply),
                 BUSI_DEADLINE_EXCEEDED);
    cr_assert_eq(busi_redis_run_script(w->redis, &w->arena, no_write, 0, 0, NULL, INT64_MAX, &reply),
                 BUSI_UNAVAILABLE);
    cr_assert_eq(run_add(w, BUSI_STR("1"), &reply), BUSI_UNAVAILABLE, "not connected");
}

Test(redis_script, errors_are_told)
{
    run_with(server(), 500, wrong);
}

static void more_than_are_remembered(struct world *w)
{
    static char texts[40][32];
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 40; i++) {
            snprintf(texts[i], sizeof texts[i], "return %d + #ARGV", i);
            const struct busi_str arguments[] = {BUSI_STR("a"), BUSI_STR("b")};
            cr_assert_eq(
                busi_redis_run_script(w->redis, &w->arena, texts[i], 0, 2, arguments, INT64_MAX, &reply),
                BUSI_OK);
            cr_assert_eq(reply.number, i + 2);
        }
}

Test(redis_script, more_scripts_than_are_remembered)
{
    run_with(server(), 500, more_than_are_remembered);
}

static struct {
    size_t left;
    struct busi_fiber *parent;
} crowd;

static void add_one(void *arg)
{
    struct busi_redis_reply reply;
    cr_assert_eq(run_add(arg, BUSI_STR("1"), &reply), BUSI_OK);
    if (--crowd.left == 0)
        busi_fiber_wake(crowd.parent);
}

static void crowd_of(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "DEL script-sum", &reply), BUSI_OK);
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(run(w, "SCRIPT FLUSH", &reply), BUSI_OK);
        crowd.left = 200;
        crowd.parent = busi_fiber_self();
        for (int i = 0; i < 200; i++)
            cr_assert(busi_fiber_start(w->fibers, add_one, w));
        while (crowd.left > 0)
            busi_fiber_wait(INT64_MAX);
    }
    cr_assert_eq(run(w, "GET script-sum", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("400")), "each ran once");
}

Test(redis_script, a_crowd_meets_a_server_that_forgot)
{
    run_with(server(), 500, crowd_of);
}
