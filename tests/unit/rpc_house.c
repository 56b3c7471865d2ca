#include "rpc_house.h"
#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static char big[250000];

static enum busi_code answer(struct server *self, struct busi_call *call, int64_t id,
                             struct busi_business *out)
{
    atomic_fetch_add(&self->calls, 1);
    if (id == ID_REFUSED) {
        busi_call_refuse(call, "tag", BUSI_RULE_BLANK, 0);
        busi_call_refuse(call, "name", BUSI_RULE_TOO_LONG, 255);
        call->retry_after_ms = 1234;
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "refused");
    }
    if (id == ID_LIMITED) {
        call->retry_after_ms = 5400;
        call->quota = (struct busi_quota){.limit = 10, .window_ms = 60000, .reset_ms = 59400};
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "too many requests");
    }
    if (id == ID_LOOKED_UP && !busi_arena_alloc(&call->arena, 100000))
        id = ID_UNKNOWN;
    if (id == ID_UNKNOWN)
        return busi_call_fail(call, BUSI_NOT_FOUND, "no such business");
    if (id > ID_SLEEP && id < ID_REFUSED) {
        busi_fiber_sleep(id - ID_SLEEP);
        self->cut += busi_call_left_ms(call) == 0;
    }
    if (id > ID_COMMIT) {
        busi_fiber_commit();
        busi_fiber_sleep(id - ID_COMMIT);
        self->written++;
    }
    *out = (struct busi_business){.id = id,
                                  .name = call->request_id.ptr ? call->request_id : BUSI_STR("-"),
                                  .description = call->caller.ptr ? call->caller : BUSI_STR("-"),
                                  .tag = busi_str_of(self->name),
                                  .date = BUSI_STR("2018-11-11 07:00:53.229068"),
                                  .created_by = call->user_id};
    if (id == ID_BIG)
        out->description = (struct busi_str){memset(big, 'x', sizeof big), sizeof big};
    if (id == ID_TOO_BIG)
        out->tag = (struct busi_str){memset(big, 'x', sizeof big), sizeof big};
    return BUSI_OK;
}

static enum busi_code get(void *self, struct busi_call *call, const void *in, void *out)
{
    return answer(self, call, ((const struct busi_business_id_request *)in)->id, out);
}

static enum busi_code create(void *self, struct busi_call *call, const void *in, void *out)
{
    return answer(self, call, ((const struct busi_write_business_request *)in)->id, out);
}

/* Says who asked and on whose behalf: principal.session_id = idempotency key, door = caller, email = trace,
 * username = the client's address, user_code = its language, meta = its user agent. */
static enum busi_code check(void *self, struct busi_call *call, const void *in, void *out)
{
    (void)self, (void)in;
    *(struct busi_principal *)out =
        (struct busi_principal){.user_id = call->user_id,
                                .session_id = call->idempotency_key,
                                .door = call->caller.ptr ? call->caller : BUSI_STR("-"),
                                .expires_at = busi_call_left_ms(call),
                                .email = call->traceparent,
                                .username = call->origin.remote_addr,
                                .user_code = call->origin.language,
                                .meta = call->origin.user_agent};
    return BUSI_OK;
}

static enum busi_code sign_up(void *self, struct busi_call *call, const void *in, void *out)
{
    (void)call, (void)in;
    atomic_fetch_add(&((struct server *)self)->calls, 1);
    *(struct busi_session_reply *)out = (struct busi_session_reply){
        .user_id = 1, .session_id = BUSI_STR("s"), .access_token = BUSI_STR("t"), .expires_at = 1};
    return BUSI_OK;
}

static bool server_ready(void *state)
{
    return !atomic_load(&((struct server *)state)->not_ready);
}

static void *run(void *loop)
{
    busi_loop_run(loop);
    return NULL;
}

static struct server *start(const char *name, const char *port, struct busi_curve *curve, size_t fibers,
                            size_t connections)
{
    static const struct busi_endpoint endpoints[] = {{BUSI_METHOD_directory_get_business, get},
                                                     {BUSI_METHOD_directory_create_business, create},
                                                     {BUSI_METHOD_auth_check_token, check},
                                                     {BUSI_METHOD_auth_sign_up, sign_up}};
    const char *error;
    char bind[64];
    struct server *server = calloc(1, sizeof *server);
    snprintf(server->name, sizeof server->name, "%s", name);
    snprintf(bind, sizeof bind, "tcp://127.0.0.1:%s", port);
    server->loop = busi_loop_new();
    server->fibers = busi_fibers_new(server->loop, fibers, 256 * 1024);
    server->rpc = busi_rpc_server_new(server->loop,
                                      &(struct busi_rpc_server_options){.service = "directory",
                                                                        .bind = busi_str_of(bind),
                                                                        .curve = curve,
                                                                        .fibers = server->fibers,
                                                                        .endpoints = endpoints,
                                                                        .n_endpoints = 4,
                                                                        .state = server,
                                                                        .ready = server_ready,
                                                                        .most_connections = connections},
                                      &error);
    if (!server->rpc) {
        fprintf(stderr, "server %s: %s\n", name, error);
        abort();
    }
    snprintf(server->endpoint, sizeof server->endpoint, "%s", busi_rpc_server_endpoint(server->rpc).ptr + 6);
    pthread_create(&server->thread, NULL, run, server->loop);
    return server;
}

struct server *start_server(const char *name, const char *port, struct busi_curve *curve, size_t fibers)
{
    return start(name, port, curve, fibers, 0);
}

struct server *start_server_for(size_t connections, struct busi_curve *curve)
{
    return start("one", "*", curve, 8, connections);
}

static void close_rpc(void *arg)
{
    busi_rpc_server_free(&((struct server *)arg)->rpc);
}

static void look_at_fibers(void *arg)
{
    struct server *server = arg;
    server->idle = busi_fibers_busy(server->fibers) == 0;
}

static bool is_idle(void *arg)
{
    struct server *server = arg;
    return server->idle || !busi_loop_post(server->loop, look_at_fibers, server);
}

void stop_server(struct server **server)
{
    if (!busi_loop_post((*server)->loop, close_rpc, *server) || !within(10000, is_idle, *server))
        abort();
    busi_loop_stop((*server)->loop);
    pthread_join((*server)->thread, NULL);
    busi_fibers_free(&(*server)->fibers);
    busi_loop_free(&(*server)->loop);
    free(*server);
    *server = NULL;
}

static void drain(void *arg)
{
    busi_rpc_server_drain(arg);
}

void drain_server(struct server *server)
{
    if (!busi_loop_post(server->loop, drain, server->rpc))
        abort();
}

static struct client *start_client_for(const struct busi_rpc_target *targets, size_t n,
                                       struct busi_curve *curve, size_t max_in_flight)
{
    const char *error;
    struct client *client = calloc(1, sizeof *client);
    client->loop = busi_loop_new();
    client->fibers = busi_fibers_new(client->loop, 256, 256 * 1024);
    client->rpc = busi_rpc_client_new(
        client->loop,
        &(struct busi_rpc_client_options){
            .targets = targets, .n_targets = n, .curve = curve, .max_in_flight = max_in_flight},
        &error);
    if (!client->rpc) {
        fprintf(stderr, "client: %s\n", error);
        abort();
    }
    pthread_create(&client->thread, NULL, run, client->loop);
    return client;
}

struct client *start_client(const char *endpoints, const char *key_file, struct busi_curve *curve,
                            size_t max_in_flight)
{
    const struct busi_rpc_target targets[] = {
        {"directory", busi_str_of(endpoints), busi_str_of(key_file)},
        {"auth", busi_str_of(endpoints), busi_str_of(key_file)},
    };
    return start_client_for(targets, 2, curve, max_in_flight);
}

struct client *start_client_of(const char *service, const char *endpoints, const char *key_file,
                               struct busi_curve *curve, size_t max_in_flight)
{
    const struct busi_rpc_target target = {service, busi_str_of(endpoints), busi_str_of(key_file)};
    return start_client_for(&target, 1, curve, max_in_flight);
}

bool is_ready(void *client)
{
    return busi_rpc_client_ready(((struct client *)client)->rpc);
}

struct client *start_ready_client(const char *endpoints, const char *key_file, struct busi_curve *curve,
                                  size_t max_in_flight)
{
    struct client *client = start_client(endpoints, key_file, curve, max_in_flight);
    if (!within(5000, is_ready, client)) {
        fprintf(stderr, "client: no worker\n");
        abort();
    }
    return client;
}

void stop_client(struct client **client)
{
    busi_loop_stop((*client)->loop);
    pthread_join((*client)->thread, NULL);
    busi_rpc_client_free(&(*client)->rpc);
    busi_fibers_free(&(*client)->fibers);
    busi_loop_free(&(*client)->loop);
    free(*client);
    *client = NULL;
}

void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

bool within(int ms, bool (*test)(void *arg), void *arg)
{
    int64_t until_ms = busi_now_ms() + ms;
    while (busi_now_ms() < until_ms) {
        if (test(arg))
            return true;
        sleep_ms(5);
    }
    return test(arg);
}

enum busi_code get_business(struct client *client, int64_t id, int64_t within_ms, char *tag)
{
    struct busi_call call;
    struct busi_business business;
    busi_call_init(&call, 1 << 20);
    call.until_ms = busi_now_ms() + within_ms;
    enum busi_code code = busi_rpc_directory_get_business(
        client->rpc, &call, &(struct busi_business_id_request){.id = id}, &business);
    if (code == BUSI_OK && tag)
        snprintf(tag, 16, "%.*s", BUSI_ARG(business.tag));
    if (code == BUSI_OK && business.id != id)
        abort(); /* another call's answer: nothing is worse */
    busi_call_fini(&call);
    return code;
}
