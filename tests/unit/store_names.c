/* D-06: what a name server may answer when a store is looked for. */
#define _GNU_SOURCE /* unshare */
#include "base/clock.h"
#include "dns_server.h"
#include "loop/loop.h"
#include "store/resolve.h"

TestSuite(store_names, .init = dns_start, .timeout = 60);

static struct busi_loop *loop;
static struct busi_resolved found;
static bool answered;
static int turns;

static void on_answer(void *arg, const struct busi_resolved *resolved)
{
    (void)arg;
    found = *resolved;
    answered = true;
    busi_loop_stop(loop);
}

static void on_tick(void *arg)
{
    (void)arg;
    turns++;
}

/* How many addresses; the loop turns meanwhile. */
static size_t resolve(const char *hosts)
{
    loop = busi_loop_new();
    answered = false;
    turns = 0;
    struct busi_timer *tick = busi_loop_every(loop, 10, on_tick, NULL);
    struct busi_resolve *handle = busi_resolve_start(loop, hosts, on_answer, NULL);
    cr_assert(tick && handle);
    int64_t began_ms = busi_now_ms();
    busi_loop_run(loop);
    cr_expect(answered);
    int64_t took_ms = busi_now_ms() - began_ms;
    cr_expect_geq(turns, took_ms / 100, "the loop stood still for %s: %d turns in %d ms", hosts, turns,
                  (int)took_ms);
    busi_timer_free(&tick);
    busi_loop_free(&loop);
    return found.n;
}

Test(store_names, addresses_of_both_kinds_up_to_a_bound) /* D-06 */
{
    cr_expect_eq(resolve("one.test"), 1);
    cr_expect_str_eq(found.items[0].text, "127.0.0.1");
    cr_expect_eq(resolve("fifty.test"), BUSI_RESOLVE_MOST);
    cr_expect_eq(resolve("many.test"), BUSI_RESOLVE_MOST);
    cr_expect_eq(resolve("six.test"), 1);
    cr_expect_str_eq(found.items[0].text, "::1");
    cr_expect_eq(resolve("slow.test"), 1);
    atomic_store(&dns_round, 7);
    cr_expect_eq(resolve("changes.test"), 3);
    cr_expect(strncmp(found.items[0].text, "127.0.107.", 10) == 0, "%s", found.items[0].text);
}

Test(store_names, what_is_no_answer_is_nothing) /* D-06 */
{
    static const char *const names[] = {"none.test", "fails.test", "refuses.test", "empty.test",
                                        "loop.test", "short.test", "garbage.test", "promises.test"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_eq(resolve(names[i]), 0, "%s", names[i]);
    cr_expect_eq(resolve("none.test,one.test"), 1);
    cr_expect_eq(found.items[0].host, 1, "of the second");
}

static void never(void *arg, const struct busi_resolved *resolved)
{
    (void)arg;
    (void)resolved;
    cr_assert_fail("it was cancelled");
}

Test(store_names, silence_holds_up_nobody_and_ends) /* D-06 */
{
    loop = busi_loop_new();
    int64_t began_ms = busi_now_ms();
    struct busi_resolve *handle = busi_resolve_start(loop, "silent.test", never, NULL);
    cr_assert_not_null(handle);
    busi_resolve_cancel(&handle);
    busi_loop_free(&loop);
    cr_expect_lt(busi_now_ms() - began_ms, 500);
    cr_expect_eq(resolve("silent.test"), 0);
    cr_expect_lt(busi_now_ms() - began_ms, 12000, "four seconds as the resolver is set, then it is told");
}
