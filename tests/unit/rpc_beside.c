/* Two calls of one thread on the way at once. */
#define _GNU_SOURCE /* RUSAGE_THREAD */
#include "base/clock.h"
#include "rpc_house.h"
#include <criterion/criterion.h>
#include <sys/resource.h>

struct two {
    struct busi_call first, second;
    struct busi_business_id_request ask_first, ask_second;
    struct busi_business out_first, out_second;
    struct busi_rpc_started started; /* the second */
    enum busi_code code_first, code_second;
    int64_t first_ms, second_ms; /* until the answer was there */
    long sleeps;                 /* of the thread, meanwhile */
};

static long sleeps(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
}

/* Asks for second, then for first, with this long for each; takes first's answer first. */
static void ask_two(struct two *two, struct client *client, int64_t first, int64_t second, int64_t within_ms)
{
    int64_t began_ms = busi_now_ms();
    long before = sleeps();
    *two = (struct two){.ask_first.id = first, .ask_second.id = second};
    busi_call_init(&two->first, 1 << 20);
    busi_call_init(&two->second, 1 << 20);
    two->first.until_ms = two->second.until_ms = began_ms + within_ms;
    busi_rpc_start(&two->started, client->rpc, &two->second, BUSI_METHOD_directory_get_business,
                   &two->ask_second, &two->out_second);
    two->first.beside = &two->started;
    two->code_first =
        busi_rpc_directory_get_business(client->rpc, &two->first, &two->ask_first, &two->out_first);
    two->first_ms = busi_now_ms() - began_ms;
    two->code_second = busi_rpc_finish(&two->started);
    two->second_ms = busi_now_ms() - began_ms;
    two->sleeps = sleeps() - before;
}

static void forget_two(struct two *two)
{
    busi_call_fini(&two->first);
    busi_call_fini(&two->second);
}

static void expect_answers(const struct two *two)
{
    cr_expect_eq(two->code_first, BUSI_OK);
    cr_expect_eq(two->code_second, BUSI_OK);
    cr_expect_eq(two->out_first.id, two->ask_first.id);
    cr_expect_eq(two->out_second.id, two->ask_second.id);
}

Test(rpc_beside, one_sleep_for_both_whichever_comes_last)
{
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct two two;
    ask_two(&two, client, ID_SLEEP + 50, ID_SLEEP + 200, 5000);
    expect_answers(&two);
    cr_expect(two.first_ms >= 190, "woken after %ld ms, before the second came", (long)two.first_ms);
    cr_expect_eq(two.sleeps, 1);
    forget_two(&two);
    ask_two(&two, client, ID_SLEEP + 200, ID_SLEEP + 50, 5000);
    expect_answers(&two);
    cr_expect_eq(two.sleeps, 1);
    forget_two(&two);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_beside, one_that_never_comes_takes_nothing_from_the_other)
{
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct two two;
    ask_two(&two, client, 1, ID_SLEEP + 3000, 300);
    cr_expect_eq(two.code_first, BUSI_OK);
    cr_expect_eq(two.code_second, BUSI_DEADLINE_EXCEEDED);
    cr_expect(two.second_ms < 600, "%ld ms", (long)two.second_ms);
    forget_two(&two);
    ask_two(&two, client, ID_SLEEP + 3000, 1, 300);
    cr_expect_eq(two.code_first, BUSI_DEADLINE_EXCEEDED);
    cr_expect_eq(two.code_second, BUSI_OK);
    cr_expect(two.second_ms < 600, "%ld ms", (long)two.second_ms);
    forget_two(&two);
    cr_expect_eq(get_business(client, 5, 1000, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_beside, without_a_worker_both_fail_at_once)
{
    struct client *client = start_client("127.0.0.1:1", "", NULL, 8);
    struct two two;
    ask_two(&two, client, 1, 2, 2000);
    cr_expect_eq(two.code_first, BUSI_UNAVAILABLE);
    cr_expect_eq(two.code_second, BUSI_UNAVAILABLE);
    cr_expect(two.second_ms < 500, "%ld ms", (long)two.second_ms);
    forget_two(&two);
    stop_client(&client);
}
