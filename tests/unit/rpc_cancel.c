/* Callers that leave: what is done for nobody is ended, what has been begun to be written is not. */
#include "base/metrics.h"
#include "rpc_peer.h"
#include <sys/socket.h>
#include <unistd.h>

static int64_t cancelled(void)
{
    return busi_metric_get(BUSI_METRIC_rpc_cancelled);
}

static bool has_cancelled(void *n)
{
    return cancelled() >= *(int *)n;
}

static bool has_cut(void *server)
{
    return ((struct server *)server)->cut > 0;
}

static bool has_written(void *server)
{
    return ((struct server *)server)->written > 0;
}

static bool has_call(void *server)
{
    return ((struct server *)server)->calls > 0;
}

/* ---- callers of ours ---- */

struct caller {
    struct client *client;
    struct busi_call call;
    int64_t id;
    enum busi_code code;
    int64_t took_ms;
    pthread_t thread;
};

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    struct busi_business out;
    int64_t began_ms = busi_now_ms();
    caller->code = busi_rpc_directory_create_business(
        caller->client->rpc, &caller->call, &(struct busi_write_business_request){.id = caller->id}, &out);
    caller->took_ms = busi_now_ms() - began_ms;
    return NULL;
}

static void start_caller(struct caller *caller, struct client *client, int64_t id)
{
    caller->client = client;
    caller->id = id;
    busi_call_init(&caller->call, 1 << 20);
    caller->call.until_ms = busi_now_ms() + 5000;
}

Test(rpc_cancel, one_that_is_called_off_returns_at_once_and_so_does_its_handler)
{
    struct server *server = start_server("one", "*", NULL, 8);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    static struct caller caller;
    start_caller(&caller, client, ID_SLEEP + 900);
    pthread_create(&caller.thread, NULL, call_on, &caller);
    cr_assert(within(2000, has_call, server));
    cr_assert(busi_rpc_cancel(client->rpc, &caller.call));
    pthread_join(caller.thread, NULL);
    cr_expect_eq(caller.code, BUSI_CANCELLED);
    cr_expect_lt(caller.took_ms, 500, "after %ld ms", (long)caller.took_ms);
    cr_expect(within(300, has_cut, server));
    cr_expect_eq(cancelled(), 1);
    call_on(&caller);
    cr_expect_eq(caller.code, BUSI_CANCELLED, "the next one with it, too");
    cr_expect_eq(server->calls, 1, "which is not even sent");
    cr_expect_eq(get_business(client, 1, 500, NULL), BUSI_OK);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_rpc_late), 0, "nobody answers what is called off");
    busi_call_fini(&caller.call);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_cancel, a_deadline_that_passes_frees_the_fiber)
{
    struct server *server = start_server("one", "*", NULL, 1);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    /* the worker's own clock would let it go on: it was told of a longer budget */
    static struct caller caller;
    start_caller(&caller, client, ID_SLEEP + 3000);
    caller.call.until_ms = busi_now_ms() + 100;
    call_on(&caller);
    cr_expect_eq(caller.code, BUSI_DEADLINE_EXCEEDED);
    cr_expect(within(500, has_cut, server));
    cr_expect_eq(get_business(client, 1, 500, NULL), BUSI_OK, "the only fiber");
    busi_call_fini(&caller.call);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_cancel, what_has_begun_to_write_comes_to_its_end)
{
    struct server *server = start_server("one", "*", NULL, 8);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    cr_expect_eq(get_business(client, ID_COMMIT + 600, 100, NULL), BUSI_DEADLINE_EXCEEDED);
    cr_assert(within(400, has_cancelled, &(int){1}));
    cr_expect_eq(server->written, 0);
    cr_expect(within(1000, has_written, server));
    sleep_ms(50);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_rpc_late), 0, "it is not answered");
    stop_client(&client);
    stop_server(&server);
}

/* In a duplex of its own each: one is closed, of the other only the half that asks. */
Test(rpc_cancel, a_call_whose_own_client_has_gone_is_called_off)
{
    struct server *server = start_server("one", "*", NULL, 8);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    static struct caller gone, listens;
    int ends[2], others[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
    start_caller(&gone, client, ID_SLEEP + 1900);
    start_caller(&listens, client, ID_SLEEP + 900);
    gone.call.client_fd = ends[0];
    listens.call.client_fd = others[0];
    pthread_create(&gone.thread, NULL, call_on, &gone);
    pthread_create(&listens.thread, NULL, call_on, &listens);
    close(ends[1]);
    shutdown(others[1], SHUT_WR);
    pthread_join(gone.thread, NULL);
    cr_expect_eq(gone.code, BUSI_CANCELLED);
    cr_expect(gone.took_ms >= 200 && gone.took_ms < 900, "after %ld ms", (long)gone.took_ms);
    cr_expect(within(300, has_cut, server));
    pthread_join(listens.thread, NULL);
    cr_expect_eq(listens.code, BUSI_OK, "%s", busi_code_name(listens.code));
    cr_expect_eq(cancelled(), 1);
    busi_call_fini(&gone.call);
    busi_call_fini(&listens.call);
    close(ends[0]);
    close(others[0]);
    close(others[1]);
    stop_client(&client);
    stop_server(&server);
}

/* ---- peers that say it themselves ---- */

static size_t cancel_request(char *bytes, size_t room, uint64_t id, int64_t which)
{
    struct busi_buf buf;
    busi_buf_init(&buf, room);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = BUSI_STR("rpc.Cancel"), .id = id, .budget_ms = 1000},
        busi_desc_cancel_request(), &(struct busi_cancel_request){.id = which});
    size_t len = buf.len;
    memcpy(bytes, buf.ptr, len);
    busi_buf_fini(&buf);
    return len;
}

static void ask_for_sleep(void *peer, uint64_t id, int ms)
{
    char bytes[512];
    size_t len = request(bytes, sizeof bytes, "directory.GetBusiness", id, 5000, ID_SLEEP + ms);
    send_frames(peer, 1, bytes, len);
}

Test(rpc_cancel, nobody_cancels_the_calls_of_others)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *a = connect_peer(server), *b = connect_peer(server);
    char bytes[512], reply[4096];
    ask_for_sleep(a, 5, 400);
    cr_assert(within(1000, has_call, server));
    size_t len = cancel_request(bytes, sizeof bytes, 6, 5);
    cr_expect_eq(ask(b, bytes, len, reply, sizeof reply).code, BUSI_OK, "there is no such call: fine");
    cr_expect_gt(receive(a, reply, sizeof reply, 2000), 0, "the answer");
    cr_expect_eq(cancelled(), 0);
    ask_for_sleep(a, 7, 2000);
    sleep_ms(100);
    struct busi_reply_head head =
        ask(a, bytes, cancel_request(bytes, sizeof bytes, 8, 7), reply, sizeof reply);
    cr_expect(head.id == 8 && head.code == BUSI_OK);
    cr_expect_eq(cancelled(), 1);
    cr_expect(within(300, has_cut, server));
    cr_expect_eq(receive(a, reply, sizeof reply, 200), -1, "and no answer to the call");
    zmq_close(a);
    zmq_close(b);
    stop_server(&server);
}

Test(rpc_cancel, who_disconnects_cancels_all_that_it_asked_for)
{
    enum { CALLS = 5 };
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    void *leaves = connect_peer(server), *stays = connect_peer(server);
    char reply[4096];
    for (uint64_t i = 1; i <= CALLS; i++)
        ask_for_sleep(leaves, i, 3000);
    ask_for_sleep(stays, 1, 900);
    sleep_ms(100);
    zmq_close(leaves);
    cr_expect(within(800, has_cancelled, &(int){CALLS}), "%ld", (long)cancelled());
    int n;
    struct busi_reply_head head = {0};
    const char *bad;
    do { /* it may have been asked whether it is still there */
        n = receive(stays, reply, sizeof reply, 2000);
        cr_assert(n > 0 && busi_reply_decode((struct busi_str){reply, (size_t)n}, &head, &bad));
    } while (head.id == 0);
    cr_expect(head.id == 1 && head.code == BUSI_OK);
    cr_expect_eq(cancelled(), CALLS);
    cr_expect_eq(get_business(client, 1, 500, NULL), BUSI_OK);
    zmq_close(stays);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_cancel, a_flood_of_it_does_no_harm)
{
    enum { FLOOD = 20000 };
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    void *peer = connect_peer(server);
    char bytes[512], reply[4096];
    static struct caller caller;
    start_caller(&caller, client, ID_SLEEP + 500);
    pthread_create(&caller.thread, NULL, call_on, &caller);
    int64_t slowest_ms = 0;
    for (int i = 0; i < FLOOD; i++) {
        send_frames(peer, 1, bytes, cancel_request(bytes, sizeof bytes, (uint64_t)i + 1, i));
        if (i % 500 == 0) {
            int64_t began_ms = busi_now_ms();
            cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
            if (busi_now_ms() - began_ms > slowest_ms)
                slowest_ms = busi_now_ms() - began_ms;
        }
        while (receive(peer, reply, sizeof reply, 0) > 0)
            ;
    }
    pthread_join(caller.thread, NULL);
    cr_expect_eq(caller.code, BUSI_OK, "%s", busi_code_name(caller.code));
    cr_expect_lt(slowest_ms, 500, "a call beside it took %ld ms", (long)slowest_ms);
    cr_expect_eq(cancelled(), 0);
    busi_call_fini(&caller.call);
    zmq_close(peer);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_cancel, nonsense_to_be_cancelled_is_nothing)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    char bytes[512], reply[4096];
    static const int64_t ids[] = {0, -1, INT64_MIN, INT64_MAX, 1};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        cr_expect_eq(
            ask(peer, bytes, cancel_request(bytes, sizeof bytes, 1, ids[i]), reply, sizeof reply).code,
            BUSI_OK);
    size_t len = request(bytes, sizeof bytes, "rpc.Cancel", 2, 1000, 3);
    bytes[len - 1] = (char)0xC0; /* nil for the id */
    cr_expect_eq(ask(peer, bytes, len, reply, sizeof reply).code, BUSI_INVALID_ARGUMENT);
    zmq_close(peer);
    stop_server(&server);
}

/* ---- workers of before ---- */

/* Answers rpc.Health as they did, and nothing else. */
struct elder {
    void *socket;
    char endpoint[64];
    pthread_t thread;
    atomic_bool stop;
    atomic_int calls;   /* of directory.* */
    atomic_int strange; /* what they do not know */
};

static void answer_as_before(struct elder *elder, const char *peer, size_t peer_len, uint64_t id)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 4096);
    busi_reply_encode(&buf, id, BUSI_OK, NULL, busi_desc_health_reply(),
                      &(struct busi_health_reply){
                          .service = BUSI_STR("directory"), .version = BUSI_STR("0"), .ready = true});
    zmq_send(elder->socket, peer, peer_len, ZMQ_SNDMORE);
    zmq_send(elder->socket, buf.ptr, buf.len, 0);
    busi_buf_fini(&buf);
}

static void *serve_as_before(void *arg)
{
    struct elder *elder = arg;
    char peer[256], bytes[4096];
    int ms = 20;
    zmq_setsockopt(elder->socket, ZMQ_RCVTIMEO, &ms, sizeof ms);
    while (!elder->stop) {
        int peer_len = zmq_recv(elder->socket, peer, sizeof peer, 0);
        int n = peer_len < 0 ? -1 : zmq_recv(elder->socket, bytes, sizeof bytes, 0);
        struct busi_request_head head;
        const char *bad;
        if (n < 0 || !busi_request_decode((struct busi_str){bytes, (size_t)n}, &head, &bad))
            continue;
        if (busi_str_eq(head.method, BUSI_STR("rpc.Health")))
            answer_as_before(elder, peer, (size_t)peer_len, head.id);
        else if (busi_str_starts(head.method, BUSI_STR("directory.")))
            elder->calls++;
        else
            elder->strange++;
    }
    return NULL;
}

Test(rpc_cancel, workers_that_do_not_know_it_are_not_told)
{
    static struct elder elder;
    size_t room = sizeof elder.endpoint;
    int linger = 0;
    elder.socket = zmq_socket(busi_zmq_context(), ZMQ_ROUTER);
    zmq_setsockopt(elder.socket, ZMQ_LINGER, &linger, sizeof linger);
    cr_assert_eq(zmq_bind(elder.socket, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(elder.socket, ZMQ_LAST_ENDPOINT, elder.endpoint, &room), 0);
    pthread_create(&elder.thread, NULL, serve_as_before, &elder);
    struct client *client = start_ready_client(elder.endpoint + strlen("tcp://"), "", NULL, 8);
    static struct caller caller;
    cr_expect_eq(get_business(client, 1, 100, NULL), BUSI_DEADLINE_EXCEEDED);
    start_caller(&caller, client, 1);
    pthread_create(&caller.thread, NULL, call_on, &caller);
    sleep_ms(100);
    cr_assert(busi_rpc_cancel(client->rpc, &caller.call));
    pthread_join(caller.thread, NULL);
    cr_expect_eq(caller.code, BUSI_CANCELLED, "the caller leaves all the same");
    sleep_ms(700); /* and a ping later */
    cr_expect_eq(elder.calls, 2);
    cr_expect_eq(elder.strange, 0);
    busi_call_fini(&caller.call);
    stop_client(&client);
    elder.stop = true;
    pthread_join(elder.thread, NULL);
    zmq_close(elder.socket);
}
