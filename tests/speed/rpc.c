/* Round trips per second through the RPC client and server, CURVE on, two processes:
 *   bench-rpc [threads] [seconds]      (64, 5)
 * Each thread calls directory.GetBusiness in a loop, as an HTTP thread of the gateway does; the worker
 * answers at once and logs each call as usual, to /dev/null. */
#include "base/log.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static atomic_bool stop;
static atomic_ulong done, failed;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why ? why : "");
    exit(1);
}

/* ---- the worker ---- */

static enum busi_code get(void *self, struct busi_call *call, const void *in, void *out)
{
    (void)self, (void)call;
    const struct busi_business_id_request *request = in;
    *(struct busi_business *)out = (struct busi_business){.id = request->id,
                                                          .name = BUSI_STR("Company 1"),
                                                          .description = BUSI_STR("Short description"),
                                                          .tag = BUSI_STR("IT, Software"),
                                                          .date = BUSI_STR("2018-11-11 07:00:53.229068")};
    return BUSI_OK;
}

static int serve(const char *folder)
{
    static const struct busi_endpoint endpoints[] = {{BUSI_METHOD_directory_get_business, get}};
    const char *error;
    char key[256], allow[256];
    snprintf(key, sizeof key, "%s/worker.key", folder);
    snprintf(allow, sizeof allow, "%s/allow", folder);
    int null = open("/dev/null", O_WRONLY);
    int out = dup(STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    busi_log_init("bench", BUSI_INFO);
    struct busi_curve *curve = busi_curve_open(busi_str_of(key), &error);
    if (!curve || !busi_curve_allow(curve, busi_str_of(allow), &error))
        die("worker", error);
    struct busi_loop *loop = busi_loop_new();
    struct busi_fibers *fibers = busi_fibers_new(loop, 1024, 256 * 1024);
    struct busi_rpc_server *server =
        busi_rpc_server_new(loop,
                            &(struct busi_rpc_server_options){.service = "directory",
                                                              .bind = BUSI_STR("tcp://127.0.0.1:*"),
                                                              .curve = curve,
                                                              .fibers = fibers,
                                                              .endpoints = endpoints,
                                                              .n_endpoints = 1},
                            &error);
    if (!server)
        die("worker", error);
    dprintf(out, "%s\n", busi_rpc_server_endpoint(server).ptr + 6);
    close(out);
    busi_loop_run(loop); /* until killed */
    return 0;
}

/* ---- the caller ---- */

static void *call_on(void *arg)
{
    struct busi_rpc_client *client = arg;
    unsigned long mine = 0;
    for (int64_t id = 1; !atomic_load_explicit(&stop, memory_order_relaxed); id++) {
        struct busi_call call;
        struct busi_business out;
        busi_call_init(&call, 1 << 20);
        call.until_ms = busi_now_ms() + 1000;
        call.request_id = BUSI_STR("0123456789abcdef");
        call.user_id = 7;
        enum busi_code code = busi_rpc_directory_get_business(
            client, &call, &(struct busi_business_id_request){.id = id}, &out);
        mine += code == BUSI_OK;
        if (code != BUSI_OK || out.id != id)
            atomic_fetch_add(&failed, 1);
        busi_call_fini(&call);
    }
    atomic_fetch_add(&done, mine);
    return NULL;
}

static void *run_loop(void *loop)
{
    busi_loop_run(loop);
    return NULL;
}

static double cpu_s(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure(const char *folder, const char *endpoint, int threads, int seconds)
{
    const char *error;
    char key[256], pub[256];
    snprintf(key, sizeof key, "%s/caller.key", folder);
    snprintf(pub, sizeof pub, "%s/worker.pub", folder);
    struct busi_curve *curve = busi_curve_open(busi_str_of(key), &error);
    struct busi_loop *loop = busi_loop_new();
    struct busi_rpc_target target = {"directory", busi_str_of(endpoint), busi_str_of(pub)};
    struct busi_rpc_client *client =
        curve ? busi_rpc_client_new(
                    loop,
                    &(struct busi_rpc_client_options){
                        .targets = &target, .n_targets = 1, .curve = curve, .max_in_flight = 1024},
                    &error)
              : NULL;
    if (!client)
        die("caller", error);
    pthread_t loop_thread, thread[1024];
    pthread_create(&loop_thread, NULL, run_loop, loop);
    while (!busi_rpc_client_ready(client))
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    int64_t began_us = busi_now_us();
    for (int i = 0; i < threads; i++)
        pthread_create(&thread[i], NULL, call_on, client);
    nanosleep(&(struct timespec){.tv_sec = seconds}, NULL);
    stop = true;
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    double took_s = (double)(busi_now_us() - began_us) / 1e6;
    printf("rpc_round_trips_per_s %.0f threads %d failed %lu caller_cpu_us_per_call %.1f\n",
           (double)done / took_s, threads, failed, cpu_s(RUSAGE_SELF) / (double)done * 1e6);
    busi_loop_stop(loop);
    pthread_join(loop_thread, NULL);
    busi_rpc_client_free(&client);
    busi_loop_free(&loop);
    busi_curve_close(&curve);
}

int main(int argc, char **argv)
{
    if (argc == 3 && argv[1][0] == '/')
        return serve(argv[1]);
    int threads = argc > 1 ? atoi(argv[1]) : 64, seconds = argc > 2 ? atoi(argv[2]) : 5;
    if (threads < 1 || threads > 1024 || seconds < 1)
        die("usage", "bench-rpc [threads] [seconds]");
    char folder[] = "/tmp/bench-rpc-XXXXXX", command[512], endpoint[64] = "";
    if (!mkdtemp(folder) || busi_curve_generate(folder, "worker", NULL) ||
        busi_curve_generate(folder, "caller", NULL))
        die("keys", "not made");
    snprintf(command, sizeof command, "mkdir %s/allow && cp %s/caller.pub %s/allow/", folder, folder, folder);
    int ends[2];
    if (system(command) != 0 || pipe(ends) != 0)
        die("keys", "not copied");
    pid_t worker = fork();
    if (worker == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl("/proc/self/exe", argv[0], folder, "serve", NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *said = fdopen(ends[0], "r");
    if (!said || fscanf(said, "%63s", endpoint) != 1)
        die("worker", "did not start");
    measure(folder, endpoint, threads, seconds);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    printf("worker_cpu_us_per_call %.1f\n", cpu_s(RUSAGE_CHILDREN) / (double)done * 1e6);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) != 0 || failed > 0;
}
