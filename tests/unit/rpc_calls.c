/* Calls between a client and servers on real sockets. */
#include "base/metrics.h"
#include "rpc_house.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct busi_call *new_call(int64_t within_ms)
{
    static struct busi_call call;
    busi_call_init(&call, 4 << 20);
    call.until_ms = busi_now_ms() + within_ms;
    return &call;
}

static bool came(void *counter)
{
    return busi_metric_get(*(enum busi_metric *)counter) > 0;
}

#define EXPECT_METRIC(name)                                                                                  \
    cr_assert(within(2000, came, &(enum busi_metric){BUSI_METRIC_##name}), "%s stays 0", #name)

Test(rpc_calls, what_a_call_carries_arrives)
{
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct busi_call *call = new_call(2000);
    call->request_id = BUSI_STR("req-1.x_Y");
    call->traceparent = BUSI_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    call->idempotency_key = BUSI_STR("once only");
    call->user_id = 42;
    call->origin = (struct busi_origin){.remote_addr = BUSI_STR("2001:db8::7"),
                                        .user_agent = BUSI_STR("curl/7.88"),
                                        .language = BUSI_STR("de-CH")};
    struct busi_principal who;
    cr_assert_eq(busi_rpc_auth_check_token(client->rpc, call,
                                           &(struct busi_check_token_request){.token = BUSI_STR("t")}, &who),
                 BUSI_OK);
    cr_expect_eq(who.user_id, 42);
    cr_expect(busi_str_eq(who.session_id, BUSI_STR("once only")));
    cr_expect(busi_str_eq(who.email, call->traceparent));
    cr_expect(busi_str_eq(who.username, call->origin.remote_addr));
    cr_expect(busi_str_eq(who.user_code, call->origin.language));
    cr_expect(busi_str_eq(who.meta, call->origin.user_agent));
    cr_expect(who.expires_at > 500 && who.expires_at <= 1000, "budget %ld, not the method's second",
              (long)who.expires_at);
    busi_call_fini(call);
    call = new_call(300);
    call->idempotency_key = BUSI_STR("k");
    cr_assert_eq(busi_rpc_auth_check_token(client->rpc, call,
                                           &(struct busi_check_token_request){.token = BUSI_STR("t")}, &who),
                 BUSI_OK);
    cr_expect(who.expires_at > 0 && who.expires_at <= 300, "the caller's deadline is sooner");
    busi_call_fini(call);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_calls, a_refusal_says_why)
{
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct busi_call *call = new_call(2000);
    struct busi_business out;
    cr_assert_eq(busi_rpc_directory_get_business(client->rpc, call,
                                                 &(struct busi_business_id_request){.id = ID_REFUSED}, &out),
                 BUSI_INVALID_ARGUMENT);
    cr_expect(busi_str_eq(call->message, BUSI_STR("refused")));
    cr_expect_eq(call->retry_after_ms, 1234);
    cr_assert_eq(call->n_violations, 2);
    cr_expect(busi_str_eq(call->violations[0].field, BUSI_STR("tag")));
    cr_expect_eq(call->violations[0].rule, BUSI_RULE_BLANK);
    cr_expect_eq(call->violations[1].rule, BUSI_RULE_TOO_LONG);
    cr_expect_eq(call->violations[1].limit, 255);
    cr_expect_eq(call->quota.limit, 0);
    cr_assert_eq(busi_rpc_directory_get_business(client->rpc, call,
                                                 &(struct busi_business_id_request){.id = ID_LIMITED}, &out),
                 BUSI_RESOURCE_EXHAUSTED);
    cr_expect_eq(call->retry_after_ms, 5400);
    cr_expect(call->quota.limit == 10 && call->quota.window_ms == 60000 && call->quota.remaining == 0 &&
              call->quota.reset_ms == 59400);
    /* the next call on the same busi_call forgets all that */
    cr_assert_eq(busi_rpc_directory_get_business(client->rpc, call,
                                                 &(struct busi_business_id_request){.id = ID_UNKNOWN}, &out),
                 BUSI_NOT_FOUND);
    cr_expect_eq(call->n_violations, 0);
    cr_expect_eq(call->retry_after_ms, 0);
    cr_expect_eq(call->quota.limit, 0);
    busi_call_fini(call);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_calls, big_replies_come_whole_and_impossible_ones_are_internal_errors) /* M-18 */
{
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct busi_call *call = new_call(2000);
    struct busi_business out;
    cr_assert_eq(busi_rpc_directory_get_business(client->rpc, call,
                                                 &(struct busi_business_id_request){.id = ID_BIG}, &out),
                 BUSI_OK);
    cr_expect_eq(out.description.len, 250000);
    cr_expect_eq(out.description.ptr[249999], 'x');
    busi_call_fini(call);
    cr_expect_eq(get_business(client, ID_TOO_BIG, 1000, NULL), BUSI_INTERNAL);
    cr_expect_eq(get_business(client, 5, 1000, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
}

/* ---- from fibers ---- */

struct many {
    struct client *client;
    atomic_int ok, left;
};

static void one_of_many(void *arg)
{
    struct many *many = arg;
    if (get_business(many->client, ID_SLEEP + 20, 2000, NULL) == BUSI_OK)
        many->ok++;
    many->left--;
}

static void start_many(void *arg)
{
    struct many *many = arg;
    for (int i = 0; i < 200; i++)
        if (!busi_fiber_start(many->client->fibers, one_of_many, many))
            many->left--;
}

static bool many_done(void *arg)
{
    return ((struct many *)arg)->left == 0;
}

Test(rpc_calls, fibers_wait_side_by_side)
{
    struct server *server = start_server("one", "*", NULL, 256);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 256);
    struct many many = {.client = client, .left = 200};
    int64_t began_ms = busi_now_ms();
    cr_assert(busi_loop_post(client->loop, start_many, &many));
    cr_assert(within(5000, many_done, &many));
    cr_expect_eq(many.ok, 200);
    cr_expect_lt(busi_now_ms() - began_ms, 2000, "200 calls of 20 ms each one after the other");
    stop_client(&client);
    stop_server(&server);
}

static void late_fiber(void *arg)
{
    struct many *many = arg;
    if (get_business(many->client, ID_SLEEP + 400, 100, NULL) == BUSI_DEADLINE_EXCEEDED)
        many->ok++;
    if (get_business(many->client, 7, 1000, NULL) == BUSI_OK)
        many->ok++;
    many->left--;
}

static void start_late(void *arg)
{
    cr_assert(busi_fiber_start(((struct many *)arg)->client->fibers, late_fiber, arg));
}

Test(rpc_calls, a_fiber_gets_its_deadline_and_its_slot_is_safe)
{
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct many many = {.client = client, .left = 1};
    cr_assert(busi_loop_post(client->loop, start_late, &many));
    cr_assert(within(3000, many_done, &many));
    cr_expect_eq(many.ok, 2);
    EXPECT_METRIC(rpc_cancelled);
    stop_client(&client);
    stop_server(&server);
}

/* ---- deadlines and bounds ---- */

Test(rpc_calls, a_deadline_passes_at_once_and_the_worker_is_told)
{
    struct server *server = start_server("one", "*", NULL, 16);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    int64_t began_ms = busi_now_ms();
    cr_expect_eq(get_business(client, ID_SLEEP + 400, 100, NULL), BUSI_DEADLINE_EXCEEDED);
    int64_t took_ms = busi_now_ms() - began_ms;
    cr_expect(took_ms >= 99 && took_ms < 300, "%ld ms", (long)took_ms);
    for (int i = 0; i < 50; i++) /* in the same slot */
        cr_assert_eq(get_business(client, i + 1, 1000, NULL), BUSI_OK);
    EXPECT_METRIC(rpc_cancelled);
    cr_expect_eq(get_business(client, 1, 0, NULL), BUSI_DEADLINE_EXCEEDED, "no time at all");
    stop_client(&client);
    stop_server(&server);
}

struct one_call {
    pthread_t thread;
    struct client *client;
    int64_t id;
    enum busi_code code;
};

static void *run_one(void *arg)
{
    struct one_call *one = arg;
    one->code = get_business(one->client, one->id, 1000, NULL);
    return NULL;
}

static bool has_three_calls(void *server)
{
    return ((struct server *)server)->calls >= 3;
}

static void start_ones(struct one_call *ones, int n, struct client *client, int64_t id)
{
    for (int i = 0; i < n; i++) {
        ones[i] = (struct one_call){.client = client, .id = id};
        pthread_create(&ones[i].thread, NULL, run_one, &ones[i]);
    }
}

static void join_ones(struct one_call *ones, int n, enum busi_code expected)
{
    for (int i = 0; i < n; i++) {
        pthread_join(ones[i].thread, NULL);
        cr_expect_eq(ones[i].code, expected, "%s", busi_code_name(ones[i].code));
    }
}

Test(rpc_calls, a_server_with_all_fibers_busy_sheds_but_is_alive)
{
    struct server *server = start_server("one", "*", NULL, 3);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 64);
    struct one_call ones[3];
    start_ones(ones, 3, client, ID_SLEEP + 700);
    cr_assert(within(1000, has_three_calls, server));
    struct busi_call *call = new_call(500);
    struct busi_business out;
    cr_expect_eq(
        busi_rpc_directory_get_business(client->rpc, call, &(struct busi_business_id_request){.id = 1}, &out),
        BUSI_RESOURCE_EXHAUSTED);
    cr_expect_gt(call->retry_after_ms, 0);
    struct busi_health_reply health;
    cr_assert_eq(busi_rpc_rpc_health(client->rpc, call, &(struct busi_empty){0}, &health), BUSI_OK);
    cr_expect_eq(health.in_flight, 3, "three calls, not %ld", (long)health.in_flight);
    cr_expect(health.ready && !health.draining);
    busi_call_fini(call);
    join_ones(ones, 3, BUSI_OK);
    EXPECT_METRIC(rpc_shed);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_calls, a_client_never_has_more_in_flight_than_it_may)
{
    struct server *server = start_server("one", "*", NULL, 64);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 3);
    struct one_call ones[3];
    start_ones(ones, 3, client, ID_SLEEP + 500);
    cr_assert(within(1000, has_three_calls, server));
    cr_expect_eq(get_business(client, 1, 500, NULL), BUSI_RESOURCE_EXHAUSTED);
    cr_expect_eq(server->calls, 3);
    join_ones(ones, 3, BUSI_OK);
    cr_expect_eq(get_business(client, 1, 500, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_calls, nobody_there_is_unavailable_at_once)
{
    struct client *client = start_client("127.0.0.1:1", "", NULL, 8);
    int64_t began_ms = busi_now_ms();
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_UNAVAILABLE);
    cr_expect_lt(busi_now_ms() - began_ms, 200);
    cr_expect_not(busi_rpc_client_ready(client->rpc));
    stop_client(&client);
}

static const struct busi_message_info *find_message(const struct busi_describe_reply *all, const char *name)
{
    const struct busi_message_info *found = NULL;
    for (size_t i = 0; i < all->messages.n; i++)
        if (busi_str_eq(all->messages.items[i].name, busi_str_of(name)))
            found = &all->messages.items[i];
    cr_assert_not_null(found, "%s is not described", name);
    return found;
}

Test(rpc_calls, a_server_describes_its_methods_and_what_they_are_made_of)
{
    struct server *server = start_server("one", "*", NULL, 3);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 64);
    struct busi_call *call = new_call(500);
    struct busi_describe_reply out;
    cr_assert_eq(busi_rpc_rpc_describe(client->rpc, call, &(struct busi_empty){0}, &out), BUSI_OK);
    cr_assert_eq(out.methods.n, 8);
    cr_expect(busi_str_eq(out.methods.items[0].method, BUSI_STR("directory.GetBusiness")));
    cr_expect(busi_str_eq(out.methods.items[0].reply, BUSI_STR("business")));
    cr_expect(out.methods.items[0].idempotent);
    cr_expect_not(out.methods.items[1].idempotent);
    for (size_t i = 0; i < out.methods.n; i++)
        cr_expect(find_message(
            &out, busi_arena_printf(&call->arena, "%.*s", BUSI_ARG(out.methods.items[i].request)).ptr));
    const struct busi_message_info *violation = find_message(&out, "violation");
    cr_assert_eq(violation->fields.n, 3);
    cr_expect(busi_str_eq(violation->fields.items[0].name, BUSI_STR("field")));
    cr_expect(busi_str_eq(violation->fields.items[0].type, BUSI_STR("TEXT")));
    cr_expect(violation->fields.items[0].required && violation->fields.items[0].limit == 64);
    cr_expect(violation->fields.items[2].number == 3 && !violation->fields.items[2].required);
    const struct busi_field_info *methods = &find_message(&out, "describe_reply")->fields.items[0];
    cr_expect(busi_str_eq(methods->type, BUSI_STR("LIST")) && methods->limit == 256);
    cr_expect(busi_str_eq(methods->message, BUSI_STR("method_info")));
    cr_expect_eq(find_message(&out, "field_info")->fields.n, 6, "also what is two lists deep");
    busi_call_fini(call);
    stop_client(&client);
    stop_server(&server);
}

Test(rpc_calls, endpoints_that_make_no_sense_are_refused)
{
    static const char *const wrong[] = {"",    "host",     ":5001", "host:", "host:0",  "host:65536",
                                        "a:b", "a:1,,b:2", "a b:1", "a:1:2", "::1:5001"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *error = NULL;
        struct busi_loop *loop = busi_loop_new();
        struct busi_rpc_target target = {"auth", busi_str_of(wrong[i]), {0}};
        struct busi_rpc_client *client = busi_rpc_client_new(
            loop, &(struct busi_rpc_client_options){.targets = &target, .n_targets = 1, .max_in_flight = 1},
            &error);
        cr_expect_null(client, "'%s'", wrong[i]);
        cr_expect_not_null(error);
        busi_loop_free(&loop);
    }
}

/* ---- a child ---- */

Test(rpc_calls, a_child_calls_by_a_client_of_its_own)
{
    struct server *server = start_server("one", "*", NULL, 8);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    cr_assert_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        alarm(10);
        struct client *own = start_ready_client(server->endpoint, "", NULL, 8);
        _exit(get_business(own, 2, 1000, NULL) == BUSI_OK ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0, "%x", (unsigned)status);
    cr_expect_eq(get_business(client, 3, 1000, NULL), BUSI_OK);
    stop_client(&client);
    stop_server(&server);
}
