/* Posts, offloaded jobs and fibers under load from many threads: for ThreadSanitizer. */
#include "base/clock.h"
#include "loop/offload.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { POSTERS = 4, POSTS = 5000, VISITORS = 200, VISITS = 50, LONGEST_MS = 60000 };

struct scene {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct busi_offload *offload;
    int posted;          /* run posts; loop thread */
    int callers_left;    /* threads whose calls are not all answered; loop thread */
    int visitors_left;   /* fibers that have not ended; loop thread */
    int64_t jobs;        /* sum of what jobs returned; loop thread */
    int refused, late;   /* outcomes; loop thread */
    atomic_bool watched; /* the liveness reader goes on */
};

#define MUST(what)                                                                                           \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                       \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static void stop_when_done(struct scene *scene)
{
    if (scene->posted == POSTERS * POSTS && scene->callers_left == 0 && scene->visitors_left == 0)
        busi_loop_stop(scene->loop);
}

static void on_post(void *arg)
{
    struct scene *scene = arg;
    scene->posted++;
    stop_when_done(scene);
}

static void *post_many(void *arg)
{
    struct scene *scene = arg;
    for (int i = 0; i < POSTS; i++) {
        MUST(busi_loop_post(scene->loop, on_post, scene));
        if (i % 100 == 0)
            usleep(200);
    }
    return NULL;
}

struct sum {
    int64_t in, out;
};

static void add_up(void *arg, void *state)
{
    struct sum *sum = arg;
    int64_t *runs = state;
    ++*runs;
    for (int64_t i = 1; i <= sum->in; i++)
        sum->out += i;
}

static void *new_counter(void)
{
    return calloc(1, sizeof(int64_t));
}

static void visit(void *arg)
{
    struct scene *scene = arg;
    for (int i = 0; i < VISITS; i++) {
        struct sum sum = {.in = i * 10};
        int64_t until_ms = i % 10 == 9 ? busi_now_ms() + 1 : INT64_MAX;
        int64_t retry_ms = 0;
        switch (busi_offload_run(scene->offload, add_up, &sum, until_ms, &retry_ms)) {
        case BUSI_OK:
            MUST(sum.out == sum.in * (sum.in + 1) / 2);
            scene->jobs++;
            break;
        case BUSI_RESOURCE_EXHAUSTED:
            MUST(retry_ms > 0);
            scene->refused++;
            busi_fiber_sleep(1);
            break;
        default:
            scene->late++;
            MUST(sum.out == 0);
        }
    }
    scene->visitors_left--;
    stop_when_done(scene);
}

/* A thread that asks and waits for a fiber's answer, as a gateway thread does. */
struct call {
    struct busi_post post;
    struct scene *scene;
    struct sum sum;
    bool answered;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

static void answer(void *arg)
{
    struct call *call = arg;
    while (busi_offload_run(call->scene->offload, add_up, &call->sum, INT64_MAX, NULL) != BUSI_OK)
        busi_fiber_sleep(1);
    pthread_mutex_lock(&call->mutex);
    call->answered = true;
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&call->mutex);
}

static void on_call(void *arg)
{
    struct call *call = arg;
    MUST(busi_fiber_start(call->scene->fibers, answer, call));
}

static void on_caller_done(void *arg)
{
    struct scene *scene = arg;
    scene->callers_left--;
    stop_when_done(scene);
}

static void *call_many(void *arg)
{
    struct scene *scene = arg;
    for (int i = 0; i < 300; i++) {
        struct call call = {.scene = scene, .sum.in = 10, .post.fn = on_call};
        call.post.arg = &call;
        pthread_mutex_init(&call.mutex, NULL);
        pthread_cond_init(&call.changed, NULL);
        busi_loop_post_node(scene->loop, &call.post);
        pthread_mutex_lock(&call.mutex);
        while (!call.answered)
            pthread_cond_wait(&call.changed, &call.mutex);
        pthread_mutex_unlock(&call.mutex);
        MUST(call.sum.out == 55);
        pthread_cond_destroy(&call.changed);
        pthread_mutex_destroy(&call.mutex);
    }
    MUST(busi_loop_post(scene->loop, on_caller_done, scene));
    return NULL;
}

static void *look(void *arg)
{
    struct scene *scene = arg;
    uint64_t turns = 0;
    while (scene->watched) {
        uint64_t now = busi_loop_turns(scene->loop);
        MUST(now >= turns);
        MUST(busi_offload_predicted_wait_ms(scene->offload) >= 0);
        turns = now;
        usleep(1000);
    }
    MUST(turns > 0);
    return NULL;
}

static void give_up(void *arg)
{
    struct scene *scene = arg;
    fprintf(stderr, "not done in time: %d posts, %d callers, %d visitors left\n", scene->posted,
            scene->callers_left, scene->visitors_left);
    exit(1);
}

int main(void)
{
    struct scene scene = {.callers_left = POSTERS, .visitors_left = VISITORS, .watched = true};
    const struct busi_offload_options options = {.name = "sums",
                                                 .threads = 3,
                                                 .max_wait_ms = 1000,
                                                 .max_queue = 64,
                                                 .thread_init = new_counter,
                                                 .thread_fini = free};
    scene.loop = busi_loop_new();
    scene.fibers = busi_fibers_new(scene.loop, VISITORS + POSTERS, 64 * 1024);
    scene.offload = busi_offload_new(scene.loop, &options);
    MUST(scene.loop && scene.fibers && scene.offload);
    MUST(busi_loop_after(scene.loop, LONGEST_MS, give_up, &scene));
    pthread_t posters[POSTERS], callers[POSTERS], looker;
    for (int i = 0; i < POSTERS; i++) {
        MUST(pthread_create(&posters[i], NULL, post_many, &scene) == 0);
        MUST(pthread_create(&callers[i], NULL, call_many, &scene) == 0);
    }
    MUST(pthread_create(&looker, NULL, look, &scene) == 0);
    for (int i = 0; i < VISITORS; i++)
        MUST(busi_fiber_start(scene.fibers, visit, &scene));
    busi_loop_run(scene.loop);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(posters[i], NULL);
        pthread_join(callers[i], NULL);
    }
    scene.watched = false;
    pthread_join(looker, NULL);
    printf("%lld jobs, %d refused, %d too late\n", (long long)scene.jobs, scene.refused, scene.late);
    MUST(scene.jobs > 0 && scene.jobs + scene.refused + scene.late == VISITORS * VISITS);
    busi_offload_free(&scene.offload);
    busi_fibers_free(&scene.fibers);
    busi_loop_free(&scene.loop);
    return 0;
}
