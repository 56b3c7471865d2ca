/* A certificate of which too many connections are made: its owner does not take the places of others. */
#include "rpc/crowd.h"
#include "rpc/link.h"
#include "rpc_curve_raw.h"
#include <stdio.h>

/* ---- who may come ---- */

enum { MOST = 200, FREE = MOST / 2 };

static size_t let_in_of(struct busi_crowd *crowd, size_t old, const char *name, size_t tries, int64_t now_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < tries; i++)
        n += busi_crowd_admits(crowd, old, MOST, name, now_ms);
    return n;
}

Test(rpc_crowd, up_to_half_anybody_comes_and_then_one_of_each_a_second)
{
    struct busi_crowd crowd = {0};
    int64_t now_ms = 100000;
    cr_expect_eq(let_in_of(&crowd, 0, "one", 10000, now_ms), FREE + 1);
    cr_expect_eq(let_in_of(&crowd, 0, "two", 100, now_ms), 1, "another has a place of its own");
    cr_expect_eq(let_in_of(&crowd, 0, "one", 100, now_ms + 999), 0);
    cr_expect_eq(let_in_of(&crowd, 0, "one", 100, now_ms + 1000), 1);
    now_ms += 2 * BUSI_CROWD_NEW_MS;
    cr_expect_eq(let_in_of(&crowd, FREE - 10, "one", 100, now_ms), 10 + 1, "once they are counted");
    cr_expect_eq(let_in_of(&crowd, 0, "one", 100, now_ms + 2 * BUSI_CROWD_NEW_MS), 100,
                 "when they have gone");
}

Test(rpc_crowd, at_the_bound_nobody_comes)
{
    struct busi_crowd crowd = {0};
    cr_expect_eq(let_in_of(&crowd, MOST, "one", 10, 100000), 0);
    cr_expect_eq(let_in_of(&crowd, MOST - 2, "one", 10, 100000), 1);
    cr_expect_eq(let_in_of(&crowd, MOST - 2, "two", 10, 100000), 1);
    cr_expect_eq(let_in_of(&crowd, MOST - 2, "three", 10, 100000), 0);
}

Test(rpc_crowd, of_more_names_than_are_kept_none_comes_oftener)
{
    struct busi_crowd crowd = {0};
    char name[64];
    size_t n = 0;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 2 * BUSI_CROWD_NAMES; i++) {
            snprintf(name, sizeof name, "name-%d", i);
            n += busi_crowd_admits(&crowd, FREE, MOST, name, 100000 + round * 10);
        }
    cr_expect_eq(n, BUSI_CROWD_NAMES);
}

Test(rpc_crowd, connections_are_counted_until_they_end)
{
    struct busi_connections connections = {0};
    for (int fd = 10; fd < 2000; fd++)
        busi_connections_came(&connections, fd, 1000);
    cr_expect_eq(busi_connections_old(&connections, 1000 + BUSI_CROWD_NEW_MS - 1), 0,
                 "may still be strangers");
    cr_expect_eq(busi_connections_old(&connections, 1000 + BUSI_CROWD_NEW_MS), 1990);
    for (int fd = 0; fd < 1000; fd++)
        busi_connections_went(&connections, fd);
    busi_connections_went(&connections, 1 << 20);
    busi_connections_came(&connections, -1, 1000);
    cr_expect_eq(busi_connections_old(&connections, 100000), 1000);
    busi_connections_came(&connections, 1500, 99000);
    cr_expect_eq(busi_connections_old(&connections, 100000), 999, "the same descriptor for somebody new");
    busi_connections_fini(&connections);
}

/* ---- and who does ---- */

static void make_house(char *folder)
{
    char command[256];
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(busi_curve_generate(folder, "worker", NULL), 0);
    cr_assert_eq(busi_curve_generate(folder, "billing", NULL), 0);
    cr_assert_eq(busi_curve_generate(folder, "gateway", NULL), 0);
    snprintf(command, sizeof command, "cd %s && mkdir allow && cp billing.pub gateway.pub allow/", folder);
    cr_assert_eq(system(command), 0);
}

static const char *pub_of(const char *folder)
{
    static char path[96];
    snprintf(path, sizeof path, "%s/worker.pub", folder);
    return path;
}

static struct busi_curve *open_curve(const char *folder, const char *key, bool serves)
{
    char path[96];
    const char *error;
    snprintf(path, sizeof path, "%s/%s", folder, key);
    struct busi_curve *curve = busi_curve_open(busi_str_of(path), &error);
    cr_assert_not_null(curve, "%s", error);
    snprintf(path, sizeof path, "%s/allow", folder);
    cr_assert(!serves || busi_curve_allow(curve, busi_str_of(path), &error), "%s", error);
    return curve;
}

static bool comes_in(struct by_hand *hand, const struct server *server, const char *folder, const char *name)
{
    char key[96];
    snprintf(key, sizeof key, "%s/%s.key", folder, name);
    begin_by_hand(hand, server, key, pub_of(folder));
    say_initiate(hand, DEALER, sizeof(DEALER) - 1);
    return let_in(hand);
}

/* So many connections of one socket, from an address each. */
static void come_often(void *link, const struct server *server, int n)
{
    char endpoint[128];
    for (int i = 0; i < n; i++) {
        snprintf(endpoint, sizeof endpoint, "tcp://127.1.%d.%d:0;%s", i / 250, i % 250 + 1, server->endpoint);
        cr_assert(busi_link_connect(link, endpoint));
    }
}

struct crowd {
    void *monitor;
    int n; /* connections that are up */
};

static bool is_half_full(void *arg)
{
    struct crowd *crowd = arg;
    for (enum busi_link_event event; (event = busi_link_event(crowd->monitor, NULL)) != BUSI_LINK_QUIET;)
        crowd->n += event == BUSI_LINK_UP;
    return crowd->n >= FREE - 1; /* and the client's */
}

Test(rpc_crowd, a_crowd_of_one_certificate_keeps_no_other_out, .timeout = 120)
{
    char folder[] = "/tmp/busi-crowd-XXXXXX", command[128];
    make_house(folder);
    struct busi_curve *worker = open_curve(folder, "worker.key", true);
    struct busi_curve *billing = open_curve(folder, "billing.key", false);
    struct server *server = start_server_for(MOST, worker);
    struct client *client = start_ready_client(server->endpoint, pub_of(folder), billing, 8);
    struct by_hand hand;
    const char *error;
    void *link = busi_link_open(BUSI_LINK_CLIENT, 8, 4096);
    struct crowd crowd = {.monitor = busi_link_monitor(link)};
    cr_assert(busi_curve_join(billing, link, busi_str_of(pub_of(folder)), false, &error), "%s", error);
    come_often(link, server, FREE + 50);
    cr_expect(within(10000, is_half_full, &crowd), "%d", crowd.n);
    sleep_ms(500);
    int n = crowd.n;
    sleep_ms(2000);
    (void)is_half_full(&crowd);
    cr_expect_lt(crowd.n - n, 5, "one each second: %d", crowd.n - n);
    for (n = 0; n < 10 && !comes_in(&hand, server, folder, "gateway"); n++)
        sleep_ms(100); /* what is not new any more may be counted twice for a moment */
    cr_expect_lt(n, 10, "another comes in at once");
    close(hand.fd);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK, "who is in is served");
    busi_link_close(&link);
    busi_link_close(&crowd.monitor);
    sleep_ms(2 * BUSI_CROWD_NEW_MS);
    for (n = 0; n < 64 && comes_in(&hand, server, folder, "billing"); n++)
        close(hand.fd);
    cr_expect_eq(n, 64, "when they have gone there is room again");
    stop_client(&client);
    stop_server(&server);
    busi_curve_close(&worker);
    busi_curve_close(&billing);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}
