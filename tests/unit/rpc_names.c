/* D-06: what a name server may answer when workers are looked for. */
#define _GNU_SOURCE /* unshare */
#include "base/clock.h"
#include "dns_server.h"
#include "rpc/resolver.h"
#include "rpc_house.h"

TestSuite(rpc_names, .init = dns_start, .timeout = 60);

struct waiting {
    struct busi_resolver *resolver;
    size_t i; /* which name */
    struct busi_addresses found;
};

static bool taken(void *arg)
{
    struct waiting *waiting = arg;
    return busi_resolver_take(waiting->resolver, waiting->i, &waiting->found);
}

static struct busi_resolver *look_for(const char *name)
{
    const struct busi_str host = busi_str_of(name);
    struct busi_resolver *resolver = busi_resolver_new(&host, 1);
    cr_assert_not_null(resolver);
    return resolver;
}

static void expect_found(const char *name, size_t n)
{
    struct waiting waiting = {.resolver = look_for(name)};
    cr_expect(within(5000, taken, &waiting), "%s was not found", name);
    cr_expect_eq(waiting.found.n, n, "%s has %zu addresses", name, waiting.found.n);
    for (size_t i = 1; i < waiting.found.n; i++)
        cr_expect_lt(waiting.found.ipv4[i - 1], waiting.found.ipv4[i]);
    busi_resolver_free(&waiting.resolver);
}

Test(rpc_names, all_addresses_are_workers_up_to_a_bound) /* D-06 */
{
    expect_found("one.test", 1);
    expect_found("fifty.test", 50);
    expect_found("many.test", BUSI_MOST_ADDRESSES);
    expect_found("slow.test", 1);
    expect_found("127.0.0.9", 1);
}

/* IPv4 alone: a name that has IPv6 addresses only is as one that is not there. */
Test(rpc_names, what_is_no_answer_names_nobody) /* D-06 */
{
    static const char *const names[] = {"none.test",  "fails.test",    "refuses.test", "silent.test",
                                        "six.test",   "empty.test",    "loop.test",    "garbage.test",
                                        "short.test", "promises.test", "stranger.test"};
    enum { NAMES = sizeof names / sizeof *names };
    struct waiting waiting[NAMES];
    for (size_t i = 0; i < NAMES; i++)
        waiting[i] = (struct waiting){.resolver = look_for(names[i])};
    sleep_ms(3500); /* longer than the resolver waits */
    for (size_t i = 0; i < NAMES; i++) {
        cr_expect_not(taken(&waiting[i]), "%s has %zu addresses", names[i], waiting[i].found.n);
        busi_resolver_free(&waiting[i].resolver);
    }
}

Test(rpc_names, nobody_waits_for_a_slow_server) /* D-06 */
{
    int64_t began_ms = busi_now_ms();
    struct waiting waiting = {.resolver = look_for("silent.test")};
    cr_expect_not(taken(&waiting));
    sleep_ms(100);
    cr_expect_not(taken(&waiting));
    busi_resolver_hurry(waiting.resolver);
    busi_resolver_free(&waiting.resolver);
    cr_expect_lt(busi_now_ms() - began_ms, 600);
}

Test(rpc_names, a_changed_answer_is_followed_and_a_lost_one_kept) /* D-06 */
{
    struct waiting waiting = {.resolver = look_for("changes.test")};
    cr_assert(within(5000, taken, &waiting));
    cr_expect_eq(ntohl(waiting.found.ipv4[0]), 0x7F006401);
    cr_expect_not(taken(&waiting), "the same answer is no news");
    atomic_store(&dns_round, 1);
    busi_resolver_hurry(waiting.resolver);
    cr_assert(within(7000, taken, &waiting));
    cr_expect_eq(ntohl(waiting.found.ipv4[0]), 0x7F006501);
    busi_resolver_free(&waiting.resolver);
}

/* Several names: one that does not answer keeps those behind it waiting no longer than it takes to give up.
 */
Test(rpc_names, one_dead_name_is_not_the_end_of_others) /* D-06 */
{
    const struct busi_str hosts[] = {BUSI_STR("silent.test"), BUSI_STR("one.test"), BUSI_STR("none.test")};
    struct waiting waiting = {.resolver = busi_resolver_new(hosts, 3), .i = 1};
    cr_assert_not_null(waiting.resolver);
    cr_expect(within(8000, taken, &waiting));
    cr_expect_eq(waiting.found.n, 1);
    busi_resolver_free(&waiting.resolver);
}

/* And whole: a client whose worker has a name is ready although its other name never answers. */
Test(rpc_names, a_client_finds_its_worker_by_name) /* D-06 */
{
    struct server *server = start_server("one", "*", NULL, 8);
    char endpoints[80];
    const char *port = strrchr(server->endpoint, ':');
    snprintf(endpoints, sizeof endpoints, "one.test%s,silent.test%s,none.test%s", port, port, port);
    struct client *client = start_client_of("directory", endpoints, "", NULL, 8);
    cr_expect(within(8000, is_ready, client));
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
}
