#include "store_redis_kit.h"

static void every_kind_of_reply(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert_eq(run(w, "PING", &reply), BUSI_UNAVAILABLE, "not connected yet");
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(busi_redis_generation(w->redis), 1);
    cr_assert_eq(run(w, "FLUSHDB", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("OK")));
    cr_assert_eq(run(w, "GET nothing", &reply), BUSI_OK);
    cr_assert_eq(reply.type, BUSI_REDIS_NIL);
    cr_assert_eq(run(w, "INCRBY number 41", &reply), BUSI_OK);
    cr_assert_eq(reply.type, BUSI_REDIS_INT);
    cr_assert_eq(reply.number, 41);
    const struct busi_str set[] = {BUSI_STR("SET"), BUSI_STR("binary"), BUSI_STR("a\0b\r\nc")};
    cr_assert_eq(busi_redis_run(w->redis, &w->arena, 3, set, INT64_MAX, &reply), BUSI_OK);
    cr_assert_eq(run(w, "GET binary", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, set[2]));
    cr_assert_eq(run(w, "EVAL return{1,{'two',{3}},false} 0", &reply), BUSI_OK);
    cr_assert_eq(reply.type, BUSI_REDIS_ARRAY);
    cr_assert_eq(reply.n_items, 3);
    cr_assert_eq(reply.items[0].number, 1);
    cr_assert(busi_str_eq(reply.items[1].items[0].text, BUSI_STR("two")));
    cr_assert_eq(reply.items[1].items[1].items[0].number, 3);
    cr_assert_eq(reply.items[2].type, BUSI_REDIS_NIL);
    cr_assert_eq(run(w, "HGETALL nothing", &reply), BUSI_OK);
    cr_assert_eq(reply.n_items, 0);
}

Test(redis, every_kind_of_reply, .timeout = 20)
{
    run_with(server(), 500, every_kind_of_reply);
}

static void errors_of_the_command(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "EVALSHA 0000000000000000000000000000000000000000 0", &reply), BUSI_INTERNAL);
    cr_assert(busi_str_starts(reply.text, BUSI_STR("NOSCRIPT")));
    cr_assert_eq(run(w, "NO SUCH COMMAND", &reply), BUSI_INTERNAL);
    cr_assert_eq(run(w, "EVAL return{1,{err='INSIDE'}} 0", &reply), BUSI_INTERNAL);
    cr_assert_eq(run(w, "EVAL return{err='LOADING'} 0", &reply), BUSI_UNAVAILABLE);
    cr_assert_eq(run(w, "PING", &reply), BUSI_OK);
    cr_assert_eq(busi_redis_generation(w->redis), 1, "none of them cost the connection");
    struct busi_arena small;
    busi_arena_init(&small, 8);
    cr_assert_eq(busi_redis_run(w->redis, &small, 1, &BUSI_STR("TIME"), INT64_MAX, &reply),
                 BUSI_RESOURCE_EXHAUSTED);
    busi_arena_fini(&small);
    cr_assert_eq(run(w, "EVAL return{err='READONLY'} 0", &reply), BUSI_UNAVAILABLE);
    cr_assert(wait_ready(w, false, 100), "a server that became a replica is left");
    cr_assert(wait_ready(w, true, 3000));
}

Test(redis, errors_of_the_command, .timeout = 20)
{
    run_with(server(), 500, errors_of_the_command);
}

struct asker {
    struct world *w;
    int number;
    enum busi_code code;
    bool right;
    size_t *left;
    struct busi_fiber *parent;
};

static void ask(void *arg)
{
    struct asker *asker = arg;
    struct busi_redis_reply reply;
    char words[32];
    snprintf(words, sizeof words, "ECHO number-%d", asker->number);
    asker->code = run(asker->w, words, &reply);
    asker->right = reply.text.ptr && strcmp(reply.text.ptr, words + 5) == 0;
    if (--*asker->left == 0)
        busi_fiber_wake(asker->parent);
}

static size_t ask_together(struct world *w, struct asker *askers, size_t n)
{
    size_t left = n, right = 0;
    for (size_t i = 0; i < n; i++) {
        askers[i] = (struct asker){
            .w = w, .number = (int)i, .left = &left, .parent = busi_fiber_self(), .code = BUSI_UNKNOWN};
        cr_assert(busi_fiber_start(w->fibers, ask, &askers[i]));
    }
    while (left > 0)
        busi_fiber_wait(INT64_MAX);
    for (size_t i = 0; i < n; i++) {
        cr_assert_eq(askers[i].code == BUSI_OK, askers[i].right);
        right += askers[i].right;
    }
    return right;
}

static void replies_find_their_fibers(struct world *w)
{
    static struct asker askers[1100];
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(ask_together(w, askers, 1000), 1000);
    cr_assert_eq(ask_together(w, askers, 1100), 1024, "flights are bounded");
    cr_assert_eq(askers[1099].code, BUSI_RESOURCE_EXHAUSTED);
}

Test(redis, replies_find_their_fibers, .timeout = 20)
{
    run_with(server(), 500, replies_find_their_fibers);
}

static void an_overdue_reply_drops_the_connection(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    int64_t begin_ms = busi_now_ms();
    cr_assert_eq(run(w, "BLPOP nothing 1", &reply), BUSI_DEADLINE_EXCEEDED);
    cr_assert_lt(busi_now_ms() - begin_ms, 500);
    cr_assert_not(busi_redis_ready(w->redis));
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(busi_redis_generation(w->redis), 2);
    cr_assert_eq(run(w, "ECHO mine", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("mine")));
}

Test(redis, an_overdue_reply_drops_the_connection, .timeout = 20)
{
    run_over(server(), 200, 1, an_overdue_reply_drops_the_connection);
}

static void an_impatient_caller_costs_nobody_else(struct world *w)
{
    struct busi_redis_reply reply;
    const struct busi_str argv[] = {BUSI_STR("BLPOP"), BUSI_STR("nothing"), BUSI_STR("0.2")};
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(busi_redis_run(w->redis, &w->arena, 3, argv, busi_now_ms() + 30, &reply),
                 BUSI_DEADLINE_EXCEEDED);
    cr_assert_eq(run(w, "ECHO mine", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("mine")));
    cr_assert_eq(busi_redis_generation(w->redis), 1);
}

Test(redis, an_impatient_caller_costs_nobody_else, .timeout = 20)
{
    run_with(server(), 500, an_impatient_caller_costs_nobody_else);
}

static void kill_me(void *arg)
{
    struct world *w = arg;
    struct busi_redis_reply reply;
    char words[64];
    cr_assert_eq(run(w, "CLIENT ID", &reply), BUSI_OK);
    snprintf(words, sizeof words, "CLIENT KILL ID %lld SKIPME no", (long long)reply.number);
    /* the server answers before it closes, or not at all */
    (void)!run(w, words, &reply);
}

static void a_lost_connection_comes_back(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert(busi_fiber_start(w->fibers, kill_me, w));
    cr_assert(wait_ready(w, false, 1000));
    cr_assert_eq(run(w, "PING", &reply), BUSI_UNAVAILABLE);
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "PING", &reply), BUSI_OK);
}

Test(redis, a_lost_connection_comes_back, .timeout = 20)
{
    run_over(server(), 500, 1, a_lost_connection_comes_back);
}

static void never_ready(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert_not(wait_ready(w, true, 500));
    cr_assert_eq(run(w, "PING", &reply), BUSI_UNAVAILABLE);
}

Test(redis, needs_the_right_password, .timeout = 20)
{
    const char *host = strchr(server(), '@');
    cr_assert(host, "the test server must ask for a password");
    char url[200];
    snprintf(url, sizeof url, "redis://:wrong%s", host);
    run_with(url, 500, never_ready);
}

Test(redis, is_unavailable_without_a_server, .timeout = 20)
{
    run_with("redis://127.0.0.1:1", 500, never_ready);
    run_with("redis://no-such-host.invalid", 500, never_ready);
    run_with("unix:///no/such/socket", 500, never_ready);
}

static void pings(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "PING", &reply), BUSI_OK);
}

Test(redis, resolves_host_names, .timeout = 20)
{
    const char *host = strchr(server(), '@'), *port = strrchr(server(), ':');
    cr_assert(host && port);
    char url[200];
    snprintf(url, sizeof url, "%.*slocalhost%s", (int)(host + 1 - server()), server(), port);
    run_with(url, 500, pings);
}

Test(redis, refuses_malformed_urls)
{
    static const char *const bad[] = {"",
                                      "localhost:6379",
                                      "http://localhost",
                                      "redis://",
                                      "redis://:6379",
                                      "redis://host:0",
                                      "redis://host:65536",
                                      "redis://host:x",
                                      "redis://host/one",
                                      "redis://host/-1",
                                      "redis://[::1",
                                      "redis://[::1]x",
                                      "redis://user@host",
                                      "redis://:%zz@host",
                                      "redis://:%00@host",
                                      "redis://a,b",
                                      "unix://",
                                      "unix://relative",
                                      "unix:///path?database=1",
                                      "redis+sentinel://a/m",
                                      "sentinel://",
                                      "sentinel:///m",
                                      "sentinel://a",
                                      "sentinel://a/",
                                      "sentinel://a//0",
                                      "sentinel://a,/m",
                                      "sentinel://,a/m",
                                      "sentinel://a:x/m",
                                      "sentinel://a:26379,a/m",
                                      "sentinel://a,b,c,d,e,f,g,h,i,j/m",
                                      "sentinel://a/m/x",
                                      "sentinel://a/m%00",
                                      "sentinel://u@a/m",
                                      "sentinel://a/m?",
                                      "sentinel://a/m?sentinel_password=",
                                      "sentinel://a/m?sentinel_user=u",
                                      "sentinel://a/m?sentinel_password=p&sentinel_password=q",
                                      "sentinel://a/m?sentinel_password=p@q",
                                      "sentinel://a/m?db=1"};
    struct busi_loop *loop = busi_loop_new();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *error = NULL;
        cr_assert_null(busi_redis_new(loop, busi_str_of(bad[i]), 100, 1, &error), "%s", bad[i]);
        cr_assert(error && *error);
    }
    busi_loop_free(&loop);
}

Test(redis, takes_every_form_of_url)
{
    static const char *const good[] = {"redis://host",
                                       "redis://user:pass@[::1]:7000/3",
                                       "unix://:p%40ss@/run/redis.sock?db=2",
                                       "sentinel://a/m",
                                       "sentinel://a,b:7,[::1],[::1]:5/m%2Fn/2",
                                       "sentinel://u:p@a,b,c/m?sentinel_password=p%26%3d",
                                       "sentinel://:p@a/m/1?sentinel_password=q&sentinel_user=r"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert_null(busi_redis_url_fault(busi_str_of(good[i])), "%s: %s", good[i],
                       busi_redis_url_fault(busi_str_of(good[i])));
}

static void all_in_their_order(struct world *w)
{
    enum { N = BUSI_REDIS_COMMANDS_MOST };
    struct busi_redis_command commands[N];
    const struct busi_str push[] = {BUSI_STR("RPUSH"), BUSI_STR("list"), BUSI_STR("x")},
                          wrong[] = {BUSI_STR("INCR"), BUSI_STR("list")};
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "DEL list", &reply), BUSI_OK);
    for (int i = 0; i < N; i++)
        commands[i] = (struct busi_redis_command){.argc = 3, .argv = push};
    cr_assert_eq(busi_redis_run_all(w->redis, &w->arena, commands, N, INT64_MAX), BUSI_OK);
    for (int i = 0; i < N; i++)
        cr_assert(commands[i].code == BUSI_OK && commands[i].reply.number == i + 1);
    commands[1] = (struct busi_redis_command){.argc = 2, .argv = wrong};
    cr_assert_eq(busi_redis_run_all(w->redis, &w->arena, commands, 3, INT64_MAX), BUSI_INTERNAL);
    cr_assert(commands[1].code == BUSI_INTERNAL &&
              busi_str_starts(commands[1].reply.text, BUSI_STR("WRONGTYPE")));
    cr_assert(commands[2].code == BUSI_OK && commands[2].reply.number == N + 2);
    cr_assert_eq(busi_redis_run_all(w->redis, &w->arena, commands, 0, INT64_MAX), BUSI_OK);
    cr_assert_eq(busi_redis_run_all(w->redis, &w->arena, commands, 3, busi_now_ms() - 1),
                 BUSI_DEADLINE_EXCEEDED);
    for (int i = 0; i < 3; i++)
        cr_assert(commands[i].code == BUSI_DEADLINE_EXCEEDED && commands[i].reply.type == BUSI_REDIS_NIL);
}

Test(redis, commands_that_leave_together_run_in_their_order, .timeout = 20)
{
    run_with(server(), 500, all_in_their_order);
}

static void none_answered_in_time(struct world *w)
{
    struct busi_redis_command commands[3];
    const struct busi_str pause[] = {BUSI_STR("CLIENT"), BUSI_STR("PAUSE"), BUSI_STR("200")},
                          ping[] = {BUSI_STR("GET"), BUSI_STR("x")};
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    commands[0] = (struct busi_redis_command){.argc = 3, .argv = pause};
    commands[1] = commands[2] = (struct busi_redis_command){.argc = 2, .argv = ping};
    cr_assert_eq(busi_redis_run_all(w->redis, &w->arena, commands, 3, busi_now_ms() + 50),
                 BUSI_DEADLINE_EXCEEDED);
    cr_assert_eq(commands[0].code, BUSI_OK);
    cr_assert(commands[1].code == BUSI_DEADLINE_EXCEEDED && commands[2].code == BUSI_DEADLINE_EXCEEDED);
    cr_assert_eq(run(w, "ECHO mine", &reply), BUSI_OK); /* the late replies are nobody's */
    cr_assert(busi_str_eq(reply.text, BUSI_STR("mine")));
}

Test(redis, late_replies_of_several_reach_nobody, .timeout = 20) /* D-02 */
{
    run_with(server(), 1000, none_answered_in_time);
}
