#include "store_redis_kit.h"
#include "store_redis_peer.h"

/* Whatever a server answers, it is never taken for a verdict, and never for another's reply. */
TestSuite(redis_hostile, .timeout = 20);

static const char *lies(struct peer *peer, const char *words)
{
    const char *greeting = peer_greets(words);
    return greeting ? greeting : peer->says;
}

static void run_against(struct peer *peer, int64_t timeout_ms, void (*body)(struct world *))
{
    char url[64];
    snprintf(url, sizeof url, "redis://127.0.0.1:%d", peer->port);
    run_with(url, timeout_ms, body);
}

static void is_refused(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    int64_t begin_ms = busi_now_ms();
    cr_assert_eq(run(w, "GET it", &reply), BUSI_UNAVAILABLE);
    cr_assert_lt(busi_now_ms() - begin_ms, 1500);
    cr_assert_not(busi_redis_ready(w->redis), "the connection is given up");
    cr_assert(wait_ready(w, true, 3000), "and made anew");
}

static void expect_refused(const char *says)
{
    struct peer peer;
    peer_start(&peer, lies, says);
    run_against(&peer, 2000, is_refused);
    peer_stop(&peer);
}

Test(redis_hostile, a_huge_array) /* D-01 */
{
    expect_refused("*2000000000\r\n:1\r\n");
}

Test(redis_hostile, an_array_past_every_number) /* D-01 */
{
    expect_refused("*4294967295\r\n:1\r\n");
}

Test(redis_hostile, many_large_arrays) /* D-01 */
{
    expect_refused("*40000\r\n*40000\r\n");
}

Test(redis_hostile, a_huge_bulk) /* D-01 */
{
    static char says[(1 << 21) + 16] = "$536870912\r\n";
    memset(says + 12, 'x', sizeof says - 13);
    expect_refused(says);
}

Test(redis_hostile, a_bulk_of_negative_length) /* D-01 */
{
    expect_refused("$-2\r\n");
}

Test(redis_hostile, deep_nesting) /* D-01 */
{
    expect_refused("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n");
}

Test(redis_hostile, what_is_no_reply) /* D-01 */
{
    expect_refused("HTTP/1.1 400 Bad Request\r\n\r\n");
}

Test(redis_hostile, a_push_of_another_protocol) /* D-01 */
{
    expect_refused(">2\r\n$10\r\ninvalidate\r\n*0\r\n");
}

Test(redis_hostile, kinds_of_another_protocol_and_of_none) /* D-01 */
{
    static const char *const says[] = {"%1\r\n+a\r\n:1\r\n",
                                       "_\r\n",
                                       "#t\r\n",
                                       ",1.5\r\n",
                                       "~1\r\n:1\r\n",
                                       "(123\r\n",
                                       "=5\r\ntxt:a\r\n",
                                       "$abc\r\n",
                                       "*abc\r\n",
                                       "*-2\r\n",
                                       "*2147483648\r\n",
                                       "$99999999999999999999\r\n",
                                       "\r\n",
                                       "\x01\x02\r\n"};
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++)
        expect_refused(says[i]);
}

static void more_than_asked(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    (void)!run(w, "GET it", &reply);
    cr_assert(wait_ready(w, false, 1000));
}

Test(redis_hostile, two_replies_to_one_command) /* D-01 */
{
    struct peer peer;
    peer_start(&peer, lies, "$1\r\na\r\n$1\r\nb\r\n");
    run_against(&peer, 500, more_than_asked);
    peer_stop(&peer);
}

static void says_unavailable(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(run(w, "GET it", &reply), BUSI_UNAVAILABLE);
}

Test(redis_hostile, states_of_the_server) /* D-01 */
{
    static const char *const states[] = {"-LOADING Redis is loading the dataset in memory\r\n",
                                         "-READONLY You can't write against a read only replica.\r\n",
                                         "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
                                         "-MISCONF Redis is configured to save RDB snapshots\r\n",
                                         "-NOAUTH Authentication required.\r\n",
                                         "-BUSY Redis is busy running a script.\r\n",
                                         "-MASTERDOWN Link with MASTER is down\r\n",
                                         "-NOREPLICAS Not enough good replicas to write.\r\n",
                                         "*2\r\n:1\r\n-LOADING\r\n"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct peer peer;
        peer_start(&peer, lies, states[i]);
        run_against(&peer, 500, says_unavailable);
        peer_stop(&peer);
    }
}

/* ---- the greeting ---- */

static const char *greets_wrongly(struct peer *peer, const char *words)
{
    const char *name = peer->says, *says = strchr(name, '=') + 1;
    size_t len = (size_t)(says - name) - 1;
    return strncmp(words, name, len) == 0 ? says : peer_greets(words);
}

static void never_ready(struct world *w)
{
    cr_assert_not(wait_ready(w, true, 400));
}

Test(redis_hostile, greetings_that_are_refused) /* D-01 */
{
    static const char *const greetings[] = {"PING=-LOADING Redis is loading the dataset in memory\r\n",
                                            "PING=-NOAUTH Authentication required.\r\n",
                                            ("INFO=" PEER_REPLICA),
                                            "INFO=-NOPERM no permission\r\n",
                                            "INFO=$-1\r\n",
                                            "INFO=:1\r\n",
                                            "INFO=$0\r\n\r\n",
                                            "INFO=*1\r\n$11\r\nrole:master\r\n"};
    for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++) {
        struct peer peer;
        peer_start(&peer, greets_wrongly, greetings[i]);
        run_against(&peer, 500, never_ready);
        cr_assert_geq(atomic_load(&peer.clients), 1);
        peer_stop(&peer);
    }
}

/* ---- the looks ---- */

static const char *becomes_a_replica(struct peer *peer, const char *words)
{
    if (strcmp(words, "INFO replication") != 0)
        return lies(peer, words);
    return atomic_fetch_add(&peer->number, 1) == 0 ? PEER_MASTER : PEER_REPLICA;
}

static void leaves_it(struct world *w)
{
    cr_assert(wait_ready(w, true, 3000));
    cr_assert(wait_ready(w, false, 2000));
    cr_assert_not(wait_ready(w, true, 1000));
}

Test(redis_hostile, a_master_that_becomes_a_replica)
{
    struct peer peer;
    peer_start(&peer, becomes_a_replica, "+OK\r\n");
    run_against(&peer, 500, leaves_it);
    peer_stop(&peer);
}

/* Of several links one alone is told so, once. */
static const char *seems_replaced(struct peer *peer, const char *words)
{
    if (strcmp(words, "INFO replication") != 0)
        return lies(peer, words);
    return atomic_fetch_add(&peer->number, 1) == 2 * LINKS ? PEER_REPLICA : PEER_MASTER_OF("a");
}

static void leaves_it_whole(struct world *w)
{
    cr_assert(wait_ready(w, true, 3000));
    cr_assert(wait_ready(w, false, 4000));
    cr_assert_eq(busi_redis_generation(w->redis), 1);
    cr_assert(wait_ready(w, true, 1000));
    cr_assert_eq(busi_redis_generation(w->redis), 2, "what was told is told again");
}

Test(redis_hostile, what_one_link_learns_is_true_of_all)
{
    struct peer peer;
    peer_start(&peer, seems_replaced, "+OK\r\n");
    run_against(&peer, 500, leaves_it_whole);
    cr_assert_gt(atomic_load(&peer.clients), LINKS);
    peer_stop(&peer);
}

static const char *gets_other_data(struct peer *peer, const char *words)
{
    if (strcmp(words, "INFO replication") != 0)
        return lies(peer, words);
    return atomic_fetch_add(&peer->number, 1) < 2 ? PEER_MASTER_OF("a") : PEER_MASTER_OF("b");
}

static void counts_it(struct world *w)
{
    cr_assert(wait_ready(w, true, 3000));
    cr_assert_eq(busi_redis_generation(w->redis), 1);
    for (int64_t until_ms = busi_now_ms() + 4000; busi_now_ms() < until_ms;) {
        if (busi_redis_generation(w->redis) == 2)
            break;
        cr_assert(busi_redis_ready(w->redis), "the connection is kept");
        busi_fiber_sleep(20);
    }
    cr_assert_eq(busi_redis_generation(w->redis), 2);
    busi_fiber_sleep(1500);
    cr_assert_eq(busi_redis_generation(w->redis), 2, "once");
}

Test(redis_hostile, a_master_that_got_other_data)
{
    struct peer peer;
    peer_start(&peer, gets_other_data, "+OK\r\n");
    run_against(&peer, 500, counts_it);
    peer_stop(&peer);
}

/* ---- late replies ---- */

static const char *answers_late(struct peer *peer, const char *words)
{
    (void)peer;
    if (strcmp(words, "GET first") == 0) {
        usleep(400 * 1000);
        return "$5\r\nfirst\r\n";
    }
    return strcmp(words, "GET second") == 0 ? "$6\r\nsecond\r\n" : peer_greets(words);
}

static void never_mixed(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(run(w, "GET first", &reply), BUSI_DEADLINE_EXCEEDED);
        cr_assert(wait_ready(w, true, 5000));
        cr_assert_eq(run(w, "GET second", &reply), BUSI_OK);
        cr_assert(busi_str_eq(reply.text, BUSI_STR("second")));
    }
}

Test(redis_hostile, a_late_reply_reaches_nobody) /* D-02 */
{
    struct peer peer;
    peer_start(&peer, answers_late, NULL);
    run_against(&peer, 150, never_mixed);
    peer_stop(&peer);
}
