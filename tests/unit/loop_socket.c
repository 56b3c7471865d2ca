#include "loop_kit.h"
#include <pthread.h>
#include <zmq.h>

struct pair {
    struct busi_loop *loop;
    void *context, *ours, *theirs;
    struct busi_watch *watch;
    int received, most;
    int owed; /* the end of the turn sends so many */
};

static void open_pair(struct pair *pair, const char *endpoint)
{
    *pair = (struct pair){.loop = kit_loop(), .context = zmq_ctx_new()};
    pair->ours = zmq_socket(pair->context, ZMQ_PAIR);
    pair->theirs = zmq_socket(pair->context, ZMQ_PAIR);
    cr_assert_eq(zmq_bind(pair->ours, endpoint), 0);
    char bound[64];
    size_t size = sizeof(bound);
    cr_assert_eq(zmq_getsockopt(pair->ours, ZMQ_LAST_ENDPOINT, bound, &size), 0);
    cr_assert_eq(zmq_connect(pair->theirs, bound), 0);
}

static void close_pair(struct pair *pair)
{
    busi_watch_free(&pair->watch);
    busi_loop_free(&pair->loop);
    zmq_close(pair->ours);
    zmq_close(pair->theirs);
    zmq_ctx_term(pair->context);
}

static void receive_one(void *arg, unsigned events)
{
    struct pair *pair = arg;
    char bytes[8];
    cr_assert_eq(events, BUSI_READABLE);
    cr_assert_eq(zmq_recv(pair->ours, bytes, sizeof(bytes), ZMQ_DONTWAIT), 4, "called means readable");
    if (++pair->received == pair->most)
        busi_loop_stop(pair->loop);
}

Test(socket, what_was_there_before_the_loop_ran_is_told_and_told_until_it_is_read)
{
    struct pair pair;
    open_pair(&pair, "inproc://loop");
    pair.most = 10;
    for (int i = 0; i < 10; i++)
        cr_assert_eq(zmq_send(pair.theirs, "ping", 4, 0), 4);
    int events;
    size_t size = sizeof(events); /* takes the descriptor's signal away */
    cr_assert_eq(zmq_getsockopt(pair.ours, ZMQ_EVENTS, &events, &size), 0);
    pair.watch = busi_loop_socket(pair.loop, pair.ours, receive_one, &pair);
    int64_t began_ms = busi_now_ms();
    busi_loop_run(pair.loop);
    cr_assert_eq(pair.received, 10);
    cr_assert_lt(busi_now_ms() - began_ms, 700, "the loop slept over a message");
    close_pair(&pair);
}

static void receive_and_owe(void *arg, unsigned events)
{
    struct pair *pair = arg;
    char bytes[8];
    (void)events;
    while (zmq_recv(pair->ours, bytes, sizeof(bytes), ZMQ_DONTWAIT) >= 0) {
        pair->received++;
        pair->owed++;
    }
    if (pair->received >= pair->most)
        busi_loop_stop(pair->loop);
}

/* The other end answers inside the hook, so that the message is there before the loop would sleep and the
 * sends have eaten the descriptor's edge. */
static void send_at_end(void *arg)
{
    struct pair *pair = arg;
    char bytes[8];
    if (pair->owed == 0)
        return;
    pair->owed = 0;
    cr_assert_eq(zmq_send(pair->ours, "ping", 4, 0), 4);
    cr_assert_eq(zmq_recv(pair->theirs, bytes, sizeof(bytes), 0), 4);
    cr_assert_eq(zmq_send(pair->theirs, "pong", 4, 0), 4);
    int events;
    size_t size = sizeof(events);
    cr_assert_eq(zmq_getsockopt(pair->ours, ZMQ_EVENTS, &events, &size), 0);
}

Test(socket, a_message_that_came_while_the_turn_ended_does_not_wait_for_the_next_event)
{
    struct pair pair;
    open_pair(&pair, "inproc://loop");
    pair.most = 2000;
    pair.owed = 1;
    pair.watch = busi_loop_socket(pair.loop, pair.ours, receive_and_owe, &pair);
    cr_assert(busi_loop_at_turn_end(pair.loop, send_at_end, &pair));
    int64_t began_ms = busi_now_ms();
    cr_assert_not_null(busi_loop_after(pair.loop, 0, send_at_end, &pair)); /* the first one */
    busi_loop_run(pair.loop);
    cr_assert_eq(pair.received, 2000);
    cr_assert_lt(busi_now_ms() - began_ms, 2500, "the loop slept over messages");
    close_pair(&pair);
}

static void answer_at_end(void *arg)
{
    struct pair *pair = arg;
    for (; pair->owed > 0; pair->owed--)
        cr_assert_eq(zmq_send(pair->ours, "ping", 4, 0), 4);
}

static void *echo(void *socket)
{
    char bytes[8];
    int n;
    do {
        n = zmq_recv(socket, bytes, sizeof(bytes), 0);
        zmq_send(socket, bytes, (size_t)n, 0);
    } while (n == 4);
    return NULL;
}

Test(socket, no_edge_is_lost_over_tcp_against_a_thread)
{
    struct pair pair;
    open_pair(&pair, "tcp://127.0.0.1:*");
    pair.most = 3000;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, echo, pair.theirs), 0);
    pair.watch = busi_loop_socket(pair.loop, pair.ours, receive_and_owe, &pair);
    cr_assert(busi_loop_at_turn_end(pair.loop, answer_at_end, &pair));
    pair.owed = 3; /* several on their way at once */
    cr_assert_not_null(busi_loop_after(pair.loop, 0, answer_at_end, &pair));
    int64_t began_ms = busi_now_ms();
    busi_loop_run(pair.loop);
    cr_assert_geq(pair.received, pair.most);
    cr_assert_lt(busi_now_ms() - began_ms, 5000, "the loop slept over messages");
    cr_assert_eq(zmq_send(pair.ours, "", 0, 0), 0);
    pthread_join(thread, NULL);
    close_pair(&pair);
}

static void never(void *arg, unsigned events)
{
    (void)arg;
    cr_assert(false, "called with %u", events);
}

static void note_turn(void *arg)
{
    ++*(int *)arg;
}

Test(socket, a_context_that_is_gone_does_not_make_the_loop_spin)
{
    struct pair pair;
    open_pair(&pair, "inproc://loop");
    pair.watch = busi_loop_socket(pair.loop, pair.ours, never, &pair);
    int turns = 0;
    cr_assert(busi_loop_at_turn_end(pair.loop, note_turn, &turns));
    zmq_ctx_shutdown(pair.context);
    kit_run_for(pair.loop, 200);
    cr_assert_lt(turns, 20);
    close_pair(&pair);
}
