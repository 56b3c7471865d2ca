/* The connection to Redis while memory is refused. */
#include "scarce.h"
#include "store/redis_internal.h"
#include "store_redis_kit.h"

TestSuite(redis_scarce, .timeout = 60);

static void it_comes_back(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    scarce_begin(1, INT64_MAX);
    (void)!run(w, "QUIT", &reply);
    cr_assert(wait_ready(w, false, 1000));
    busi_fiber_sleep(500); /* it tries again meanwhile, in vain */
    cr_assert_gt(scarce_end(), 0);
    cr_assert(wait_ready(w, true, 5000), "a connection that was lost without memory comes back");
    cr_assert_eq(run(w, "PING", &reply), BUSI_OK);
}

Test(redis_scarce, a_connection_lost_then_comes_back)
{
    run_over(server(), 500, 1, it_comes_back);
}

static size_t linked(const struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < LINKS; i++)
        n += w->redis->links[i].state == REDIS_LINKED;
    return n;
}

static void await_links(struct world *w, size_t n)
{
    for (int64_t until_ms = busi_now_ms() + 5000; linked(w) != n && busi_now_ms() < until_ms;)
        busi_fiber_sleep(5);
    cr_assert_eq(linked(w), n);
}

/* Each of them, while there is no memory for anything. */
static void they_all_come_back(struct world *w)
{
    struct busi_redis_reply reply;
    cr_assert(wait_ready(w, true, 3000));
    await_links(w, LINKS);
    scarce_begin(1, INT64_MAX);
    for (int i = 0; i < 100 && busi_redis_ready(w->redis); i++) { /* the first that is left takes it */
        (void)!run(w, "QUIT", &reply);
        busi_fiber_sleep(5);
    }
    cr_assert_not(busi_redis_ready(w->redis));
    busi_fiber_sleep(500);
    cr_assert_gt(scarce_end(), 0);
    await_links(w, LINKS);
    cr_assert_eq(busi_redis_generation(w->redis), 2);
    cr_assert_eq(run(w, "PING", &reply), BUSI_OK);
}

Test(redis_scarce, links_lost_then_come_back)
{
    run_with(server(), 500, they_all_come_back);
}

static int64_t refused_number; /* which allocation */
static bool was_refused;

/* Of a greeting that was not said whole nothing would tell: commands would go to another database, or to a
 * Redis of which nobody has asked what it is. */
static void it_has_greeted(struct world *w)
{
    struct busi_redis_reply reply;
    char db[16];
    scarce_begin(refused_number, 1);
    busi_fiber_sleep(60);
    was_refused = scarce_end() > 0;
    cr_assert(wait_ready(w, true, 5000), "allocation %d", (int)refused_number);
    cr_assert_eq(run(w, "CLIENT INFO", &reply), BUSI_OK);
    snprintf(db, sizeof db, " db=%d ", w->redis->url.db);
    cr_expect(strstr(reply.text.ptr, db), "allocation %d: %s", (int)refused_number, reply.text.ptr);
    cr_expect(w->redis->history[0], "allocation %d: it was not asked of which data it is",
              (int)refused_number);
}

Test(redis_scarce, nobody_serves_who_was_not_greeted)
{
    was_refused = true;
    for (refused_number = 1; was_refused && refused_number < 100; refused_number++)
        run_with(server(), 500, it_has_greeted);
    cr_assert_gt(refused_number, 5);
}
