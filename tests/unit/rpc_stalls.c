/* A server that stood still, stopped or starved: what its callers have turned away from meanwhile it does not
 * do. */
#include "base/metrics.h"
#include "rpc_peer.h"
#include <time.h>

enum { SHORT_MS = 900, LONG_MS = 1700, BUDGET_MS = 5000 };

static void stand_still(void *ms)
{
    nanosleep(&(struct timespec){.tv_sec = *(int *)ms / 1000, .tv_nsec = *(int *)ms % 1000 * 1000000L}, NULL);
}

/* From now on, for so long. */
static void stall(struct server *server, int ms)
{
    static int of;
    of = ms;
    cr_assert(busi_loop_post(server->loop, stand_still, &of));
    sleep_ms(50);
}

static void call(void *peer, uint64_t id, int64_t business)
{
    char bytes[512];
    send_frames(peer, 1, bytes,
                request(bytes, sizeof bytes, "directory.GetBusiness", id, BUDGET_MS, business));
}

static void call_off(void *peer, int64_t id)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 512);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = BUSI_STR("rpc.Cancel"), .id = 99, .budget_ms = 1000},
        busi_desc_cancel_request(), &(struct busi_cancel_request){.id = id});
    send_frames(peer, 1, buf.ptr, buf.len);
    busi_buf_fini(&buf);
}

/* The id of the next answer to a call, and its code; 0: none comes for so long. */
static uint64_t answered(void *peer, int ms, int *code)
{
    char reply[4096];
    struct busi_reply_head head = {0};
    const char *bad = "";
    do {
        int n = receive(peer, reply, sizeof reply, ms);
        if (n <= 0)
            return 0;
        cr_assert(busi_reply_decode((struct busi_str){reply, (size_t)n}, &head, &bad), "%s", bad);
    } while (head.id == 0 || head.id == 99);
    *code = head.code;
    return head.id;
}

static bool has_cut(void *server)
{
    return ((struct server *)server)->cut > 0;
}

static bool has_written(void *server)
{
    return ((struct server *)server)->written > 0;
}

Test(rpc_stalls, what_was_called_off_meanwhile_is_not_begun)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    int code = -1;
    call(peer, 1, 1);
    cr_assert_eq(answered(peer, 1000, &code), 1);
    stall(server, LONG_MS);
    call(peer, 2, 2);
    call(peer, 3, 3);
    call(peer, 4, 4);
    call_off(peer, 3);
    cr_expect_eq(answered(peer, 3000, &code), 2);
    cr_expect_eq(code, BUSI_OK, "its caller waits");
    cr_expect_eq(answered(peer, 500, &code), 4);
    cr_expect_eq(answered(peer, 300, &code), 0);
    cr_expect_eq(server->calls, 3);
    call(peer, 5, 5);
    cr_expect_eq(answered(peer, 100, &code), 5, "and goes on as before");
    zmq_close(peer);
    stop_server(&server);
}

static bool says_ready(void *peer, int ms)
{
    char bytes[4096];
    struct busi_reply_head head = {0};
    struct busi_health_reply health = {0};
    struct busi_reader reader;
    struct busi_arena arena;
    const char *bad = "";
    send_frames(peer, 1, bytes, request(bytes, 512, "rpc.Health", 7, BUDGET_MS, 1));
    do {
        int n = receive(peer, bytes, sizeof bytes, ms);
        cr_assert_gt(n, 0, "no answer");
        cr_assert(busi_reply_decode((struct busi_str){bytes, (size_t)n}, &head, &bad), "%s", bad);
    } while (head.id != 7);
    busi_arena_init(&arena, 1024);
    busi_reader_init(&reader, head.body.ptr, head.body.len);
    cr_assert(busi_decode(&reader, busi_desc_health_reply(), &health, &arena, &bad), "%s", bad);
    busi_arena_fini(&arena);
    return health.ready;
}

/* Else callers come back at once, whose calls pass for old: they had no answer. */
Test(rpc_stalls, it_is_not_ready_until_it_knows_what_is_old)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    cr_assert(says_ready(peer, 1000));
    stall(server, LONG_MS);
    cr_expect_not(says_ready(peer, 3000));
    sleep_ms(300);
    cr_expect(says_ready(peer, 1000));
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_stalls, whose_callers_have_left_is_not_begun)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server), *other = connect_peer(server);
    int code = -1;
    call(peer, 1, 1);
    call(other, 1, 1);
    cr_assert(answered(peer, 1000, &code) == 1 && answered(other, 1000, &code) == 1);
    stall(server, LONG_MS);
    for (uint64_t id = 2; id < 40; id++)
        call(peer, id, 2);
    call(other, 2, 2);
    sleep_ms(100);
    zmq_close(peer);
    cr_expect_eq(answered(other, 3000, &code), 2);
    sleep_ms(300);
    cr_expect_eq(server->calls, 3, "%d", (int)server->calls);
    zmq_close(other);
    stop_server(&server);
}

Test(rpc_stalls, what_has_not_written_yet_is_over)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    int code = -1;
    call(peer, 1, ID_SLEEP + 4000);
    call(peer, 2, ID_COMMIT + 2000);
    sleep_ms(100);
    stall(server, LONG_MS);
    cr_expect_eq(answered(peer, 2500, &code), 1, "at once, and it is answered");
    cr_expect(within(100, has_cut, server));
    cr_expect_eq(answered(peer, 2500, &code), 2);
    cr_expect(has_written(server));
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_stalls, for_a_moment_changes_nothing)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    int code = -1;
    call(peer, 1, ID_SLEEP + 1500);
    sleep_ms(100);
    stall(server, SHORT_MS);
    call(peer, 2, 2);
    cr_expect_eq(answered(peer, 2000, &code), 2);
    cr_expect_eq(answered(peer, 2000, &code), 1);
    cr_expect_eq(code, BUSI_OK);
    cr_expect_eq(server->cut, 0);
    zmq_close(peer);
    stop_server(&server);
}

static void call_within(void *peer, uint64_t id, int64_t budget_ms)
{
    char bytes[512];
    send_frames(peer, 1, bytes,
                request(bytes, sizeof bytes, "directory.GetBusiness", id, budget_ms, (int64_t)id));
}

/* A queue of moments is none that the loop would call a stall. */
Test(rpc_stalls, what_had_less_time_than_it_waited_is_not_begun) /* M-27 */
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    int code = -1;
    call_within(peer, 1, 100);
    cr_assert_eq(answered(peer, 1000, &code), 1, "a short time is enough where nothing waits");
    int64_t expired = busi_metric_get(BUSI_METRIC_rpc_expired);
    stall(server, 200);
    call_within(peer, 2, 60);
    call_within(peer, 3, 2000);
    cr_expect_eq(answered(peer, 2000, &code), 3);
    cr_expect_eq(code, BUSI_OK);
    cr_expect_eq(answered(peer, 100, &code), 0);
    cr_expect_eq(server->calls, 2);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_rpc_expired) - expired, 1);
    for (uint64_t id = 4; id < 9; id++, sleep_ms(120)) { /* it has slept, not worked */
        call_within(peer, id, 60);
        cr_expect_eq(answered(peer, 1000, &code), id);
    }
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_stalls, it_may_be_stopped_with_calls_that_wait)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    int code = -1;
    call(peer, 1, 1);
    cr_assert_eq(answered(peer, 1000, &code), 1);
    stall(server, LONG_MS);
    call(peer, 2, 2);
    sleep_ms(LONG_MS - 20);
    stop_server(&server);
    zmq_close(peer);
}

/* ---- and its callers ---- */

struct caller {
    struct client *client;
    enum busi_code code;
    pthread_t thread;
};

static void *sign_up(void *arg)
{
    struct caller *caller = arg;
    struct busi_call call;
    struct busi_session_reply out;
    busi_call_init(&call, 1 << 20);
    call.until_ms = busi_now_ms() + BUDGET_MS;
    caller->code = busi_rpc_auth_sign_up(caller->client->rpc, &call,
                                         &(struct busi_sign_up_request){.door = BUSI_STR("busi")}, &out);
    busi_call_fini(&call);
    return NULL;
}

/* What may not be repeated fails when its worker falls silent; when it is not silent any more it does not do
 * it. */
Test(rpc_stalls, what_its_caller_was_told_has_failed_is_not_done)
{
    struct server *server = start_server("one", "*", NULL, 8);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct caller caller = {.client = client};
    stall(server, 2600);
    pthread_create(&caller.thread, NULL, sign_up, &caller);
    pthread_join(caller.thread, NULL);
    cr_expect_eq(caller.code, BUSI_UNAVAILABLE);
    cr_assert(within(4000, is_ready, client));
    sleep_ms(500);
    cr_expect_eq(server->calls, 0);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
}
