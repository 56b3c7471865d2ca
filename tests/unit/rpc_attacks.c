/* What strangers and broken peers can send to a server's port: it goes on serving, and says no. */
#include "base/metrics.h"
#include "rpc/context.h"
#include "rpc/envelope.h"
#include "rpc/link.h"
#include "rpc_peer.h"
#include "rpc_raw.h"
#include <stdio.h>
#include <zmq.h>

/* ---- raw TCP ---- */

Test(rpc_attacks, bytes_that_are_not_zeromq_get_the_connection_closed) /* Z-02 Z-03 */
{
    struct server *server = start_server("one", "*", NULL, 8);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    static const struct {
        const char *what, *bytes;
        size_t n;
    } rows[] = {
#define ROW(what, literal) {what, literal, sizeof(literal) - 1}
        ROW("HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ROW("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ROW("an unknown mechanism", GREETING("\3", "PIGEON\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "\0")),
        ROW("a command that is no command", GREETING("\3", NULL_MECHANISM, "\0") "\x04\x06\x05XXXXX"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = dial(server);
        say(fd, rows[i].bytes, rows[i].n);
        cr_expect(closes(fd, 3500), "%s: left open", rows[i].what);
        close(fd);
        cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK, "after %s", rows[i].what);
    }
    stop_client(&client);
    stop_server(&server);
}

/* Random bytes after each of several good beginnings; ZMTP 1 and 2 are among what comes out of them. */
static void pour_noise(const struct server *server)
{
    static const struct bytes_of beginnings[] = {
        {"", 0},
        OF("\xff\0\0\0\0\0\0\0\1\x7f"),
        OF("\xff\0\0\0\0\0\0\0\1\x7f\1"),
        OF("\xff\0\0\0\0\0\0\0\1\x7f\0"),
        OF("\1\0"),
        OF(GREETING("\3", NULL_MECHANISM, "\0")),
        OF(GREETING("\3", NULL_MECHANISM, "\0") NULL_READY),
        OF(GREETING("\3", NULL_MECHANISM, "\0") NULL_READY "\x04\x07\4PING\0\1"),
        OF(GREETING("\3", CURVE_MECHANISM, "\0")),
        OF(GREETING("\3", CURVE_MECHANISM, "\0") CURVE_HELLO)};
    for (int i = 0; i < 300; i++) {
        char bytes[512];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (char)random();
        memcpy(bytes, beginnings[i % 10].bytes, beginnings[i % 10].n);
        int fd = dial(server);
        say(fd, bytes, sizeof bytes);
        if (i % 4 == 0)
            sleep_ms(2); /* some leave late */
        close(fd);
    }
}

Test(rpc_attacks, random_bytes_are_survived) /* Z-02 */
{
    struct server *server = start_server("one", "*", NULL, 8);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    srandom(7);
    pour_noise(server);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_attacks, random_bytes_are_survived_with_curve) /* Z-02 */
{
    char folder[] = "/tmp/busi-attacks-XXXXXX", command[256], key[64], pub[64], allow[64];
    const char *error;
    cr_assert_not_null(mkdtemp(folder));
    snprintf(allow, sizeof allow, "%s/allow", folder);
    snprintf(key, sizeof key, "%s/one.key", folder);
    snprintf(pub, sizeof pub, "%s/one.pub", folder);
    cr_assert_eq(busi_curve_generate(folder, "one", NULL), 0);
    snprintf(command, sizeof command, "cd %s && mkdir allow && cp one.pub allow/", folder);
    cr_assert_eq(system(command), 0);
    struct busi_curve *curve = busi_curve_open(busi_str_of(key), &error);
    cr_assert(curve && busi_curve_allow(curve, busi_str_of(allow), &error), "%s", error);
    struct server *server = start_server("one", "*", curve, 8);
    struct client *client = start_ready_client(server->endpoint, pub, curve, 8);
    srandom(8);
    pour_noise(server);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
    busi_curve_close(&curve);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect_eq(system(command), 0);
}

/* ---- as a peer that speaks ZeroMQ ---- */

static bool malformed(void *at_least)
{
    return busi_metric_get(BUSI_METRIC_rpc_malformed) >= *(int *)at_least;
}

Test(rpc_attacks, a_wrong_number_of_frames_is_dropped_and_counted) /* Z-08 */
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    char bytes[512], reply[4096];
    size_t len = request(bytes, sizeof bytes, "directory.GetBusiness", 9, 1000, 1);
    static const int frames[] = {2, 3, 10, 1000};
    for (int i = 0; i < 4; i++) {
        send_frames(peer, frames[i], bytes, len);
        cr_expect(within(2000, malformed, &(int){i + 1}), "%d frames", frames[i]);
    }
    send_frames(peer, 1, "", 0);
    cr_expect(within(2000, malformed, &(int){5}), "an empty frame");
    cr_expect_eq(ask(peer, bytes, len, reply, sizeof reply).id, 9);
    cr_expect_eq(server->calls, 1);
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_attacks, flipped_and_cut_requests_are_survived) /* M-07 M-14 */
{
    struct server *server = start_server("one", "*", NULL, 64);
    void *peer = connect_peer(server);
    char bytes[512], reply[4096];
    size_t len = request(bytes, sizeof bytes, "directory.GetBusiness", 9, 1000, 1);
    for (size_t n = 0; n < len; n++)
        send_frames(peer, 1, bytes, n);
    for (size_t bit = 0; bit < len * 8; bit++) {
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        send_frames(peer, 1, bytes, len);
        bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    len = request(bytes, sizeof bytes, "directory.GetBusiness", 77777777, 1000, 1);
    struct busi_reply_head head = {0};
    const char *bad;
    send_frames(peer, 1, bytes, len);
    for (int i = 0; i < 2000 && head.id != 77777777; i++) {
        int n = receive(peer, reply, sizeof reply, 2000);
        cr_assert_gt(n, 0, "the last one is not answered");
        cr_assert(busi_reply_decode((struct busi_str){reply, (size_t)n}, &head, &bad), "%s", bad);
    }
    cr_expect_eq(head.code, BUSI_OK);
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_attacks, requests_nobody_can_serve_are_answered_so) /* M-08 M-15 */
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    char bytes[512], reply[4096];
    size_t len = request(bytes, sizeof bytes, "no.Such", 1, 1000, 1);
    cr_expect_eq(ask(peer, bytes, len, reply, sizeof reply).code, BUSI_UNIMPLEMENTED);
    len = request(bytes, sizeof bytes, "auth.CheckToken", 2, 1000, 1);
    struct busi_reply_head head = ask(peer, bytes, len, reply, sizeof reply);
    cr_expect_eq(head.code, BUSI_INVALID_ARGUMENT, "the body of another method");
    cr_expect_not_null(head.message.ptr);
    len = request(bytes, sizeof bytes, "directory.GetBusiness", 3, 1000, 1);
    bytes[len++] = 0;
    cr_expect_eq(ask(peer, bytes, len, reply, sizeof reply).code, BUSI_INVALID_ARGUMENT, "a byte too many");
    cr_expect_eq(server->calls, 0);
    zmq_close(peer);
    stop_server(&server);
}

/* Who can be told what is wrong with his envelope is told. */
Test(rpc_attacks, an_envelope_that_is_none_is_answered_if_its_id_is_known) /* M-26 */
{
    static const struct {
        const char *what, *bytes;
        size_t n;
        uint64_t id;
        const char *why;
    } rows[] = {
#define ENVELOPE(what, id, why, literal) {what, literal, sizeof(literal) - 1, id, why}
        ENVELOPE("version 2", 7, "version: only 1 is spoken here",
                 "\x85\1\2\2\xa3"
                 "a.B\3\7\4\x64\x9\x80"),
        ENVELOPE("no version", 7, "envelope: a required key is missing",
                 "\x84\2\xa3"
                 "a.B\3\7\4\x64\x9\x80"),
        ENVELOPE("a request id with a blank", 7, "request_id: other than [A-Za-z0-9._-]",
                 "\x86\1\1\2\xa3"
                 "a.B\3\7\4\x64\5\xa3"
                 "a b\x9\x80"),
        ENVELOPE("a request id before the id", 0, "",
                 "\x86\1\1\2\xa3"
                 "a.B\5\xa3"
                 "a b\3\7\4\x64\x9\x80"),
        ENVELOPE("a text for an id", 0, "",
                 "\x85\1\1\2\xa3"
                 "a.B\3\xa1"
                 "7\4\x64\x9\x80"),
        ENVELOPE("id 0", 0, "",
                 "\x85\1\1\2\xa3"
                 "a.B\3\0\4\x64\x9\x80"),
        ENVELOPE("no map", 0, "", "hello"),
    };
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    char reply[4096];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct busi_reply_head head = {0};
        const char *bad;
        send_frames(peer, 1, rows[i].bytes, rows[i].n);
        cr_expect(within(2000, malformed, &(int){(int)i + 1}), "%s: not counted", rows[i].what);
        int n = receive(peer, reply, sizeof reply, rows[i].id ? 1000 : 100);
        cr_expect_eq(n > 0, rows[i].id > 0, "%s", rows[i].what);
        if (n <= 0)
            continue;
        cr_assert(busi_reply_decode((struct busi_str){reply, (size_t)n}, &head, &bad), "%s", bad);
        cr_expect(head.id == rows[i].id && head.code == BUSI_INVALID_ARGUMENT, "%s", rows[i].what);
        cr_expect(busi_str_eq(head.message, busi_str_of(rows[i].why)), "%s: %.*s", rows[i].what,
                  BUSI_ARG(head.message));
    }
    cr_expect_eq(server->calls, 0);
    zmq_close(peer);
    stop_server(&server);
}

static bool expired(void *unused)
{
    (void)unused;
    return busi_metric_get(BUSI_METRIC_rpc_expired) > 0;
}

Test(rpc_attacks, an_id_in_use_is_the_senders_affair_and_expired_calls_are_dropped) /* M-27 M-28 */
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    char bytes[512], reply[4096];
    size_t len = request(bytes, sizeof bytes, "directory.GetBusiness", 5, 1000, ID_SLEEP + 50);
    send_frames(peer, 1, bytes, len);
    send_frames(peer, 1, bytes, len);
    cr_expect_gt(receive(peer, reply, sizeof reply, 1000), 0);
    cr_expect_gt(receive(peer, reply, sizeof reply, 1000), 0);
    len = request(bytes, sizeof bytes, "directory.GetBusiness", 6, 0, 1);
    send_frames(peer, 1, bytes, len);
    cr_expect(within(1000, expired, NULL));
    cr_expect_eq(receive(peer, reply, sizeof reply, 100), -1);
    cr_expect_eq(server->calls, 2);
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_attacks, a_peer_that_goes_before_its_answer_harms_nobody)
{
    struct server *server = start_server("one", "*", NULL, 64);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    char bytes[512];
    for (int i = 0; i < 20; i++) {
        void *peer = connect_peer(server);
        size_t len = request(bytes, sizeof bytes, "directory.GetBusiness", 5, 1000, ID_SLEEP + 50);
        send_frames(peer, 1, bytes, len);
        sleep_ms(5);
        zmq_close(peer);
    }
    sleep_ms(150);
    cr_expect_gt(busi_metric_get(BUSI_METRIC_rpc_replies_dropped), 0);
    cr_expect_eq(get_business(client, 1, 500, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_attacks, routing_ids_of_every_form) /* Z-09 */
{
    struct server *server = start_server("one", "*", NULL, 64);
    char bytes[512], reply[4096], long_id[255];
    memset(long_id, 'x', sizeof long_id);
    size_t len = request(bytes, sizeof bytes, "directory.GetBusiness", 5, 1000, 1);
    void *peer = zmq_socket(busi_zmq_context(), ZMQ_DEALER),
         *twin = zmq_socket(busi_zmq_context(), ZMQ_DEALER);
    char endpoint[80];
    int linger = 0;
    snprintf(endpoint, sizeof endpoint, "tcp://%s", server->endpoint);
    zmq_setsockopt(peer, ZMQ_ROUTING_ID, long_id, sizeof long_id);
    zmq_setsockopt(twin, ZMQ_ROUTING_ID, long_id, sizeof long_id);
    zmq_setsockopt(peer, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(twin, ZMQ_LINGER, &linger, sizeof linger);
    cr_assert_eq(zmq_connect(peer, endpoint), 0);
    cr_expect_eq(ask(peer, bytes, len, reply, sizeof reply).id, 5);
    cr_assert_eq(zmq_connect(twin, endpoint), 0);
    send_frames(twin, 1, bytes, len);
    cr_expect_eq(receive(twin, reply, sizeof reply, 300), -1, "a second one of that name is not heard");
    cr_expect_eq(receive(peer, reply, sizeof reply, 100), -1, "nor does the first get its answers");
    cr_expect_eq(ask(peer, bytes, len, reply, sizeof reply).id, 5, "and it is still served");
    zmq_close(peer);
    zmq_close(twin);
    stop_server(&server);
}

/* ---- a server that answers nonsense ---- */

struct liar {
    void *socket;
    pthread_t thread;
    char endpoint[64];
    atomic_bool stop;
    const char *mode;
};

static void say_business(struct busi_buf *buf, uint64_t id, const char *name)
{
    struct busi_call call = {0};
    busi_reply_encode(buf, id, BUSI_OK, &call, busi_desc_business(),
                      &(struct busi_business){.id = 1,
                                              .name = busi_str_of(name),
                                              .description = BUSI_STR("d"),
                                              .tag = busi_str_of(name),
                                              .date = BUSI_STR("2018-11-11 07:00:53.229068")});
}

static void say_ok(struct busi_buf *buf, uint64_t id)
{
    busi_buf_add(buf, "\x83\x01\x01\x03\xcf", 5);
    for (int shift = 56; shift >= 0; shift -= 8)
        busi_buf_char(buf, (char)(id >> shift));
    busi_buf_add(buf, "\x0a\x00", 2);
}

static void fill(struct busi_buf *buf, size_t n)
{
    static const char some[65536];
    for (size_t i = 0; i < n; i += sizeof some)
        busi_buf_add(buf, some, sizeof some);
}

static void lie(struct liar *liar, const char *peer, size_t peer_len, const struct busi_request_head *head)
{
    struct busi_buf buf;
    struct busi_call call = {0};
    busi_buf_init(&buf, 8 * 1024 * 1024);
    bool health = busi_str_eq(head->method, BUSI_STR("rpc.Health"));
    uint64_t id = head->id + (!health && strcmp(liar->mode, "another id") == 0);
    if (health || strcmp(liar->mode, "another method") == 0 || strcmp(liar->mode, "another id") == 0)
        busi_reply_encode(&buf, id, BUSI_OK, &call, busi_desc_health_reply(),
                          &(struct busi_health_reply){
                              .service = BUSI_STR("directory"), .version = BUSI_STR("0"), .ready = true});
    else if (strcmp(liar->mode, "nothing but success") == 0)
        busi_reply_encode(&buf, id, BUSI_OK, &call, busi_desc_empty(), &(struct busi_empty){0});
    else if (strcmp(liar->mode, "success and no body") == 0)
        say_ok(&buf, id);
    else if (strcmp(liar->mode, "two results") == 0)
        say_business(&buf, id, "first");
    else if (strcmp(liar->mode, "too large") == 0)
        fill(&buf, 5 * 1024 * 1024);
    else if (strcmp(liar->mode, "noise") == 0)
        busi_buf_add(&buf, "\x83\x01\x01\x03", 4);
    else if (strcmp(liar->mode, "unknown code") == 0)
        busi_reply_encode(&buf, id, (enum busi_code)99, &call, NULL, NULL);
    zmq_send(liar->socket, peer, peer_len, ZMQ_SNDMORE);
    zmq_send(liar->socket, buf.ptr, buf.len, 0);
    if (!health && strcmp(liar->mode, "two results") == 0) {
        busi_buf_fini(&buf);
        busi_buf_init(&buf, 4096);
        say_business(&buf, id, "second");
    }
    if (!health && (strcmp(liar->mode, "unknown code") == 0 ||
                    strcmp(liar->mode, "two results") == 0)) { /* and the same again */
        zmq_send(liar->socket, peer, peer_len, ZMQ_SNDMORE);
        zmq_send(liar->socket, buf.ptr, buf.len, 0);
    }
    busi_buf_fini(&buf);
}

static void *run_liar(void *arg)
{
    struct liar *liar = arg;
    char peer[256], bytes[4096];
    int ms = 50;
    zmq_setsockopt(liar->socket, ZMQ_RCVTIMEO, &ms, sizeof ms);
    while (!liar->stop) {
        int peer_len = zmq_recv(liar->socket, peer, sizeof peer, 0);
        if (peer_len < 0)
            continue;
        int n = zmq_recv(liar->socket, bytes, sizeof bytes, 0);
        struct busi_request_head head;
        const char *bad;
        if (n > 0 && busi_request_decode((struct busi_str){bytes, (size_t)n}, &head, &bad))
            lie(liar, peer, (size_t)peer_len, &head);
    }
    return NULL;
}

static struct client *meet(struct liar *liar)
{
    int linger = 0;
    size_t room = sizeof liar->endpoint;
    liar->socket = zmq_socket(busi_zmq_context(), ZMQ_ROUTER);
    zmq_setsockopt(liar->socket, ZMQ_LINGER, &linger, sizeof linger);
    cr_assert_eq(zmq_bind(liar->socket, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(liar->socket, ZMQ_LAST_ENDPOINT, liar->endpoint, &room), 0);
    pthread_create(&liar->thread, NULL, run_liar, liar);
    return start_ready_client(liar->endpoint + 6, "", NULL, 8);
}

static void leave(struct liar *liar, struct client **client)
{
    stop_client(client);
    liar->stop = true;
    pthread_join(liar->thread, NULL);
    zmq_close(liar->socket);
}

struct counter {
    enum busi_metric metric;
    int64_t before;
};

static bool has_grown(void *arg)
{
    struct counter *counter = arg;
    return busi_metric_get(counter->metric) > counter->before;
}

static void expect_of_liar(const char *mode, enum busi_code expected, enum busi_metric counted)
{
    struct liar liar = {.mode = mode};
    struct client *client = meet(&liar);
    int64_t before = busi_metric_get(counted);
    char tag[16] = "first";
    enum busi_code code = get_business(client, 1, expected == BUSI_DEADLINE_EXCEEDED ? 300 : 3000, tag);
    cr_expect_eq(code, expected, "%s: %s", mode, busi_code_name(code));
    cr_expect_str_eq(tag, "first");
    cr_expect(within(2000, has_grown, &(struct counter){counted, before}), "%s", mode);
    leave(&liar, &client);
}

Test(rpc_attacks, replies_that_make_no_sense_are_not_believed) /* M-28 M-30 M-31 M-32 */
{
    expect_of_liar("another method", BUSI_INTERNAL, BUSI_METRIC_rpc_malformed);
    expect_of_liar("another id", BUSI_DEADLINE_EXCEEDED, BUSI_METRIC_rpc_late);
    expect_of_liar("nothing but success", BUSI_INTERNAL, BUSI_METRIC_rpc_malformed);
    expect_of_liar("success and no body", BUSI_DEADLINE_EXCEEDED, BUSI_METRIC_rpc_malformed);
    expect_of_liar("two results", BUSI_OK, BUSI_METRIC_rpc_late);
    expect_of_liar("noise", BUSI_DEADLINE_EXCEEDED, BUSI_METRIC_rpc_malformed);
    expect_of_liar("unknown code", BUSI_UNKNOWN, BUSI_METRIC_rpc_late); /* a duplicate is late */
}

/* The connection ends at the head of the frame: what follows is not taken in. The call is lost with it, and
 * each time it is tried again. */
Test(rpc_attacks, a_reply_larger_than_may_be_is_no_reply) /* M-18 */
{
    struct liar liar = {.mode = "too large"};
    struct client *client = meet(&liar);
    for (int i = 0; i < 3; i++) {
        enum busi_code code = get_business(client, 1, 700, NULL);
        cr_expect(code == BUSI_UNAVAILABLE || code == BUSI_DEADLINE_EXCEEDED, "%s", busi_code_name(code));
    }
    cr_expect(within(15000, is_ready, client), "it is asked how it does as before");
    leave(&liar, &client);
}
