/* Who wants to hear of changes: over the wire, and from a client in C. */
#include "base/metrics.h"
#include "rpc_peer.h"

/* ---- rpc.Watch ---- */

static void ask_to_watch(void *peer, uint64_t id, int64_t budget_ms)
{
    char bytes[512];
    send_frames(peer, 1, bytes, request(bytes, sizeof bytes, "rpc.Watch", id, budget_ms, 1));
}

struct told {
    struct busi_reply_head head;
    struct busi_health_reply health; /* its texts are gone */
};

/* The next answer; head.id 0: none came within ms. Notices are left out. */
static struct told hear(void *peer, int ms)
{
    struct told told = {.head = {0}};
    char reply[4096];
    const char *bad;
    struct busi_arena arena;
    struct busi_reader reader;
    int n;
    do {
        n = receive(peer, reply, sizeof reply, ms);
        if (n < 0)
            return (struct told){.head = {0}};
        cr_assert(busi_reply_decode((struct busi_str){reply, (size_t)n}, &told.head, &bad), "%s", bad);
    } while (told.head.id == 0);
    if (told.head.code != BUSI_OK)
        return told;
    busi_arena_init(&arena, 4096);
    busi_reader_init(&reader, told.head.body.ptr, told.head.body.len);
    cr_assert(busi_decode(&reader, busi_desc_health_reply(), &told.health, &arena, &bad), "%s", bad);
    busi_arena_fini(&arena);
    return told;
}

Test(rpc_watch, each_change_is_another_answer)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    ask_to_watch(peer, 9, 20000);
    struct told told = hear(peer, 1000);
    cr_expect(told.head.id == 9 && told.health.ready && !told.health.draining);
    cr_expect_eq(hear(peer, 300).head.id, 0, "nothing has changed");
    server->not_ready = true;
    told = hear(peer, 1000);
    cr_expect(told.head.id == 9 && !told.health.ready && !told.health.draining);
    server->not_ready = false;
    told = hear(peer, 1000);
    cr_expect(told.head.id == 9 && told.health.ready);
    drain_server(server);
    told = hear(peer, 1000);
    cr_expect(told.head.id == 9 && told.health.draining);
    cr_expect_eq(server->calls, 0);
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_watch, it_ends_with_its_budget_or_when_it_is_cancelled)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    ask_to_watch(peer, 1, 300);
    cr_expect_eq(hear(peer, 1000).head.id, 1);
    ask_to_watch(peer, 2, 20000);
    cr_expect_eq(hear(peer, 1000).head.id, 2);
    ask_to_watch(peer, 3, 20000);
    cr_expect_eq(hear(peer, 1000).head.id, 3);
    char bytes[512];
    struct busi_buf buf;
    busi_buf_init(&buf, sizeof bytes);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = BUSI_STR("rpc.Cancel"), .id = 4, .budget_ms = 1000},
        busi_desc_cancel_request(), &(struct busi_cancel_request){.id = 3});
    send_frames(peer, 1, buf.ptr, buf.len);
    busi_buf_fini(&buf);
    cr_expect_gt(receive(peer, bytes, sizeof bytes, 1000), 0, "that it is cancelled");
    sleep_ms(400);
    server->not_ready = true;
    cr_expect_eq(hear(peer, 1000).head.id, 2);
    cr_expect_eq(hear(peer, 300).head.id, 0, "the others have ended");
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_watch, the_same_question_again_makes_it_longer_not_twice)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server);
    ask_to_watch(peer, 1, 300);
    cr_expect_eq(hear(peer, 1000).head.id, 1);
    ask_to_watch(peer, 1, 20000);
    cr_expect_eq(hear(peer, 1000).head.id, 1);
    sleep_ms(400);
    server->not_ready = true;
    cr_expect_eq(hear(peer, 1000).head.id, 1);
    cr_expect_eq(hear(peer, 300).head.id, 0);
    zmq_close(peer);
    stop_server(&server);
}

Test(rpc_watch, nobody_watches_too_often)
{
    struct server *server = start_server("one", "*", NULL, 8);
    void *peer = connect_peer(server), *other = connect_peer(server);
    for (uint64_t id = 1; id <= 20; id++) {
        ask_to_watch(peer, id, 20000);
        struct told told = hear(peer, 1000);
        cr_expect_eq(told.head.code, id <= 8 ? BUSI_OK : BUSI_RESOURCE_EXHAUSTED, "the %d.: %d", (int)id,
                     told.head.code);
        cr_expect(told.head.code == BUSI_OK || told.head.retry_after_ms > 0);
    }
    ask_to_watch(other, 1, 20000);
    cr_expect_eq(hear(other, 1000).head.code, BUSI_OK);
    zmq_close(peer); /* with all its watches: what they are told goes nowhere */
    sleep_ms(50);
    server->not_ready = true;
    cr_expect_eq(hear(other, 1000).head.id, 1);
    zmq_close(other);
    stop_server(&server);
}

/* ---- struct busi_rpc_client_options: on_state ---- */

struct diary {
    pthread_mutex_t mutex;
    char text[256]; /* a letter for each state told */
};

static void note(void *arg, const char *service, const char *worker, enum busi_worker_state state)
{
    struct diary *diary = arg;
    cr_assert_str_eq(service, "directory");
    cr_assert_not_null(strchr(worker, ':'));
    pthread_mutex_lock(&diary->mutex);
    char letter[] = {"GNDS"[state], 0};
    strncat(diary->text, letter, sizeof diary->text - strlen(diary->text) - 1);
    pthread_mutex_unlock(&diary->mutex);
}

struct wish {
    struct diary *diary;
    const char *text;
};

static bool says(void *arg)
{
    const struct wish *wish = arg;
    pthread_mutex_lock(&wish->diary->mutex);
    bool same = strcmp(wish->diary->text, wish->text) == 0;
    pthread_mutex_unlock(&wish->diary->mutex);
    return same;
}

#define EXPECT_DIARY(ms, letters)                                                                            \
    cr_expect(within(ms, says, &(struct wish){&diary, letters}), "'%s', not '%s'", diary.text, letters)

static void *run_loop(void *loop)
{
    busi_loop_run(loop);
    return NULL;
}

Test(rpc_watch, a_client_hears_of_each_change_before_its_next_ping)
{
    static struct diary diary = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct server *server = start_server("one", "*", NULL, 8);
    struct busi_loop *loop = busi_loop_new();
    const struct busi_rpc_target target = {"directory", busi_str_of(server->endpoint), {0}};
    const char *error;
    pthread_t thread;
    struct busi_rpc_client *client = busi_rpc_client_new(
        loop,
        &(struct busi_rpc_client_options){
            .targets = &target, .n_targets = 1, .max_in_flight = 8, .on_state = note, .on_state_arg = &diary},
        &error);
    cr_assert_not_null(client);
    pthread_create(&thread, NULL, run_loop, loop);
    EXPECT_DIARY(2000, "S");
    sleep_ms(150); /* by now it watches */
    for (int i = 0; i < 3; i++) {
        int64_t began_ms = busi_now_ms();
        server->not_ready = true;
        EXPECT_DIARY(1000, ((const char *[]){"SN", "SNSN", "SNSNSN"})[i]);
        cr_expect_lt(busi_now_ms() - began_ms, 350, "%ld ms", (long)(busi_now_ms() - began_ms));
        server->not_ready = false;
        EXPECT_DIARY(1000, ((const char *[]){"SNS", "SNSNS", "SNSNSNS"})[i]);
    }
    drain_server(server);
    EXPECT_DIARY(1000, "SNSNSNSD");
    stop_server(&server);
    EXPECT_DIARY(3000, "SNSNSNSDG");
    busi_loop_stop(loop);
    pthread_join(thread, NULL);
    busi_rpc_client_free(&client);
    EXPECT_DIARY(0, "SNSNSNSDG");
    busi_loop_free(&loop);
}
