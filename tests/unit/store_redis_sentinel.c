#include "store_redis_kit.h"
#include "store_redis_peer.h"

/* Sentinels that are of different minds, which real ones are only for moments; those are met in tests/faults.
 * The master is the test server, or a peer. */
TestSuite(redis_sentinel, .timeout = 60);

enum { LEASE_MS = 3000 };

static struct peer sentinels[3], other;
static int master_port; /* of the test server */

/* number: the port it names; 0 none, -1 it is silent, -2 it says what it is told to. */
static const char *names_a_master(struct peer *peer, const char *words)
{
    static char texts[3][64];
    char *text = texts[peer - sentinels], port[8];
    int number = atomic_load(&peer->number);
    if (strcmp(words, "AUTH watcher se&cret") == 0)
        return "+OK\r\n";
    if (strcmp(words, "PING") == 0)
        return "+PONG\r\n";
    if (strcmp(words, "SENTINEL GET-MASTER-ADDR-BY-NAME main") != 0)
        return "-ERR unknown command\r\n";
    if (number <= 0)
        return number == 0 ? "*-1\r\n" : number == -1 ? "" : peer->says;
    int len = snprintf(port, sizeof port, "%d", number);
    snprintf(text, sizeof texts[0], "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", len, port);
    return text;
}

static const char *is_a_master(struct peer *peer, const char *words)
{
    (void)peer;
    const char *greeting = peer_greets(words);
    return greeting ? greeting : "+OK\r\n";
}

static void all_name(int a, int b, int c)
{
    atomic_store(&sentinels[0].number, a);
    atomic_store(&sentinels[1].number, b);
    atomic_store(&sentinels[2].number, c);
}

static void run_among(void (*body)(struct world *), const char *says)
{
    char url[300];
    const char *port = strrchr(server(), ':'), *user = strstr(server(), "//"), *at = strchr(server(), '@');
    cr_assert(port && user && at);
    master_port = atoi(port + 1);
    for (int i = 0; i < 3; i++)
        peer_start(&sentinels[i], names_a_master, says);
    peer_start(&other, is_a_master, NULL);
    all_name(master_port, master_port, master_port);
    snprintf(url, sizeof url,
             "sentinel:%.*s@127.0.0.1:%d,localhost:%d,127.0.0.1:%d/m%%61in/15"
             "?sentinel_password=se%%26cret&sentinel_user=watcher",
             (int)(at - user), user, sentinels[0].port, sentinels[1].port, sentinels[2].port);
    run_with(url, 500, body);
    for (int i = 0; i < 3; i++)
        peer_stop(&sentinels[i]);
    peer_stop(&other);
}

/* Who is believed now had to wait until nobody could believe another one. */
static void becomes_ready_not_before(struct world *w, int64_t begin_ms)
{
    cr_assert(wait_ready(w, true, 10000));
    cr_assert_geq(busi_now_ms() - begin_ms, LEASE_MS);
}

static void agreement(struct world *w)
{
    struct busi_redis_reply reply;
    becomes_ready_not_before(w, busi_now_ms());
    cr_assert_eq(run(w, "PING", &reply), BUSI_OK);
    cr_assert_eq(busi_redis_generation(w->redis), 1);
    all_name(0, master_port, master_port);
    cr_assert_not(wait_ready(w, false, LEASE_MS + 1500), "two of three are enough");
    cr_assert_eq(busi_redis_generation(w->redis), 1);
}

Test(redis_sentinel, two_of_three_are_enough)
{
    run_among(agreement, NULL);
}

static void disagreement(struct world *w)
{
    all_name(master_port, other.port, 0);
    cr_assert_not(wait_ready(w, true, LEASE_MS + 1000));
    all_name(master_port, -1, -1);
    cr_assert_not(wait_ready(w, true, LEASE_MS + 1000));
    cr_assert_eq(atomic_load(&other.clients), 0, "nobody has gone there");
    all_name(-1, master_port, master_port);
    cr_assert(wait_ready(w, true, 10000));
}

Test(redis_sentinel, one_of_three_is_not)
{
    run_among(disagreement, NULL);
}

static void another_master(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 10000));
    int64_t begin_ms = busi_now_ms();
    all_name(other.port, other.port, master_port);
    cr_assert(wait_ready(w, false, 1500), "the old one is left, though it answers");
    cr_assert_eq(run(w, "PING", &reply), BUSI_UNAVAILABLE);
    becomes_ready_not_before(w, begin_ms);
    cr_assert_eq(run(w, "GET it", &reply), BUSI_OK);
    cr_assert(busi_str_eq(reply.text, BUSI_STR("OK")), "the other one answered");
    cr_assert_eq(busi_redis_generation(w->redis), 2);
}

Test(redis_sentinel, another_master_is_followed)
{
    run_among(another_master, NULL);
}

static void silence(struct world *w)
{
    cr_assert(wait_ready(w, true, 10000));
    int64_t begin_ms = busi_now_ms();
    all_name(master_port, -1, -1);
    cr_assert(wait_ready(w, false, LEASE_MS + 500), "cut off from the majority");
    cr_assert_geq(busi_now_ms() - begin_ms, LEASE_MS - 1000, "a moment of silence does no harm");
    begin_ms = busi_now_ms();
    all_name(master_port, master_port, master_port);
    becomes_ready_not_before(w, begin_ms);
}

Test(redis_sentinel, a_majority_must_go_on_saying_so)
{
    run_among(silence, NULL);
}

static void nonsense(struct world *w)
{
    all_name(-2, -2, -2);
    cr_assert_not(wait_ready(w, true, LEASE_MS + 700));
    all_name(master_port, master_port, master_port);
    cr_assert(wait_ready(w, true, 10000));
}

Test(redis_sentinel, nonsense_names_nobody)
{
    static const char *const texts[] = {"*2\r\n$5\r\n/sock\r\n$1\r\n1\r\n",
                                        "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n",
                                        "*1\r\n$9\r\n127.0.0.1\r\n",
                                        "*2\r\n*0\r\n$4\r\n6379\r\n",
                                        "-NOPERM this user has no permissions\r\n",
                                        "*4294967295\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        run_among(nonsense, texts[i]);
}
