/* Workers far away: everything there and back takes longer than the pause between pings. */
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/context.h"
#include "rpc_house.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <zmq.h>

enum { ONE_WAY_MS = 300, MOST_UNDER_WAY = 256, CALLERS = 4, SECONDS = 3 };

/* Passes messages on between one client and one server, later. */
struct distance {
    char endpoint[64];
    void *front, *back; /* ROUTER for the client, DEALER to the server */
    atomic_bool stop;
    pthread_t thread;
};

struct letter {
    zmq_msg_t text;
    int64_t due_ms;
    bool up;
};

/* client: who wrote last; there is one only. */
static bool take_in(struct distance *distance, bool up, zmq_msg_t *client, struct letter *letter)
{
    void *from = up ? distance->front : distance->back;
    zmq_msg_init(&letter->text);
    if (zmq_msg_recv(&letter->text, from, ZMQ_DONTWAIT) < 0) /* empties what it was given */
        return false;
    if (up) {
        zmq_msg_move(client, &letter->text);
        cr_assert(zmq_msg_recv(&letter->text, from, 0) >= 0);
    }
    letter->up = up;
    letter->due_ms = busi_now_ms() + ONE_WAY_MS;
    return true;
}

static void hand_out(struct distance *distance, zmq_msg_t *client, struct letter *letter)
{
    if (!letter->up)
        zmq_send(distance->front, zmq_msg_data(client), zmq_msg_size(client), ZMQ_SNDMORE);
    zmq_msg_send(&letter->text, letter->up ? distance->back : distance->front, ZMQ_DONTWAIT);
    zmq_msg_close(&letter->text);
}

static void *carry(void *arg)
{
    struct distance *distance = arg;
    static _Thread_local struct letter under_way[MOST_UNDER_WAY];
    size_t first = 0, end = 0;
    zmq_msg_t client;
    zmq_msg_init(&client);
    while (!distance->stop) {
        for (int up = 0; up < 2; up++)
            while (end - first < MOST_UNDER_WAY &&
                   take_in(distance, up, &client, &under_way[end % MOST_UNDER_WAY]))
                end++;
        for (; first < end && under_way[first % MOST_UNDER_WAY].due_ms <= busi_now_ms(); first++)
            hand_out(distance, &client, &under_way[first % MOST_UNDER_WAY]);
        sleep_ms(2);
    }
    for (; first < end; first++)
        zmq_msg_close(&under_way[first % MOST_UNDER_WAY].text);
    zmq_msg_close(&client);
    return NULL;
}

static void *open_socket(int type)
{
    int linger = 0;
    void *socket = zmq_socket(busi_zmq_context(), type);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    return socket;
}

static void start_distance(struct distance *distance, const struct server *server)
{
    char target[80];
    size_t room = sizeof target;
    *distance = (struct distance){.front = open_socket(ZMQ_ROUTER), .back = open_socket(ZMQ_DEALER)};
    snprintf(target, sizeof target, "tcp://%s", server->endpoint);
    cr_assert_eq(zmq_connect(distance->back, target), 0);
    cr_assert_eq(zmq_bind(distance->front, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(distance->front, ZMQ_LAST_ENDPOINT, target, &room), 0);
    snprintf(distance->endpoint, sizeof distance->endpoint, "%.60s", target + strlen("tcp://"));
    cr_assert_eq(pthread_create(&distance->thread, NULL, carry, distance), 0);
}

static void stop_distance(struct distance *distance)
{
    distance->stop = true;
    pthread_join(distance->thread, NULL);
    zmq_close(distance->front);
    zmq_close(distance->back);
}

struct caller {
    struct client *client;
    int ok, others;
    int64_t quickest_ms;
    pthread_t thread;
};

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    caller->quickest_ms = INT64_MAX;
    for (int64_t end_ms = busi_now_ms() + SECONDS * 1000, begun_ms; (begun_ms = busi_now_ms()) < end_ms;) {
        enum busi_code code = get_business(caller->client, 1, 2000, NULL);
        int64_t took_ms = busi_now_ms() - begun_ms;
        caller->ok += code == BUSI_OK;
        caller->others += code != BUSI_OK;
        caller->quickest_ms = took_ms < caller->quickest_ms ? took_ms : caller->quickest_ms;
    }
    return NULL;
}

/* Each ping is one interval late: no reason to ask somebody else as well, who is as far away. */
Test(rpc_far, their_calls_stay_where_they_are)
{
    struct server *a = start_server("a", "*", NULL, 64), *b = start_server("b", "*", NULL, 64);
    struct distance to_a, to_b;
    struct caller callers[CALLERS];
    char endpoints[160];
    start_distance(&to_a, a);
    start_distance(&to_b, b);
    snprintf(endpoints, sizeof endpoints, "%s, %s", to_a.endpoint, to_b.endpoint);
    struct client *client = start_client_of("directory", endpoints, "", NULL, 64);
    cr_assert(within(5000, is_ready, client));
    sleep_ms(1000);
    int64_t retries = busi_metric_get(BUSI_METRIC_rpc_retries);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.client = client};
        pthread_create(&callers[i].thread, NULL, call_on, &callers[i]);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        cr_expect_geq(callers[i].ok, 3);
        cr_expect_eq(callers[i].others, 0);
        cr_expect_geq(callers[i].quickest_ms, (int64_t)2 * ONE_WAY_MS - 1);
    }
    cr_expect_eq(busi_metric_get(BUSI_METRIC_rpc_retries), retries);
    cr_expect_eq(a->calls + b->calls, callers[0].ok + callers[1].ok + callers[2].ok + callers[3].ok);
    stop_client(&client);
    stop_distance(&to_a);
    stop_distance(&to_b);
    stop_server(&a);
    stop_server(&b);
}
