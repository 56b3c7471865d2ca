#define _GNU_SOURCE /* pthread_setattr_default_np, memrchr */
#include "service/serve.h"
#include "base/clock.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "rpc/context.h"
#include "service/drain.h"
#include "service/process_metrics.h"
#include "service/side_port.h"
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIBER_STACK_BYTES = 64 * 1024,
    THREAD_STACK_BYTES = 256 * 1024,
    MALLOC_ARENAS = 2,     /* each costs memory; threads beside the loop allocate little */
    STARTING_LOOK_MS = 20, /* between looks at ready() until it first says yes */
    LOOK_MS = 250,         /* and later */
    LIVE_WITHIN_MS = 3000, /* a loop that has not turned for so long hangs */
    THREADS_AT_LEAST = 8,  /* of the log, of ZeroMQ, of the side port */
};

/* Everything of a running process. Set up by the rows of steps[], torn down in reverse. */
struct serving {
    const struct busi_service *service;
    struct busi_process process; /* lent to the service */
    struct busi_drain drain;     /* has the loop, server and state once more */
    struct busi_rpc_server *server;
    struct busi_side_port *side_port;
    void *state;   /* the service's, from start() */
    int signal_fd; /* -1: none */
    struct busi_watch *signal_watch;
    struct busi_timer *look_timer; /* of the next look at ready(); set anew by each, which must not fail */
    atomic_bool ready;             /* what ready() said last */
    bool was_ready;                /* said so once */
    atomic_llong turned_ms;        /* when the loop was last seen turning; busi_now_ms() scale */
    const char *why;               /* a step failed: static */
};

/* ---- what is asked of the settings ---- */

/* What the server binds to: a port of an address, or a path. */
static bool is_endpoint(struct busi_str bind)
{
    int64_t port = 0;
    if (busi_str_starts(bind, BUSI_STR("ipc://")))
        return bind.len > strlen("ipc://");
    const char *colon = bind.len ? memrchr(bind.ptr, ':', bind.len) : NULL;
    size_t before = colon ? (size_t)(colon - bind.ptr) : 0;
    if (!busi_str_starts(bind, BUSI_STR("tcp://")) || before <= strlen("tcp://"))
        return false;
    struct busi_str digits = {colon + 1, bind.len - before - 1};
    return busi_str_eq(digits, BUSI_STR("*")) ||
           (busi_str_int(digits, &port) && port >= 0 && port <= UINT16_MAX);
}

static bool is_folder(struct busi_str path)
{
    char text[PATH_MAX];
    struct stat stat_;
    snprintf(text, sizeof(text), "%.*s", BUSI_ARG(path));
    return stat(text, &stat_) == 0 && S_ISDIR(stat_.st_mode) && access(text, R_OK | X_OK) == 0;
}

static bool check_server(const struct busi_settings *settings, struct busi_buf *errors)
{
    bool fine = true;
    if (!is_endpoint(settings->rpc_bind)) {
        busi_buf_printf(errors, "BUSI_RPC_BIND: '%.*s' is not like tcp://127.0.0.1:5001\n",
                        BUSI_ARG(settings->rpc_bind));
        fine = false;
    }
    if (settings->curve_allow_dir.len > 0 && !is_folder(settings->curve_allow_dir)) {
        busi_buf_printf(errors, "BUSI_CURVE_ALLOW_DIR: %.*s: is not a folder that can be read\n",
                        BUSI_ARG(settings->curve_allow_dir));
        fine = false;
    }
    return fine;
}

static bool check_keys(const struct busi_service *service, const struct busi_settings *settings,
                       struct busi_buf *errors)
{
    const char *error = NULL;
    if (settings->curve_key_file.len == 0) {
        busi_buf_printf(errors,
                        "BUSI_CURVE_KEY_FILE: is not set; make a key pair with '%s gen-keys FOLDER NAME'\n",
                        service->name);
        return false;
    }
    struct busi_curve *curve = busi_curve_open(settings->curve_key_file, &error);
    if (!curve)
        busi_buf_printf(errors, "BUSI_CURVE_KEY_FILE: %.*s: %s\n", BUSI_ARG(settings->curve_key_file), error);
    bool fine = curve != NULL;
    busi_curve_close(&curve);
    if (service->rpc_name && settings->curve_allow_dir.len == 0) {
        busi_buf_str(errors, BUSI_STR("BUSI_CURVE_ALLOW_DIR: is not set; name the folder with the .pub files "
                                      "of the clients to admit\n"));
        fine = false;
    }
    return fine;
}

bool busi_serve_check(const struct busi_service *service, const struct busi_settings *settings,
                      struct busi_buf *errors)
{
    enum busi_log_level level;
    bool fine = check_keys(service, settings, errors);
    if (!busi_log_level_of(settings->log_level, &level)) {
        busi_buf_printf(errors, "BUSI_LOG_LEVEL: '%.*s' is none of debug, info, warn, error\n",
                        BUSI_ARG(settings->log_level));
        fine = false;
    }
    if (!busi_side_port_bind_valid(settings->health_bind)) {
        busi_buf_printf(errors,
                        "BUSI_HEALTH_BIND: '%.*s' is not an IPv4 address and a port, like 127.0.0.1:0\n",
                        BUSI_ARG(settings->health_bind));
        fine = false;
    }
    if (service->rpc_name && !check_server(settings, errors))
        fine = false;
    if (service->check && !service->check(settings, errors))
        fine = false;
    return fine;
}

/* ---- probes ---- */

static bool is_live(void *arg)
{
    struct serving *s = arg;
    return busi_now_ms() - atomic_load_explicit(&s->turned_ms, memory_order_relaxed) <= LIVE_WITHIN_MS;
}

static bool is_ready(void *arg)
{
    struct serving *s = arg;
    return atomic_load_explicit(&s->ready, memory_order_relaxed) && !busi_drain_begun(&s->drain) &&
           is_live(s);
}

/* The service is asked here, on its own thread, so that its ready() need not be thread-safe. */
static void look(void *arg)
{
    struct serving *s = arg;
    bool ready =
        s->server ? busi_rpc_server_ready(s->server) : !s->service->ready || s->service->ready(s->state);
    bool before = atomic_exchange_explicit(&s->ready, ready, memory_order_relaxed);
    atomic_store_explicit(&s->turned_ms, busi_now_ms(), memory_order_relaxed);
    if (ready && !before)
        busi_log(BUSI_INFO, "ready", BUSI_I("since_start_ms", busi_process_age_ms()));
    else if (before && !ready && !busi_drain_begun(&s->drain))
        busi_log(BUSI_WARN, "not_ready");
    s->was_ready |= ready;
    busi_timer_set(s->look_timer, busi_now_ms() + (s->was_ready ? LOOK_MS : STARTING_LOOK_MS));
}

/* ---- steps ---- */

/* Signals that tell of a fault in the running thread keep their meaning, and job control works. */
static const int open_signals[] = {SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT, SIGTRAP,
                                   SIGSYS,  SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU, SIGPROF};

/* Before any thread is made: all inherit the mask, so that only the loop hears of signals. */
static bool block_signals(struct serving *s)
{
    sigset_t set;
    sigfillset(&set);
    for (size_t i = 0; i < sizeof(open_signals) / sizeof(open_signals)[0]; i++)
        sigdelset(&set, open_signals[i]);
    s->why = "cannot block signals";
    signal(SIGPIPE, SIG_IGN);
    return pthread_sigmask(SIG_BLOCK, &set, NULL) == 0;
}

static bool raise_limits(struct serving *s)
{
    struct rlimit files;
    (void)s;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files); /* without it we only reach fewer peers */
    }
#ifndef BUSI_SANITIZED
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
        pthread_setattr_default_np(&attributes);
        pthread_attr_destroy(&attributes);
    }
    mallopt(M_ARENA_MAX, MALLOC_ARENAS);
#endif
    return true;
}

/* A thread that becomes runnable waits for the running one's slice to end instead of cutting it short: what
 * is ready gathers, and a turn of a loop does more at once. Measured on two busy cores, token-checked reads
 * of 64 connections, in turn with the default policy: 17.6 k against 14.4 k a second (medians of six). An
 * idle core still takes the thread at once. All threads made later inherit it. */
static bool gather_work(struct serving *s)
{
    (void)s;
    (void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}); /* refused: only slower */
    return true;
}

static void *pass(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* libzmq aborts when it cannot make its threads. */
static bool rehearse_threads(struct serving *s)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[THREADS_AT_LEAST];
    size_t n = 0;
    s->why = "the system lets it make too few threads (ulimit -u, or pids.max of its cgroup)";
    pthread_mutex_lock(&gate);
    while (n < THREADS_AT_LEAST && pthread_create(&threads[n], NULL, pass, &gate) == 0)
        n++;
    pthread_mutex_unlock(&gate);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return n == THREADS_AT_LEAST;
}

static bool start_log(struct serving *s)
{
    enum busi_log_level level = BUSI_INFO;
    (void)busi_log_level_of(s->process.settings->log_level, &level); /* checked */
    busi_log_init(s->service->name, level);
    return true;
}

static void stop_log(struct serving *s)
{
    (void)s;
    busi_log_fini();
}

static bool start_crypto(struct serving *s)
{
    s->why = "no source of random numbers";
    busi_crypto_harden();
    return busi_crypto_init();
}

static bool start_curve(struct serving *s)
{
    const struct busi_settings *settings = s->process.settings;
    s->why = "no ZeroMQ context";
    if (!busi_zmq_context())
        return false;
    s->process.curve = busi_curve_open(settings->curve_key_file, &s->why);
    if (!s->process.curve)
        return false;
    if (!s->service->rpc_name)
        return true;
    return busi_curve_allow(s->process.curve, settings->curve_allow_dir, &s->why) &&
           busi_curve_self_test(s->process.curve, &s->why);
}

static void stop_curve(struct serving *s)
{
    busi_curve_close(&s->process.curve);
    busi_zmq_shutdown();
}

static void on_signal(void *arg, unsigned events)
{
    struct serving *s = arg;
    struct signalfd_siginfo info;
    (void)events;
    if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (!busi_drain_begun(&s->drain)) {
        (void)busi_drain_begin(&s->drain);
        return;
    }
    busi_log(BUSI_WARN, "stopped_at_once", BUSI_I("signal", info.ssi_signo));
    busi_log_fini();
    _exit(BUSI_EXIT_FAILED);
}

static bool start_loop(struct serving *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    s->why = "out of memory or descriptors for the loop";
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    s->process.loop = busi_loop_new();
    if (s->signal_fd < 0 || !s->process.loop)
        return false;
    s->signal_watch = busi_loop_fd(s->process.loop, s->signal_fd, BUSI_READABLE, on_signal, s);
    s->look_timer = busi_loop_timer(s->process.loop, look, s);
    s->process.fibers =
        busi_fibers_new(s->process.loop, (size_t)s->process.settings->fibers, FIBER_STACK_BYTES);
    return s->signal_watch && s->look_timer && s->process.fibers;
}

static void stop_loop(struct serving *s)
{
    busi_watch_free(&s->signal_watch);
    busi_timer_free(&s->look_timer);
    busi_fibers_free(&s->process.fibers);
    busi_loop_free(&s->process.loop);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
}

static bool start_state(struct serving *s)
{
    s->why = "the service could not start";
    s->state = s->service->start(&s->process);
    return s->state != NULL;
}

static void stop_state(struct serving *s)
{
    if (s->state)
        s->service->stop(s->state);
}

static bool start_server(struct serving *s)
{
    if (!s->service->rpc_name)
        return true;
    s->server = busi_rpc_server_new(s->process.loop,
                                    &(struct busi_rpc_server_options){.service = s->service->rpc_name,
                                                                      .bind = s->process.settings->rpc_bind,
                                                                      .curve = s->process.curve,
                                                                      .fibers = s->process.fibers,
                                                                      .endpoints = s->service->endpoints,
                                                                      .n_endpoints = s->service->n_endpoints,
                                                                      .state = s->state,
                                                                      .ready = s->service->ready},
                                    &s->why);
    return s->server != NULL;
}

static void stop_server(struct serving *s)
{
    busi_rpc_server_free(&s->server);
}

static bool start_side_port(struct serving *s)
{
    s->drain.service = s->service;
    s->drain.settings = s->process.settings;
    s->drain.loop = s->process.loop;
    s->drain.server = s->server;
    s->drain.state = s->state;
    atomic_store(&s->turned_ms, busi_now_ms());
    s->side_port =
        busi_side_port_open(&(struct busi_side_port_options){.bind = s->process.settings->health_bind,
                                                             .service = s->service->name,
                                                             .live = is_live,
                                                             .ready = is_ready,
                                                             .arg = s},
                            &s->why);
    return s->side_port != NULL;
}

static void stop_side_port(struct serving *s)
{
    busi_side_port_close(&s->side_port);
    busi_drain_fini(&s->drain);
}

/* up in this order, down in reverse once all are up. */
static const struct {
    const char *name;
    bool (*up)(struct serving *s);
    void (*down)(struct serving *s); /* NULL: nothing to undo */
} steps[] = {
    {"signals", block_signals, NULL},
    {"limits", raise_limits, NULL},
    {"scheduling", gather_work, NULL},
    {"threads", rehearse_threads, NULL},
    {"log", start_log, stop_log},
    {"crypto", start_crypto, NULL},
    {"curve", start_curve, stop_curve},
    {"loop", start_loop, stop_loop},
    {"service", start_state, stop_state},
    {"rpc_server", start_server, stop_server},
    {"side_port", start_side_port, stop_side_port},
};
enum { STEPS = sizeof(steps) / sizeof(steps)[0] };

static bool start_all(struct serving *s)
{
    for (size_t i = 0; i < STEPS; i++) {
        if (steps[i].up(s))
            continue;
        busi_log(BUSI_ERR, "cannot_start", BUSI_C("step", steps[i].name), BUSI_C("why", s->why));
        return false;
    }
    return true;
}

static void stop_all(struct serving *s)
{
    for (size_t i = STEPS; i-- > 0;)
        if (steps[i].down)
            steps[i].down(s);
}

static void run(struct serving *s)
{
    struct busi_str endpoint = {0};
    if (s->server)
        endpoint = busi_rpc_server_endpoint(s->server);
    busi_log(BUSI_INFO, "listening", BUSI_C("version", BUSI_VERSION), BUSI_S("endpoint", endpoint),
             BUSI_I("side_port", busi_side_port_number(s->side_port)), BUSI_I("pid", getpid()),
             BUSI_I("since_start_ms", busi_process_age_ms()));
    look(s);
    busi_loop_run(s->process.loop);
    busi_log(BUSI_INFO, "stopped");
}

int busi_serve(const struct busi_service *service, const struct busi_settings *settings)
{
    struct serving s = {.service = service, .process.settings = settings, .signal_fd = -1};
    bool started = start_all(&s);
    if (started)
        run(&s);
    if (!started || s.drain.overdue) {
        /* fibers still hold what stop_all would free, and nothing will run them any more */
        busi_log_fini();
        _exit(started ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED);
    }
    stop_all(&s);
    return BUSI_EXIT_FINE;
}
