#include "store_redis_kit.h"
#include "store_redis_peer.h"
#include "store_redis_relay.h"

/* Several connections to one server, of which some are silent as if packets had been lost. */
TestSuite(redis_links, .timeout = 60);

enum { TIMEOUT_MS = 500 };

static struct relay relay;
static int port_of_later_ones; /* 0: that of the first */

static void run_behind(int64_t timeout_ms, void (*body)(struct world *))
{
    char url[200];
    const char *at = strchr(server(), '@'), *port = strrchr(server(), ':'), *db = strchr(port, '/');
    cr_assert(at && port);
    relay_start(&relay, atoi(port + 1), port_of_later_ones);
    snprintf(url, sizeof url, "%.*s127.0.0.1:%d%s", (int)(at + 1 - server()), server(), relay.port,
             db ? db : "");
    run_with(url, timeout_ms, body);
    relay_stop(&relay);
}

static void await_links(struct world *w, int n)
{
    cr_assert(wait_ready(w, true, 3000));
    for (int64_t until_ms = busi_now_ms() + 3000;
         atomic_load(&relay.accepted) < n && busi_now_ms() < until_ms;)
        busi_fiber_sleep(5);
    cr_assert_geq(atomic_load(&relay.accepted), n);
    busi_fiber_sleep(100); /* greeted, too */
}

static void a_read_goes_elsewhere(struct world *w)
{
    struct busi_redis_reply reply;
    await_links(w, LINKS);
    cr_assert_eq(run(w, "SET held 1", &reply), BUSI_OK);
    atomic_store(&relay.held, 1 | 2 | 4);
    int64_t begin_ms = busi_now_ms();
    cr_assert_eq(run(w, "GET held", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("1")));
    int64_t took_ms = busi_now_ms() - begin_ms;
    cr_assert(took_ms >= 40 && took_ms < TIMEOUT_MS, "%d", (int)took_ms);
    begin_ms = busi_now_ms();
    cr_assert_eq(run(w, "GET held", &reply), BUSI_OK);
    cr_assert_lt(busi_now_ms() - begin_ms, 100, "nobody else asks the silent ones");
    busi_fiber_sleep(TIMEOUT_MS + 300);
    cr_assert_geq(atomic_load(&relay.accepted), LINKS + 3, "they are made anew");
    cr_assert(busi_redis_ready(w->redis) && busi_redis_generation(w->redis) == 1);
}

Test(redis_links, a_read_is_asked_again_where_it_is_heard)
{
    run_behind(TIMEOUT_MS, a_read_goes_elsewhere);
}

/* Two reads in one go are of one order, whichever link answers. */
static void reads_together(struct world *w)
{
    const struct busi_str hlen[] = {BUSI_STR("HLEN"), BUSI_STR("nothing")},
                          get[] = {BUSI_STR("GET"), BUSI_STR("held")};
    struct busi_redis_command commands[] = {{.argc = 2, .argv = hlen}, {.argc = 2, .argv = get}};
    struct busi_redis_reply reply;
    await_links(w, LINKS);
    cr_assert_eq(run(w, "SET held 1", &reply), BUSI_OK);
    atomic_store(&relay.muffled, 1 | 2);
    cr_assert_eq(busi_redis_run_all(w->redis, &w->arena, commands, 2, INT64_MAX), BUSI_OK);
    cr_assert(commands[0].reply.type == BUSI_REDIS_INT && commands[0].reply.number == 0);
    cr_assert(busi_str_eq(commands[1].reply.text, BUSI_STR("1")));
    atomic_store(&relay.muffled, 0); /* the replies of the others come now: nobody's */
    busi_fiber_sleep(50);
    cr_assert_eq(run(w, "ECHO mine", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("mine")));
}

Test(redis_links, reads_that_leave_together_are_asked_again_together)
{
    run_behind(TIMEOUT_MS, reads_together);
}

static void a_write_does_not(struct world *w)
{
    struct busi_redis_reply reply;
    await_links(w, LINKS);
    cr_assert_eq(run(w, "DEL counted", &reply), BUSI_OK);
    atomic_store(&relay.muffled, 1);
    int64_t begin_ms = busi_now_ms();
    cr_assert_eq(run(w, "INCR counted", &reply), BUSI_DEADLINE_EXCEEDED);
    int64_t took_ms = busi_now_ms() - begin_ms;
    cr_assert(took_ms >= 3 * TIMEOUT_MS && took_ms < 5 * TIMEOUT_MS, "%d: its link is given time",
              (int)took_ms);
    cr_assert_eq(run(w, "GET counted", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("1")));
    begin_ms = busi_now_ms();
    atomic_store(&relay.muffled, 2);
    cr_assert_eq(busi_redis_generation(w->redis), 1);
    cr_assert_eq(run(w, "DEL counted", &reply), BUSI_DEADLINE_EXCEEDED);
    cr_assert_eq(run(w, "EXISTS counted", &reply), BUSI_OK);
    cr_assert_eq(reply.number, 0);
    cr_assert(busi_redis_ready(w->redis) && busi_redis_generation(w->redis) == 1);
}

Test(redis_links, a_write_is_sent_once)
{
    run_behind(TIMEOUT_MS, a_write_does_not);
}

/* What TCP brings after all. */
static void let_go(void *arg)
{
    (void)arg;
    atomic_store(&relay.held, 0);
}

static void it_is_waited_for(struct world *w)
{
    struct busi_redis_reply reply;
    await_links(w, LINKS);
    cr_assert_eq(run(w, "DEL counted", &reply), BUSI_OK);
    atomic_store(&relay.held, 1);
    struct busi_timer *timer = busi_loop_after(w->loop, 2 * TIMEOUT_MS, let_go, NULL);
    cr_assert(timer);
    int64_t begin_ms = busi_now_ms();
    cr_assert_eq(run(w, "INCR counted", &reply), BUSI_OK);
    cr_assert_geq(busi_now_ms() - begin_ms, 2 * TIMEOUT_MS - 1);
    cr_assert_eq(reply.number, 1);
}

Test(redis_links, a_write_is_waited_for_while_others_are_heard)
{
    run_behind(TIMEOUT_MS, it_is_waited_for);
}

/* A few of these are more than the kernel takes from us while nobody reads it. */
static void send_large(void *arg)
{
    struct world *w = arg;
    struct busi_redis_reply reply;
    const size_t len = 1000000;
    char *large = calloc(1, len);
    const struct busi_str set[] = {BUSI_STR("SET"), BUSI_STR("large"), {large, len}};
    cr_assert(large);
    (void)!busi_redis_run(w->redis, &w->arena, 3, set, INT64_MAX, &reply);
    free(large);
}

static void cut_the_first(void *arg)
{
    (void)arg;
    atomic_store(&relay.cut, 1);
}

static void it_never_left(struct world *w)
{
    struct busi_redis_reply reply;
    await_links(w, LINKS);
    cr_assert_eq(run(w, "DEL counted large", &reply), BUSI_OK);
    atomic_store(&relay.held, 1);
    busi_fiber_sleep(20);
    struct busi_timer *timer = busi_loop_after(w->loop, 200, cut_the_first, NULL);
    cr_assert(timer);
    for (int i = 0; i < 9; i++) {
        cr_assert(busi_fiber_start(w->fibers, send_large, w));
        busi_fiber_sleep(1);
    }
    cr_assert_eq(run(w, "INCR counted", &reply), BUSI_OK, "it goes by another one");
    cr_assert_eq(reply.number, 1);
    busi_fiber_sleep(TIMEOUT_MS); /* for the others to end */
}

Test(redis_links, a_write_that_never_left_goes_elsewhere)
{
    run_behind(TIMEOUT_MS, it_never_left);
}

/* ---- a crowd, while links stall at random ---- */

enum { CROWD = 60, EACH = 60 };

static struct {
    struct world *w;
    size_t left;
    int answered, unknown, wrong;
    bool writes;
    struct busi_fiber *parent;
} crowd;

static void one_of_them(void *arg)
{
    char words[64], expected[32];
    struct busi_redis_reply reply;
    int me = (int)(intptr_t)arg;
    for (int i = 0; i < EACH; i++) {
        struct busi_arena arena;
        busi_arena_init(&arena, 65536);
        snprintf(expected, sizeof expected, "%d-%d", me, i);
        snprintf(words, sizeof words, crowd.writes ? "crowd-%s" : "%s", expected);
        const struct busi_str argv[] = {crowd.writes ? BUSI_STR("INCR") : BUSI_STR("ECHO"),
                                        busi_str_of(words)};
        enum busi_code code = busi_redis_run(crowd.w->redis, &arena, 2, argv, busi_now_ms() + 5000, &reply);
        bool right = crowd.writes ? reply.number == 1 : busi_str_eq(reply.text, busi_str_of(expected));
        crowd.answered += code == BUSI_OK;
        crowd.unknown += code != BUSI_OK;
        crowd.wrong += code == BUSI_OK && !right;
        busi_arena_fini(&arena);
        busi_fiber_sleep(50);
    }
    if (--crowd.left == 0)
        busi_fiber_wake(crowd.parent);
}

/* Two of three connections are silent at any moment, for as long as a lost packet takes, or three. */
static void let_them(struct world *w, bool writes)
{
    memset(&crowd, 0, sizeof crowd);
    crowd.w = w;
    crowd.writes = writes;
    crowd.left = CROWD;
    crowd.parent = busi_fiber_self();
    for (intptr_t i = 0; i < CROWD; i++)
        cr_assert(busi_fiber_start(w->fibers, one_of_them, (void *)i));
    uint32_t random = 1;
    while (crowd.left > 0) {
        random = random * 1664525 + 1013904223;
        atomic_store(&relay.held, 0x6DB6DB6DB6DB6DB6ULL << (random >> 8) % 3);
        (void)busi_fiber_wait(busi_now_ms() + 50 + random % 900);
    }
    atomic_store(&relay.held, 0);
    printf("%d answered, %d unknown, %d wrong, %d connections\n", crowd.answered, crowd.unknown, crowd.wrong,
           atomic_load(&relay.accepted));
    cr_assert_eq(crowd.wrong, 0);
    cr_assert_eq(busi_redis_generation(w->redis), 1, "it was never away");
}

static void many_readers(struct world *w)
{
    await_links(w, LINKS);
    let_them(w, false);
    cr_assert_leq(crowd.unknown, CROWD * EACH / 1000);
}

Test(redis_links, a_crowd_reads_though_links_stall)
{
    run_behind(TIMEOUT_MS, many_readers);
}

/* Of each key it is known whether it was counted, but once at most. */
static void many_writers(struct world *w)
{
    struct busi_redis_reply reply;
    char words[64];
    await_links(w, LINKS);
    cr_assert_eq(run(w, "FLUSHDB", &reply), BUSI_OK);
    let_them(w, true);
    cr_assert_leq(crowd.unknown, CROWD * EACH / 10);
    busi_fiber_sleep(1000); /* what is on its way arrives */
    int counted = 0;
    for (int i = 0; i < CROWD * EACH; i++) {
        struct busi_arena arena;
        busi_arena_init(&arena, 65536);
        snprintf(words, sizeof words, "crowd-%d-%d", i / EACH, i % EACH);
        const struct busi_str get[] = {BUSI_STR("GET"), busi_str_of(words)};
        cr_assert_eq(busi_redis_run(w->redis, &arena, 2, get, INT64_MAX, &reply), BUSI_OK);
        cr_assert(reply.type == BUSI_REDIS_NIL || busi_str_eq(reply.text, BUSI_STR("1")),
                  "%s was counted twice", words);
        counted += reply.type == BUSI_REDIS_TEXT;
        busi_arena_fini(&arena);
    }
    cr_assert(counted >= crowd.answered && counted <= crowd.answered + crowd.unknown);
}

Test(redis_links, a_crowd_writes_once_though_links_stall)
{
    run_behind(TIMEOUT_MS, many_writers);
}

/* ---- all of them ---- */

static void it_thaws(struct world *w)
{
    struct busi_redis_reply reply;
    await_links(w, LINKS);
    atomic_store(&relay.held, UINT64_MAX);
    int64_t begin_ms = busi_now_ms();
    cr_assert_neq(run(w, "GET it", &reply), BUSI_OK);
    cr_assert_lt(busi_now_ms() - begin_ms, TIMEOUT_MS + 100);
    cr_assert(wait_ready(w, false, TIMEOUT_MS + 200));
    begin_ms = busi_now_ms();
    cr_assert_eq(run(w, "GET it", &reply), BUSI_UNAVAILABLE);
    cr_assert_lt(busi_now_ms() - begin_ms, 20, "at once");
    busi_fiber_sleep(1000);
    cr_assert_leq(atomic_load(&relay.accepted), LINKS * 6, "nobody hammers at it");
    atomic_store(&relay.held, 0);
    cr_assert(wait_ready(w, true, 2000));
    cr_assert_eq(busi_redis_generation(w->redis), 2);
    cr_assert_eq(run(w, "PING", &reply), BUSI_OK);
}

Test(redis_links, a_server_that_is_silent_is_away)
{
    run_behind(TIMEOUT_MS, it_thaws);
}

static void cut_and_back(struct world *w)
{
    struct busi_redis_reply reply;
    await_links(w, LINKS);
    atomic_store(&relay.cut, UINT64_MAX);
    cr_assert(wait_ready(w, false, 500), "at once when the last connection has ended");
    cr_assert(wait_ready(w, true, 2000));
    cr_assert_eq(busi_redis_generation(w->redis), 2, "what was told is told again");
    cr_assert_eq(run(w, "PING", &reply), BUSI_OK);
}

Test(redis_links, when_all_are_cut_it_counts_as_another_redis)
{
    run_behind(TIMEOUT_MS, cut_and_back);
}

/* ---- where they lead ---- */

static struct peer other;

static const char *has_data_of_its_own(struct peer *peer, const char *words)
{
    if (strcmp(words, "INFO replication") == 0)
        return PEER_MASTER_OF("x");
    const char *greeting = peer_greets(words);
    if (!greeting && strncmp(words, "GET", 3) == 0)
        atomic_fetch_add(&peer->number, 1);
    return greeting ? greeting : "+OK\r\n";
}

static void keeps_to_one(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "SET whose 1", &reply), BUSI_OK);
    await_links(w, LINKS);
    for (int i = 0; i < 30; i++) {
        cr_assert_eq(run(w, "GET whose", &reply), BUSI_OK);
        cr_assert(busi_str_eq(reply.text, BUSI_STR("1")));
        busi_fiber_sleep(50);
    }
    cr_assert_gt(atomic_load(&other.clients), 0);
    cr_assert_eq(atomic_load(&other.number), 0, "it was never asked");
    cr_assert_eq(busi_redis_generation(w->redis), 1);
    atomic_store(&relay.cut, UINT64_MAX);
    cr_assert(wait_ready(w, false, 500));
    cr_assert(wait_ready(w, true, 5000));
    cr_assert_eq(busi_redis_generation(w->redis), 2, "then it is the Redis there is");
    cr_assert_eq(run(w, "GET whose", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("OK")));
}

Test(redis_links, one_to_other_data_is_not_used)
{
    peer_start(&other, has_data_of_its_own, NULL);
    port_of_later_ones = other.port;
    run_behind(TIMEOUT_MS, keeps_to_one);
    peer_stop(&other);
}
