/* Calls while memory is refused: nothing that was asked for is called wrong, or not there. */
#include "rpc_house.h"
#include "scarce.h"
#include <criterion/criterion.h>

TestSuite(rpc_scarce, .timeout = 60);

Test(rpc_scarce, no_verdict_without_memory)
{
    struct server *server = start_server("a", "*", NULL, 8);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    int quiet = 0, number = 0, refusals = 0;
    for (; quiet < 3 && number < 300; quiet++) { /* one that was refused to somebody else says nothing */
        scarce_begin(++number, 1);
        enum busi_code code = get_business(client, ID_LOOKED_UP, 1000, NULL);
        if (scarce_end() > 0) {
            refusals++;
            quiet = 0;
        }
        cr_expect_not(busi_code_is_verdict((int)code), "allocation %d: %s", number,
                      busi_code_name((int)code));
        cr_expect_eq(get_business(client, ID_LOOKED_UP, 3000, NULL), BUSI_OK, "after allocation %d", number);
    }
    cr_assert_gt(refusals, 3);
    stop_client(&client);
    stop_server(&server);
}

static void stop(void *loop)
{
    busi_loop_stop(loop);
}

/* An address is told once: who could not open it then must come back to it. */
Test(rpc_scarce, a_worker_that_could_not_be_opened_is_tried_again)
{
    const char *error;
    struct server *server = start_server("a", "*", NULL, 8);
    struct busi_loop *loop = busi_loop_new();
    struct busi_timer *end = busi_loop_timer(loop, stop, loop);
    const struct busi_rpc_target target = {"directory", busi_str_of(server->endpoint), {0}};
    struct busi_rpc_client *client = busi_rpc_client_new(
        loop, &(struct busi_rpc_client_options){.targets = &target, .n_targets = 1, .max_in_flight = 8},
        &error);
    cr_assert(client && end, "%s", error);
    scarce_begin(1, INT64_MAX);
    busi_timer_set(end, busi_now_ms() + 500);
    busi_loop_run(loop);
    cr_assert_gt(scarce_end(), 0);
    for (int i = 0; i < 100 && !busi_rpc_client_ready(client); i++) {
        busi_timer_set(end, busi_now_ms() + 50);
        busi_loop_run(loop);
    }
    cr_expect(busi_rpc_client_ready(client));
    busi_rpc_client_free(&client);
    busi_timer_free(&end);
    busi_loop_free(&loop);
    stop_server(&server);
}
