/* How long one call takes at half of what can be done, and a bare echo of ZeroMQ beside it:
 *
 *   bench-round-trip check HOST:PORT SERVICE.pub OWN.key TOKENS SECONDS [RATE]
 *   bench-round-trip echo RATE SECONDS
 *
 * The first asks auth.CheckToken of the tokens in a file: it finds out what 64 threads reach without a pause,
 * then has a few call at half that rate, or just at RATE. The second has one thread, and another process that
 * sends back what comes, over CURVE. Both print rate, p50 and p99 in microseconds. */
#include "client/busi.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { MOST_TOKENS = 10000, MOST_SAMPLES = 4000000, MANY = 64, FEW = 8 };

static uint32_t *samples; /* of round trips, microseconds */
static atomic_uint n_samples, failed;
static atomic_bool stop;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why ? why : "");
    exit(1);
}

static void note(int64_t us)
{
    unsigned i = atomic_fetch_add(&n_samples, 1);
    if (i < MOST_SAMPLES)
        samples[i] = (uint32_t)us;
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void print(const char *what, double seconds)
{
    unsigned n = n_samples < MOST_SAMPLES ? n_samples : MOST_SAMPLES;
    if (n == 0)
        die(what, "nothing came back");
    qsort(samples, n, sizeof *samples, by_size);
    printf("%s_per_s=%.0f p50_us=%u p99_us=%u failed=%u\n", what, (double)n_samples / seconds, samples[n / 2],
           samples[n - 1 - n / 100], failed);
    fflush(stdout);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void wait_until(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        ;
}

/* ---- check ---- */

static char *tokens[MOST_TOKENS];
static size_t n_tokens;

static void read_tokens(const char *path)
{
    char line[8192];
    FILE *file = fopen(path, "r");
    while (file && n_tokens < MOST_TOKENS && fgets(line, sizeof line, file)) {
        line[strcspn(line, " \n")] = 0;
        tokens[n_tokens++] = strdup(line);
    }
    if (n_tokens == 0)
        die(path, "no tokens");
    fclose(file);
}

struct caller {
    pthread_t thread;
    struct busi_rpc_client *rpc;
    unsigned number;
    int64_t pause_ns; /* from one call to the next; 0: none */
};

static void check(struct busi_rpc_client *rpc, const char *token)
{
    struct busi_call call;
    struct busi_principal who;
    busi_call_init(&call, 1 << 16);
    call.until_ms = busi_now_ms() + 1000;
    call.request_id = BUSI_STR("0123456789abcdef");
    failed +=
        busi_rpc_auth_check_token(rpc, &call, &(struct busi_check_token_request){.token = busi_str_of(token)},
                                  &who) != BUSI_OK;
    busi_call_fini(&call);
}

static void *call_on(void *arg)
{
    const struct caller *caller = arg;
    prctl(PR_SET_TIMERSLACK, 1);
    int64_t at_ns = now_ns() + caller->pause_ns * caller->number / FEW;
    for (size_t i = caller->number; !stop; i += 7) {
        if (caller->pause_ns > 0)
            wait_until(at_ns += caller->pause_ns);
        int64_t began_ns = now_ns();
        check(caller->rpc, tokens[i % n_tokens]);
        note((now_ns() - began_ns) / 1000);
        if (at_ns < now_ns() - caller->pause_ns) /* what is late is not made up for */
            at_ns = now_ns();
    }
    return NULL;
}

static double call_from(struct busi_rpc_client *rpc, unsigned threads, double rate, int seconds)
{
    static struct caller callers[MANY];
    n_samples = failed = 0;
    stop = false;
    int64_t began_ns = now_ns();
    for (unsigned i = 0; i < threads; i++) {
        callers[i] = (struct caller){
            .rpc = rpc, .number = i, .pause_ns = rate > 0 ? (int64_t)(1e9 * threads / rate) : 0};
        pthread_create(&callers[i].thread, NULL, call_on, &callers[i]);
    }
    sleep((unsigned)seconds);
    stop = true;
    for (unsigned i = 0; i < threads; i++)
        pthread_join(callers[i].thread, NULL);
    return (double)(now_ns() - began_ns) / 1e9;
}

/* rate 0: half of what can be done. */
static void measure_checks(char **words, double rate)
{
    char error[BUSI_CLIENT_ERROR];
    read_tokens(words[3]);
    struct busi_client *client = busi_client_open(&(struct busi_client_options){.auth = {words[0], words[1]},
                                                                                .key_file = words[2],
                                                                                .max_in_flight = MANY},
                                                  error);
    if (!client || !busi_client_wait(client, 3000))
        die("check", client ? "no worker" : error);
    struct busi_rpc_client *rpc = busi_client_rpc(client);
    const int seconds = atoi(words[4]);
    if (rate == 0) {
        double took = call_from(rpc, MANY, 0, seconds);
        rate = n_samples / took / 2;
        print("most", took);
    }
    print("half", call_from(rpc, FEW, rate, seconds));
    busi_client_close(&client);
}

/* ---- echo ---- */

static void use_keys(void *socket, const char *server_public, const char *public, const char *secret)
{
    int one = 1;
    if (!server_public)
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof one);
    else
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_public, 41);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, 41);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, 41);
}

static void send_back(int out, const char *public, const char *secret)
{
    char endpoint[128], peer[256], bytes[4096];
    size_t room = sizeof endpoint;
    void *router = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
    use_keys(router, NULL, public, secret);
    if (zmq_bind(router, "tcp://127.0.0.1:*") != 0 ||
        zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &room) != 0)
        die("echo", "cannot bind");
    dprintf(out, "%s\n", endpoint);
    for (;;) {
        int len = zmq_recv(router, peer, sizeof peer, 0), n = zmq_recv(router, bytes, sizeof bytes, 0);
        zmq_send(router, peer, (size_t)len, ZMQ_SNDMORE);
        zmq_send(router, bytes, (size_t)n, 0);
    }
}

static void measure_echo(double rate, int seconds)
{
    char public[41], secret[41], own_public[41], own_secret[41], endpoint[128], bytes[160] = "";
    int ends[2];
    zmq_curve_keypair(public, secret);
    zmq_curve_keypair(own_public, own_secret);
    if (pipe(ends) != 0)
        die("echo", "no pipe");
    pid_t other = fork();
    if (other == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        send_back(ends[1], public, secret);
    }
    FILE *said = fdopen(ends[0], "r");
    if (!said || fscanf(said, "%127s", endpoint) != 1)
        die("echo", "did not start");
    void *dealer = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
    use_keys(dealer, public, own_public, own_secret);
    prctl(PR_SET_TIMERSLACK, 1);
    if (zmq_connect(dealer, endpoint) != 0)
        die("echo", "cannot connect");
    int64_t pause_ns = (int64_t)(1e9 / rate), began_ns = now_ns(), at_ns = began_ns;
    while (now_ns() - began_ns < (int64_t)seconds * 1000000000) {
        wait_until(at_ns += pause_ns);
        int64_t sent_ns = now_ns();
        zmq_send(dealer, bytes, sizeof bytes, 0);
        zmq_recv(dealer, bytes, sizeof bytes, 0);
        note((now_ns() - sent_ns) / 1000);
        if (at_ns < now_ns() - pause_ns)
            at_ns = now_ns();
    }
    print("echo", (double)(now_ns() - began_ns) / 1e9);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
}

int main(int argc, char **argv)
{
    samples = calloc(MOST_SAMPLES, sizeof *samples);
    if (!samples)
        die("memory", "out of it");
    if ((argc == 7 || argc == 8) && strcmp(argv[1], "check") == 0)
        measure_checks(argv + 2, argc == 8 ? atof(argv[7]) : 0);
    else if (argc == 4 && strcmp(argv[1], "echo") == 0 && atof(argv[2]) > 0)
        measure_echo(atof(argv[2]), atoi(argv[3]));
    else
        die("usage",
            "bench-round-trip check HOST:PORT SERVICE.pub OWN.key TOKENS SECONDS [RATE] | echo RATE SECONDS");
    return failed > 0;
}
