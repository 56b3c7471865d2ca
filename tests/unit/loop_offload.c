#include "base/metrics.h"
#include "loop/offload.h"
#include "loop_kit.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

struct shop {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct busi_offload *offload;
    int customers; /* still waiting */
};

static struct shop open_shop(struct busi_offload_options options)
{
    struct shop shop = {.loop = kit_loop()};
    options.name = "shop";
    options.max_queue = options.max_queue ? options.max_queue : 100;
    options.max_wait_ms = options.max_wait_ms ? options.max_wait_ms : 10000;
    shop.fibers = busi_fibers_new(shop.loop, 64, 64 * 1024);
    shop.offload = busi_offload_new(shop.loop, &options);
    cr_assert_not_null(shop.fibers);
    cr_assert_not_null(shop.offload);
    return shop;
}

static void close_shop(struct shop *shop)
{
    busi_offload_free(&shop->offload);
    cr_assert_null(shop->offload);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_offload_queue), 0);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_offload_busy), 0);
    busi_fibers_free(&shop->fibers);
    busi_loop_free(&shop->loop);
}

struct customer {
    struct shop *shop;
    int64_t until_ms;
    int64_t work_ms;        /* what the job takes */
    enum busi_code code;    /* of the run */
    int64_t retry_after_ms; /* of the run */
    int64_t took_ms;        /* of the run */
    atomic_bool ran;
    pthread_t thread; /* that ran the job */
    void *state;      /* that it saw */
    sigset_t blocked; /* there */
};

static void serve(void *arg, void *state)
{
    struct customer *customer = arg;
    customer->thread = pthread_self();
    customer->state = state;
    pthread_sigmask(SIG_BLOCK, NULL, &customer->blocked);
    usleep((useconds_t)customer->work_ms * 1000);
    customer->ran = true;
}

static void visit(void *arg)
{
    struct customer *customer = arg;
    struct shop *shop = customer->shop;
    int64_t began_ms = busi_now_ms();
    shop->customers++;
    customer->retry_after_ms = -1;
    customer->code =
        busi_offload_run(shop->offload, serve, customer, customer->until_ms ? customer->until_ms : INT64_MAX,
                         &customer->retry_after_ms);
    customer->took_ms = busi_now_ms() - began_ms;
    if (--shop->customers == 0)
        busi_loop_stop(shop->loop);
}

static void enter(struct shop *shop, struct customer *customer)
{
    customer->shop = shop;
    cr_assert(busi_fiber_start(shop->fibers, visit, customer));
}

static atomic_int inits, finis;
static int marks[8];
static void *init_thread(void)
{
    return &marks[inits++];
}
static void fini_thread(void *state)
{
    finis += (int *)state >= marks && (int *)state < marks + 8;
}

Test(offload, jobs_run_on_their_own_threads_with_their_state_and_no_signals)
{
    struct shop shop = open_shop(
        (struct busi_offload_options){.threads = 2, .thread_init = init_thread, .thread_fini = fini_thread});
    struct customer customers[20] = {0};
    for (int i = 0; i < 20; i++) {
        customers[i].work_ms = 5;
        enter(&shop, &customers[i]);
    }
    cr_assert_eq(shop.customers, 20, "nobody is done before the loop turns");
    busi_loop_run(shop.loop);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(customers[i].code, BUSI_OK);
        cr_assert(customers[i].ran);
        cr_assert_not(pthread_equal(customers[i].thread, pthread_self()));
        cr_assert(customers[i].state == &marks[0] || customers[i].state == &marks[1]);
        cr_assert(sigismember(&customers[i].blocked, SIGTERM) && sigismember(&customers[i].blocked, SIGINT));
    }
    sigset_t ours;
    pthread_sigmask(SIG_BLOCK, NULL, &ours);
    cr_assert_not(sigismember(&ours, SIGTERM), "the loop's thread keeps its own mask");
    close_shop(&shop);
    cr_assert_eq(inits, 2);
    cr_assert_eq(finis, 2);
}

Test(offload, a_job_whose_time_passes_in_the_queue_is_not_run)
{
    struct shop shop = open_shop((struct busi_offload_options){.threads = 1});
    struct customer slow = {.work_ms = 150};
    struct customer hasty = {.work_ms = 1, .until_ms = busi_now_ms() + 30};
    struct customer behind = {.work_ms = 1};
    struct customer late = {.work_ms = 1, .until_ms = busi_now_ms() - 1};
    enter(&shop, &slow);
    enter(&shop, &hasty);
    enter(&shop, &behind);
    enter(&shop, &late);
    busi_loop_run(shop.loop);
    cr_assert_eq(slow.code, BUSI_OK);
    cr_assert_eq(hasty.code, BUSI_DEADLINE_EXCEEDED);
    cr_assert_lt(hasty.took_ms, 120, "told when its time passed, not when its turn came: %d ms",
                 (int)hasty.took_ms);
    cr_assert_eq(behind.code, BUSI_OK, "the queue is whole without it");
    cr_assert_eq(late.code, BUSI_DEADLINE_EXCEEDED);
    close_shop(&shop);
    cr_assert_not(hasty.ran);
    cr_assert_not(late.ran);
}

Test(offload, a_job_that_was_begun_is_waited_for)
{
    struct shop shop = open_shop((struct busi_offload_options){.threads = 1});
    struct customer customer = {.work_ms = 100, .until_ms = busi_now_ms() + 20};
    enter(&shop, &customer);
    busi_loop_run(shop.loop);
    cr_assert_eq(customer.code, BUSI_OK);
    cr_assert(customer.ran);
    cr_assert_geq(customer.took_ms, 100);
    close_shop(&shop);
}

Test(offload, past_the_queue_s_bound_jobs_are_refused_with_a_hint)
{
    struct shop shop = open_shop((struct busi_offload_options){.threads = 1, .max_queue = 3});
    struct customer customers[8] = {0};
    for (int i = 0; i < 8; i++) {
        customers[i].work_ms = 20;
        enter(&shop, &customers[i]);
    }
    int ok = 0;
    busi_loop_run(shop.loop);
    for (int i = 0; i < 8; i++) {
        ok += customers[i].code == BUSI_OK;
        if (customers[i].code == BUSI_OK)
            continue;
        cr_assert_eq(customers[i].code, BUSI_RESOURCE_EXHAUSTED);
        cr_assert_geq(customers[i].retry_after_ms, 1);
        cr_assert_not(customers[i].ran);
        cr_assert_lt(customers[i].took_ms, 20, "refused at once");
    }
    cr_assert(ok == 3 || ok == 4, "three queued and perhaps one begun by then: %d", ok);
    close_shop(&shop);
}

Test(offload, past_the_predicted_wait_jobs_are_refused_with_a_hint)
{
    struct shop shop =
        open_shop((struct busi_offload_options){.threads = 2, .max_wait_ms = 150, .guess_ms = 100});
    struct customer customers[8] = {0};
    for (int i = 0; i < 8; i++) {
        customers[i].work_ms = 60;
        /* two are begun at once; each of the others adds half a job's time */
        const int64_t predicted_ms[] = {0, 0, 50, 100, 150, 200, 200, 200};
        int64_t hint_ms = 0;
        cr_assert_eq(busi_offload_predicted_wait_ms(shop.offload), predicted_ms[i], "customer %d", i);
        cr_assert_eq(busi_offload_full(shop.offload, &hint_ms), i >= 5, "customer %d", i);
        cr_assert_eq(hint_ms, i >= 5 ? 200 : 0, "customer %d", i);
        enter(&shop, &customers[i]);
    }
    busi_loop_run(shop.loop);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(customers[i].code, i < 5 ? BUSI_OK : BUSI_RESOURCE_EXHAUSTED, "customer %d", i);
    for (int i = 5; i < 8; i++)
        cr_assert_eq(customers[i].retry_after_ms, 200);
    cr_assert_eq(busi_offload_predicted_wait_ms(shop.offload), 0);
    close_shop(&shop);
}

Test(offload, the_prediction_follows_what_jobs_take)
{
    struct shop shop = open_shop((struct busi_offload_options){.threads = 1, .guess_ms = 1000});
    for (int i = 0; i < 40; i++) {
        struct customer customer = {.work_ms = 1};
        enter(&shop, &customer);
        busi_loop_run(shop.loop);
        cr_assert_eq(customer.code, BUSI_OK);
    }
    struct customer two[2] = {{.work_ms = 50}, {.work_ms = 1}};
    enter(&shop, &two[0]);
    cr_assert_lt(busi_offload_predicted_wait_ms(shop.offload), 50, "%d ms",
                 (int)busi_offload_predicted_wait_ms(shop.offload));
    enter(&shop, &two[1]);
    busi_loop_run(shop.loop);
    close_shop(&shop);
}

Test(offload, free_finishes_what_is_queued)
{
    struct shop shop = open_shop((struct busi_offload_options){.threads = 1});
    struct customer customers[5] = {0};
    for (int i = 0; i < 5; i++) {
        customers[i].work_ms = 5;
        enter(&shop, &customers[i]);
    }
    busi_offload_free(&shop.offload);
    for (int i = 0; i < 5; i++)
        cr_assert(customers[i].ran);
    cr_assert_eq(shop.customers, 5);
    busi_loop_run(shop.loop);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(customers[i].code, BUSI_OK);
    close_shop(&shop);
}

static void read_gauges(void *arg)
{
    struct shop *shop = arg;
    cr_assert_eq(busi_metric_get(BUSI_METRIC_offload_busy), 1);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_offload_queue), 2);
    cr_assert_eq(shop->customers, 3);
}

Test(offload, its_gauges_tell_queue_and_busy_threads)
{
    struct shop shop = open_shop((struct busi_offload_options){.threads = 1});
    struct customer customers[3] = {{.work_ms = 200}, {.work_ms = 1}, {.work_ms = 1}};
    for (int i = 0; i < 3; i++)
        enter(&shop, &customers[i]);
    cr_assert_not_null(busi_loop_after(shop.loop, 60, read_gauges, &shop));
    busi_loop_run(shop.loop);
    close_shop(&shop);
}
