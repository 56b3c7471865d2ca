/* Several workers: balance, loss, drain, silence, return. */
#include "base/metrics.h"
#include "rpc/client_internal.h"
#include "rpc_house.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- load from several threads ---- */

enum { THREADS = 8 };

struct load {
    struct client *client;
    atomic_bool stop;
    int64_t id;                                  /* asked for */
    atomic_int ok, unavailable, deadline, other; /* by code */
    atomic_int by_a;                             /* answered by server "a" */
    atomic_long slowest_ms;                      /* call */
    pthread_t threads[THREADS];
};

static void count(struct load *load, enum busi_code code, const char *tag, int64_t took_ms)
{
    if (code == BUSI_OK)
        load->ok++;
    else if (code == BUSI_UNAVAILABLE)
        load->unavailable++;
    else if (code == BUSI_DEADLINE_EXCEEDED)
        load->deadline++;
    else
        load->other++;
    if (code == BUSI_OK && strcmp(tag, "a") == 0)
        load->by_a++;
    long slowest = load->slowest_ms;
    while (took_ms > slowest && !atomic_compare_exchange_weak(&load->slowest_ms, &slowest, took_ms))
        ;
}

static void *call_on(void *arg)
{
    struct load *load = arg;
    while (!load->stop) {
        char tag[16] = "";
        int64_t began_ms = busi_now_ms();
        enum busi_code code = get_business(load->client, load->id, 1000, tag);
        count(load, code, tag, busi_now_ms() - began_ms);
        if (code != BUSI_OK)
            sleep_ms(1);
    }
    return NULL;
}

static void start_load(struct load *load, struct client *client, int64_t id)
{
    *load = (struct load){.client = client, .id = id};
    for (int i = 0; i < THREADS; i++)
        pthread_create(&load->threads[i], NULL, call_on, load);
}

static void stop_load(struct load *load)
{
    load->stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(load->threads[i], NULL);
}

static char *both(const struct server *a, const struct server *b)
{
    static char endpoints[160];
    snprintf(endpoints, sizeof endpoints, "%s, %s", a->endpoint, b->endpoint);
    return endpoints;
}

/* Until both have been heard of: ready only says that one has. */
static bool both_answer(void *arg)
{
    struct load *seen = arg;
    char tag[16] = "";
    if (get_business(seen->client, 1, 500, tag) == BUSI_OK)
        count(seen, BUSI_OK, tag, 0);
    return seen->by_a > 0 && seen->ok > seen->by_a;
}

static struct client *start_with_both(const struct server *a, const struct server *b)
{
    struct client *client = start_ready_client(both(a, b), "", NULL, 64);
    struct load seen = {.client = client};
    cr_assert(within(3000, both_answer, &seen));
    return client;
}

/* ---- tests ---- */

Test(rpc_workers, calls_are_spread_evenly)
{
    struct server *a = start_server("a", "*", NULL, 64), *b = start_server("b", "*", NULL, 64);
    struct client *client = start_with_both(a, b);
    struct load load;
    start_load(&load, client, ID_SLEEP + 2);
    sleep_ms(700);
    stop_load(&load);
    cr_expect_eq(load.unavailable + load.deadline + load.other, 0);
    cr_expect_gt(load.ok, 100);
    cr_expect(load.by_a > load.ok / 4 && load.by_a < load.ok * 3 / 4, "%d of %d by one of two", load.by_a,
              load.ok);
    stop_client(&client);
    stop_server(&a);
    stop_server(&b);
}

Test(rpc_workers, the_slow_one_gets_less)
{
    struct server *a = start_server("a", "*", NULL, 64), *b = start_server("b", "*", NULL, 64);
    struct client *client = start_with_both(a, b);
    struct load slow, fast;
    /* eight threads keep whoever they meet busy for 200 ms; the others should mostly meet the other */
    start_load(&slow, client, ID_SLEEP + 200);
    start_load(&fast, client, 1);
    sleep_ms(1000);
    stop_load(&fast);
    stop_load(&slow);
    cr_expect_eq(fast.unavailable + fast.deadline + fast.other, 0);
    cr_expect_lt(fast.slowest_ms, 400, "behind the slow ones: %ld ms", fast.slowest_ms);
    stop_client(&client);
    stop_server(&a);
    stop_server(&b);
}

static bool a_is_back(void *load)
{
    return ((struct load *)load)->by_a > 0;
}

Test(rpc_workers, one_dies_under_load_and_comes_back)
{
    struct server *a = start_server("a", "*", NULL, 64), *b = start_server("b", "*", NULL, 64);
    struct client *client = start_with_both(a, b);
    struct load load;
    char port[16];
    snprintf(port, sizeof port, "%s", strchr(a->endpoint, ':') + 1);
    start_load(&load, client, ID_SLEEP + 5);
    sleep_ms(300);
    stop_server(&a); /* its sockets close with calls in flight */
    sleep_ms(1000);
    int ok = load.ok;
    sleep_ms(200);
    cr_expect_gt(load.ok, ok + 50, "the other goes on");
    load.by_a = 0;
    a = start_server("a", port, NULL, 64);
    cr_expect(within(5000, a_is_back, &load), "it gets calls again without a restart of the client");
    stop_load(&load);
    cr_expect_eq(load.other, 0);
    cr_expect_eq(load.unavailable, 0,
                 "what was in flight, or could not be sent, went to the other: %d failed", load.unavailable);
    cr_expect_leq(load.deadline, THREADS, "%d", load.deadline);
    cr_expect_leq(load.slowest_ms, 1100, "%ld ms: past the deadline", load.slowest_ms);
    stop_client(&client);
    stop_server(&b);
    stop_server(&a);
}

Test(rpc_workers, lost_calls_are_retried_when_they_may_be)
{
    struct server *a = start_server("a", "*", NULL, 64), *b = start_server("b", "*", NULL, 64);
    struct client *client = start_with_both(a, b);
    struct load load;
    start_load(&load, client, ID_SLEEP + 300); /* so that most are in flight when one dies */
    sleep_ms(100);
    stop_server(&a);
    sleep_ms(600);
    stop_load(&load);
    cr_expect_eq(load.unavailable + load.other, 0, "%d failed", load.unavailable + load.other);
    cr_expect_gt(busi_metric_get(BUSI_METRIC_rpc_retries), 0);
    stop_client(&client);
    stop_server(&b);
}

Test(rpc_workers, pauses_between_tries_are_random_and_their_bound_doubles)
{
    struct client *client = start_client("127.0.0.1:1", "", NULL, 8);
    static const int64_t bounds[] = {20, 40, 80, 160, 250, 250, 250};
    for (int n = 0; n < 7; n++) {
        int64_t least = INT64_MAX, most = 0, sum = 0;
        for (int i = 0; i < 2000; i++) {
            int64_t ms = busi_rpc_client_pause_ms(client->rpc, n);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
            sum += ms;
        }
        cr_expect(least >= 0 && least <= bounds[n] / 10, "%d: at least %ld ms", n, (long)least);
        cr_expect(most < bounds[n] && most >= bounds[n] * 9 / 10, "%d: at most %ld ms", n, (long)most);
        cr_expect(sum / 2000 > bounds[n] / 3 && sum / 2000 < bounds[n] * 2 / 3, "%d: %ld ms", n,
                  (long)sum / 2000);
    }
    stop_client(&client);
}

static int spend_retries(struct client *client)
{
    int n = 0;
    while (n < 100000 && busi_rpc_client_may_retry(client->rpc))
        n++;
    return n;
}

struct slow_get {
    struct client *client;
    enum busi_code code;
};

static void *get_slowly(void *arg)
{
    struct slow_get *get = arg;
    get->code = get_business(get->client, ID_SLEEP + 400, 3000, NULL);
    return NULL;
}

/* What came of a call whose worker went while it worked on it, with another one beside it. */
static enum busi_code lose_one(int earned)
{
    struct server *servers[] = {start_server("a", "*", NULL, 64), start_server("b", "*", NULL, 64)};
    struct client *client = start_with_both(servers[0], servers[1]);
    struct slow_get get = {.client = client};
    pthread_t thread;
    cr_expect_eq(spend_retries(client), 100, "so many to begin with");
    for (int i = 0; i < earned; i++)
        cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    int calls[] = {servers[0]->calls, servers[1]->calls};
    pthread_create(&thread, NULL, get_slowly, &get);
    sleep_ms(150);
    stop_server(&servers[servers[0]->calls == calls[0]]);
    pthread_join(thread, NULL);
    stop_client(&client);
    for (int i = 0; i < 2; i++)
        if (servers[i])
            stop_server(&servers[i]);
    return get.code;
}

Test(rpc_workers, when_everything_fails_retries_come_to_an_end)
{
    cr_expect_eq(lose_one(0), BUSI_UNAVAILABLE);
    cr_expect_eq(lose_one(5), BUSI_UNAVAILABLE);
    cr_expect_eq(lose_one(10), BUSI_OK, "ten that were answered are worth one");
}

struct create {
    struct client *client;
    enum busi_code code;
    int64_t took_ms;
};

static void *create_slowly(void *arg)
{
    struct create *create = arg;
    struct busi_call call;
    struct busi_business out;
    busi_call_init(&call, 1 << 20);
    int64_t began_ms = busi_now_ms();
    call.until_ms = began_ms + 2000;
    create->code = busi_rpc_directory_create_business(
        create->client->rpc, &call, &(struct busi_write_business_request){.id = ID_SLEEP + 900}, &out);
    create->took_ms = busi_now_ms() - began_ms;
    busi_call_fini(&call);
    return NULL;
}

Test(rpc_workers, what_may_not_be_repeated_fails_at_once_when_its_worker_dies)
{
    struct server *a = start_server("a", "*", NULL, 64);
    struct client *client = start_ready_client(a->endpoint, "", NULL, 64);
    struct create create = {.client = client};
    pthread_t thread;
    pthread_create(&thread, NULL, create_slowly, &create);
    sleep_ms(200);
    stop_server(&a);
    pthread_join(thread, NULL);
    cr_expect_eq(create.code, BUSI_UNAVAILABLE);
    cr_expect_lt(create.took_ms, 700, "noticed after %ld ms", (long)create.took_ms);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_rpc_retries), 0);
    stop_client(&client);
}

Test(rpc_workers, one_that_drains_gets_no_new_calls_but_answers)
{
    struct server *a = start_server("a", "*", NULL, 64), *b = start_server("b", "*", NULL, 64);
    struct client *client = start_with_both(a, b);
    struct load load;
    struct create create = {.client = client};
    pthread_t thread;
    sleep_ms(600); /* both know the client: it has pinged them */
    start_load(&load, client, ID_SLEEP + 2);
    sleep_ms(100);
    pthread_create(&thread, NULL, create_slowly, &create);
    sleep_ms(100);
    drain_server(a);
    sleep_ms(200); /* the notice has come long before the next ping would */
    int by_a = load.by_a;
    sleep_ms(300);
    cr_expect_leq(load.by_a, by_a + 1, "%d new calls", load.by_a - by_a);
    stop_load(&load);
    pthread_join(thread, NULL);
    cr_expect_eq(create.code, BUSI_OK, "what was in flight is answered");
    cr_expect_eq(load.unavailable + load.deadline + load.other, 0);
    drain_server(b);
    sleep_ms(200);
    cr_expect_eq(get_business(client, 1, 500, NULL), BUSI_OK, "better one that drains than none");
    stop_client(&client);
    stop_server(&a);
    stop_server(&b);
}

Test(rpc_workers, one_that_is_not_ready_comes_last)
{
    struct server *a = start_server("a", "*", NULL, 64), *b = start_server("b", "*", NULL, 64);
    struct client *client = start_with_both(a, b);
    struct load load;
    a->not_ready = true;
    sleep_ms(700); /* a ping tells */
    start_load(&load, client, ID_SLEEP + 1);
    sleep_ms(300);
    stop_load(&load);
    cr_expect_eq(load.by_a, 0);
    cr_expect_gt(load.ok, 50);
    b->not_ready = true;
    sleep_ms(700);
    cr_expect_eq(get_business(client, 1, 500, NULL), BUSI_OK, "better one that is not ready than none");
    stop_client(&client);
    stop_server(&a);
    stop_server(&b);
}

static void block_loop(void *arg)
{
    sleep_ms(*(int *)arg);
}

/* Its process lives and its kernel answers, but its loop stands still: as after SIGSTOP, but for the
 * heartbeats of libzmq, which the pings do not need. */
Test(rpc_workers, one_that_falls_silent_is_left_alone)
{
    struct server *a = start_server("a", "*", NULL, 64), *b = start_server("b", "*", NULL, 64);
    struct client *client = start_with_both(a, b);
    struct load load;
    start_load(&load, client, ID_SLEEP + 2);
    sleep_ms(200);
    int stand_still_ms = 4000;
    cr_assert(busi_loop_post(a->loop, block_loop, &stand_still_ms));
    sleep_ms(2500);
    int ok = load.ok;
    sleep_ms(300);
    cr_expect_gt(load.ok, ok + 50, "the other goes on");
    cr_expect_leq(load.unavailable + load.deadline + load.other, THREADS, "%d %d %d", load.unavailable,
                  load.deadline, load.other);
    load.by_a = 0;
    cr_expect(within(4000, a_is_back, &load), "it moves again and gets calls again");
    stop_load(&load);
    cr_expect_leq(load.slowest_ms, 1100, "%ld ms", load.slowest_ms);
    cr_expect_leq(load.unavailable + load.deadline + load.other, THREADS,
                  "nor did its return fail anybody: %d %d %d", load.unavailable, load.deadline, load.other);
    stop_client(&client);
    stop_server(&a);
    stop_server(&b);
}

Test(rpc_workers, every_address_of_a_name_is_a_worker_once)
{
    struct server *a = start_server("a", "*", NULL, 64);
    char endpoints[200];
    const char *port = strchr(a->endpoint, ':') + 1;
    snprintf(endpoints, sizeof endpoints, "localhost:%s,127.0.0.1:%s,no-such-host.invalid:%s", port, port,
             port);
    struct client *client = start_ready_client(endpoints, "", NULL, 1);
    /* two names, one worker: with one call in flight it is full */
    struct create create = {.client = client};
    pthread_t thread;
    pthread_create(&thread, NULL, create_slowly, &create);
    sleep_ms(200);
    cr_expect_eq(get_business(client, 1, 200, NULL), BUSI_RESOURCE_EXHAUSTED);
    pthread_join(thread, NULL);
    cr_expect_eq(create.code, BUSI_OK);
    stop_client(&client);
    stop_server(&a);
}

Test(rpc_workers, freeing_a_client_fails_what_waits)
{
    struct server *a = start_server("a", "*", NULL, 64);
    struct client *client = start_ready_client(a->endpoint, "", NULL, 8);
    struct create create = {.client = client};
    pthread_t thread;
    pthread_create(&thread, NULL, create_slowly, &create);
    sleep_ms(200);
    busi_loop_stop(client->loop);
    pthread_join(client->thread, NULL);
    busi_rpc_client_free(&client->rpc);
    pthread_join(thread, NULL);
    cr_expect_eq(create.code, BUSI_UNAVAILABLE);
    cr_expect_lt(create.took_ms, 600);
    busi_fibers_free(&client->fibers);
    busi_loop_free(&client->loop);
    free(client);
    stop_server(&a);
}
