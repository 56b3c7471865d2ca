/* Calls from many threads and fibers at once, over two workers of which one goes and comes back, with
 * deadlines so short that many pass, and somebody who calls off whatever he meets: every answer must be the
 * caller's own. Then one call after the other that is called off just as it is made: none may be waited for.
 * Exit 0: all was so. */
#include "base/clock.h"
#include "rpc/client.h"
#include "rpc/context.h"
#include "rpc/server.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 16, FIBERS = 32, RUN_MS = 4000, SLOW = 2000000001, SLOW_MS = 600, ROUNDS = 2000 };

static atomic_bool stop;
static atomic_int ok, late, gone, off, other, wrong, changes, fibers_left;

static void *run(void *loop)
{
    busi_loop_run(loop);
    return NULL;
}

static void nap(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* ---- a worker ---- */

struct worker {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct busi_rpc_server *rpc;
    pthread_t thread;
};

static enum busi_code get(void *self, struct busi_call *call, const void *in, void *out)
{
    (void)self, (void)call;
    int64_t id = ((const struct busi_business_id_request *)in)->id;
    if (id == SLOW)
        busi_fiber_sleep(SLOW_MS);
    else if (id % 8 == 0)
        busi_fiber_sleep(id % 32);
    *(struct busi_business *)out = (struct busi_business){.id = id,
                                                          .name = BUSI_STR("n"),
                                                          .description = BUSI_STR("d"),
                                                          .tag = BUSI_STR("t"),
                                                          .date = BUSI_STR("2018-11-11 07:00:53.229068")};
    return BUSI_OK;
}

static void start_worker(struct worker *worker, const char *bind)
{
    static const struct busi_endpoint endpoints[] = {{BUSI_METHOD_directory_get_business, get}};
    const char *error;
    worker->loop = busi_loop_new();
    worker->fibers = busi_fibers_new(worker->loop, 64, 256 * 1024);
    worker->rpc = busi_rpc_server_new(worker->loop,
                                      &(struct busi_rpc_server_options){.service = "directory",
                                                                        .bind = busi_str_of(bind),
                                                                        .fibers = worker->fibers,
                                                                        .endpoints = endpoints,
                                                                        .n_endpoints = 1},
                                      &error);
    if (!worker->rpc) {
        fprintf(stderr, "worker at %s: %s\n", bind, error);
        exit(1);
    }
    pthread_create(&worker->thread, NULL, run, worker->loop);
}

static void drain(void *rpc)
{
    busi_rpc_server_drain(rpc);
}

static void close_rpc(void *worker)
{
    busi_rpc_server_free(&((struct worker *)worker)->rpc);
}

static void stop_worker(struct worker *worker)
{
    if (!busi_loop_post(worker->loop, drain, worker->rpc))
        exit(1);
    nap(100);
    if (!busi_loop_post(worker->loop, close_rpc, worker)) /* with calls in flight */
        exit(1);
    nap(200);
    busi_loop_stop(worker->loop);
    pthread_join(worker->thread, NULL);
    busi_fibers_free(&worker->fibers);
    busi_loop_free(&worker->loop);
}

/* ---- callers ---- */

static void note(enum busi_code code, int64_t id, const struct busi_business *out)
{
    if (code == BUSI_OK && out->id != id)
        wrong++;
    atomic_fetch_add(code == BUSI_OK                                               ? &ok
                     : code == BUSI_DEADLINE_EXCEEDED                              ? &late
                     : code == BUSI_CANCELLED                                      ? &off
                     : code == BUSI_UNAVAILABLE || code == BUSI_RESOURCE_EXHAUSTED ? &gone
                                                                                   : &other,
                     1);
}

static void begin_call(struct busi_call *call, int64_t id)
{
    busi_call_init(call, 65536);
    call->until_ms = busi_now_ms() + 1 + id % 40;
}

static void call_once(struct busi_rpc_client *client, int64_t id)
{
    struct busi_call call;
    struct busi_business out;
    begin_call(&call, id);
    note(busi_rpc_directory_get_business(client, &call, &(struct busi_business_id_request){.id = id}, &out),
         id, &out);
    busi_call_fini(&call);
}

struct thread {
    pthread_t thread;
    struct busi_rpc_client *client;
    int number;
    pthread_mutex_t mutex;  /* guards call */
    struct busi_call *call; /* under way, and may be called off; or NULL */
};

static void show(struct thread *self, struct busi_call *call)
{
    pthread_mutex_lock(&self->mutex);
    self->call = call;
    pthread_mutex_unlock(&self->mutex);
}

static void *call_on(void *arg)
{
    struct thread *self = arg;
    for (int64_t i = 1; !stop; i++) {
        struct busi_call call;
        struct busi_business out;
        const struct busi_business_id_request in = {.id = i * THREADS + self->number};
        begin_call(&call, in.id);
        show(self, &call);
        note(busi_rpc_directory_get_business(self->client, &call, &in, &out), in.id, &out);
        show(self, NULL);
        busi_call_fini(&call);
    }
    return NULL;
}

static void *spoil(void *arg)
{
    struct thread *threads = arg;
    while (!stop)
        for (int i = 0; i < THREADS; i++) {
            pthread_mutex_lock(&threads[i].mutex);
            if (threads[i].call && !busi_rpc_cancel(threads[i].client, threads[i].call))
                exit(1);
            pthread_mutex_unlock(&threads[i].mutex);
            nap(1);
        }
    return NULL;
}

static void note_state(void *arg, const char *service, const char *worker, enum busi_worker_state state)
{
    (void)arg, (void)service, (void)worker, (void)state;
    changes++;
}

static void fiber(void *client)
{
    for (int64_t i = 1; !stop; i++)
        call_once(client, 1000000000 + i);
    fibers_left--;
}

struct start {
    struct busi_fibers *fibers;
    struct busi_rpc_client *client;
};

static void start_fibers(void *arg)
{
    struct start *start = arg;
    for (int i = 0; i < FIBERS; i++)
        if (!busi_fiber_start(start->fibers, fiber, start->client))
            fibers_left--;
}

/* ---- called off as it is made ---- */

struct doomed {
    struct busi_rpc_client *client;
    struct busi_call call;
    atomic_int round; /* whose call may be called off */
    atomic_int done;  /* last round of which it was */
};

static void *call_off(void *arg)
{
    struct doomed *doomed = arg;
    for (int round = 1; round <= ROUNDS; round++) {
        while (doomed->round < round)
            sched_yield();
        for (volatile int i = 0; i < round % 400; i++)
            ;
        if (!busi_rpc_cancel(doomed->client, &doomed->call))
            exit(1);
        doomed->done = round;
    }
    return NULL;
}

/* How many were waited for all the same. */
static int call_doomed(struct busi_rpc_client *client)
{
    int waited = 0;
    struct doomed doomed = {.client = client};
    pthread_t thread;
    pthread_create(&thread, NULL, call_off, &doomed);
    for (int round = 1; round <= ROUNDS; round++) {
        struct busi_business out;
        busi_call_init(&doomed.call, 65536);
        const int64_t began_ms = busi_now_ms();
        doomed.call.until_ms = began_ms + SLOW_MS;
        doomed.round = round;
        (void)!busi_rpc_directory_get_business(client, &doomed.call,
                                               &(struct busi_business_id_request){.id = SLOW}, &out);
        waited += busi_now_ms() - began_ms >= SLOW_MS / 2;
        while (doomed.done < round)
            sched_yield();
        busi_call_fini(&doomed.call);
    }
    pthread_join(thread, NULL);
    return waited;
}

int main(void)
{
    struct worker a, b;
    char bind[128], endpoints[256];
    start_worker(&a, "tcp://127.0.0.1:*");
    start_worker(&b, "tcp://127.0.0.1:*");
    snprintf(bind, sizeof bind, "%s", busi_rpc_server_endpoint(a.rpc).ptr);
    snprintf(endpoints, sizeof endpoints, "%s,%s", bind + 6, busi_rpc_server_endpoint(b.rpc).ptr + 6);

    const char *error;
    struct busi_loop *loop = busi_loop_new();
    struct busi_fibers *fibers = busi_fibers_new(loop, FIBERS, 256 * 1024);
    struct busi_rpc_target target = {"directory", busi_str_of(endpoints), {0}};
    struct busi_rpc_client *client = busi_rpc_client_new(
        loop,
        &(struct busi_rpc_client_options){
            .targets = &target, .n_targets = 1, .max_in_flight = 40, .on_state = note_state},
        &error);
    pthread_t loop_thread, spoiler;
    pthread_create(&loop_thread, NULL, run, loop);
    while (!busi_rpc_client_ready(client))
        nap(10);

    struct thread threads[THREADS];
    fibers_left = FIBERS;
    struct start start = {fibers, client};
    if (!busi_loop_post(loop, start_fibers, &start))
        return 1;
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){.client = client, .number = i, .mutex = PTHREAD_MUTEX_INITIALIZER};
        pthread_create(&threads[i].thread, NULL, call_on, &threads[i]);
    }
    pthread_create(&spoiler, NULL, spoil, threads);
    nap(RUN_MS / 3);
    stop_worker(&a);
    nap(RUN_MS / 3);
    start_worker(&a, bind);
    nap(RUN_MS / 3);
    stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    pthread_join(spoiler, NULL);
    while (fibers_left > 0)
        nap(10);
    nap(100);
    int waited = call_doomed(client);
    nap(200); /* the worker hears of the last, too */
    busi_loop_stop(loop);
    pthread_join(loop_thread, NULL);
    busi_rpc_client_free(&client);
    busi_fibers_free(&fibers);
    busi_loop_free(&loop);
    stop_worker(&a);
    stop_worker(&b);
    busi_zmq_shutdown();
    printf("ok %d late %d gone %d off %d other %d wrong %d changes %d waited %d\n", ok, late, gone, off,
           other, wrong, changes, waited);
    return wrong || other || waited || ok < 100 || off < 10 || changes < 4;
}
