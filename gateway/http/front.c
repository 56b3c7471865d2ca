/* Starts and stops CivetWeb for the public port. */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/front_state.h"
#include "http/front_view.h"
#include "service/accept.h"
#include "service/settings.h"
#include "service/web_stop.h"
#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    FILES_BESIDES = 256, /* descriptors for everything but clients */
    ACCEPTS_WITHIN_MS = 5000,
    BACKLOG = 4096, /* connections the kernel holds for us; it has a bound of its own (net.core.somaxconn) */
};

static const char *const NO_WORKER[] = {"Cannot start worker thread ",
                                        "Out of memory: Cannot allocate buffer for worker "};

/* ---- CivetWeb's callbacks that are not about one request ---- */

/* Touches nothing of the worker: a thread that never served anybody shall not cost a page. */
static void *on_thread(const struct mg_context *context, int type)
{
    enum { ACCEPTS = 0, SERVES = 1 };
    struct http_front *front = mg_get_user_data(context);
    if (type == ACCEPTS)
        atomic_store(&front->accepts, true);
    if (type != SERVES)
        return NULL;
    size_t i = atomic_fetch_add(&front->workers_made, 1);
    return i < front->n_workers ? &front->workers[i] : NULL;
}

void front_set_socket(struct front_worker *worker, struct http_front *front, int socket)
{
    pthread_mutex_lock(&front->sockets);
    worker->front = front;
    worker->socket = socket;
    pthread_mutex_unlock(&front->sockets);
}

static int on_connection(const struct mg_connection *connection, void **data)
{
    struct front_worker *worker = mg_get_thread_pointer(connection);
    struct http_front *front = mg_get_user_data(mg_get_context(connection));
    *data = NULL;
    if (!worker)
        return 0;
    if (worker->body.most == 0)
        busi_buf_init(&worker->body, FRONT_ANSWER_MAX);
    worker->answered = 0;
    front_set_socket(worker, front, front_view_socket(connection));
    front_wait_begins(worker);
    atomic_fetch_add(&front->connections, 1);
    busi_metric_add(BUSI_METRIC_http_busy, 1);
    front_make_room(front);
    return 0;
}

static void on_closed(const struct mg_connection *connection)
{
    struct front_worker *worker = mg_get_thread_pointer(connection);
    if (!worker)
        return;
    atomic_fetch_sub(&worker->front->connections, 1);
    busi_metric_add(BUSI_METRIC_http_busy, -1);
}

/* Of workers it cannot have CivetWeb says so here, and goes on with those it has. */
static int on_message(const struct mg_connection *connection, const char *message)
{
    struct http_front *front = mg_get_user_data(mg_get_context(connection));
    for (size_t i = 0; i < sizeof(NO_WORKER) / sizeof(NO_WORKER)[0]; i++)
        if (strncmp(message, NO_WORKER[i], strlen(NO_WORKER[i])) == 0)
            atomic_store(&front->short_of_threads, true);
    busi_log(BUSI_WARN, "civetweb", BUSI_C("message", message));
    return 1;
}

static const struct mg_callbacks callbacks = {.begin_request = front_on_request,
                                              .http_error = front_on_error,
                                              .log_message = on_message,
                                              .init_thread = on_thread,
                                              .init_connection = on_connection,
                                              .connection_close = front_on_close,
                                              .connection_closed = on_closed};

/* ---- start ---- */

/* So that it is never short of them by itself. */
static bool raise_file_limit(rlim_t needed)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    if (limit.rlim_cur >= needed)
        return true;
    if (limit.rlim_max < needed)
        return false;
    limit.rlim_cur = needed;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static struct mg_context *start_server(struct http_front *front, const struct front_options *options)
{
    char threads[24], queue[24], backlog[24], head_size[24], head_timeout[24];
    snprintf(threads, sizeof(threads), "%lld", (long long)options->threads);
    snprintf(queue, sizeof(queue), "%lld", (long long)options->queue);
    snprintf(backlog, sizeof(backlog), "%d", BACKLOG);
    snprintf(head_size, sizeof(head_size), "%d", FRONT_HEAD_MAX);
    snprintf(head_timeout, sizeof(head_timeout), "%lld", (long long)options->head_timeout_ms);
    const char *settings[] = {"listening_ports", options->listen, "num_threads", threads, "connection_queue",
                              queue, "listen_backlog", backlog, "max_request_size", head_size,
                              "request_timeout_ms", head_timeout, "keep_alive_timeout_ms", head_timeout,
                              "enable_keep_alive", "yes", "decode_url", "no", "tcp_nodelay", "1",
                              /* absolute-form targets reach our check instead of being dropped */
                              "enable_auth_domain_check", "no", NULL};
    /* Debian's CivetWeb gives every thread a stack of 100 KiB, whatever the default attributes say */
    return mg_start(&callbacks, front, settings);
}

/* CivetWeb also begins without the thread that accepts, then without a word. */
static bool has_its_threads(const struct http_front *front)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    const int64_t until_ms = busi_now_ms() + ACCEPTS_WITHIN_MS;
    while (!atomic_load(&front->short_of_threads) && !atomic_load(&front->accepts) &&
           busi_now_ms() < until_ms)
        nanosleep(&pause, NULL);
    return atomic_load(&front->accepts) && !atomic_load(&front->short_of_threads);
}

/* CivetWeb has no function for it, but few descriptors are open yet. */
static int listening_socket(int port)
{
    struct sockaddr_in at;
    for (int fd = 0; fd < FILES_BESIDES; fd++) {
        int listens = 0;
        socklen_t size = sizeof(listens), at_size = sizeof(at);
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
            getsockname(fd, (struct sockaddr *)&at, &at_size) == 0 && at.sin_family == AF_INET &&
            ntohs(at.sin_port) == port)
            return fd;
    }
    return -1;
}

/* Connections that have not said a word wait in the kernel instead of in a thread. */
static bool accept_only_who_speaks(int port, int64_t head_timeout_ms)
{
    int seconds = (int)((head_timeout_ms + 999) / 1000);
    return setsockopt(listening_socket(port), IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) == 0;
}

static struct http_front *fail(struct http_front *front, const char **error, const char *why)
{
    *error = why;
    if (front)
        http_front_close(&front);
    return NULL;
}

struct http_front *front_start(const struct front_options *options, const char **error)
{
    struct mg_server_port port;
    if (!raise_file_limit((rlim_t)(options->threads + options->queue + FILES_BESIDES)))
        return fail(NULL, error,
                    "the limit of open files is below BUSI_HTTP_THREADS + BUSI_HTTP_QUEUE + 256");
    struct http_front *front = calloc(1, sizeof(*front));
    if (!front)
        return fail(front, error, "out of memory");
    pthread_mutex_init(&front->sockets, NULL);
    front->app = options->app;
    front->body_timeout_ms = options->body_timeout_ms;
    front->answer_timeout_ms = options->body_timeout_ms;
    front->work_timeout_ms = options->work_timeout_ms;
    front->large.most = (size_t)options->large_memory;
    front->n_workers = (size_t)options->threads;
    front->workers = calloc(front->n_workers, sizeof(*front->workers));
    front->waits_since_ms = calloc(front->n_workers, sizeof(*front->waits_since_ms));
    if (!front->workers || !front->waits_since_ms)
        return fail(front, error, "out of memory");
    busi_accept_init();
    front->server = start_server(front, options);
    if (front->server && !has_its_threads(front))
        return fail(front, error, "cannot make BUSI_HTTP_THREADS threads");
    if (!front->server)
        return fail(front, error,
                    "cannot listen on BUSI_HTTP_BIND:BUSI_HTTP_PORT, or cannot make the threads");
    if (mg_get_server_ports(front->server, 1, &port) < 1)
        return fail(front, error, "CivetWeb does not tell its port");
    front->port = port.port;
    if (!accept_only_who_speaks(front->port, options->head_timeout_ms))
        return fail(front, error, "the kernel does not know TCP_DEFER_ACCEPT");
    return front;
}

/* Plain IPv4 only, because CivetWeb reads more into other texts (a list, TLS, redirections). */
static bool bind_text(struct busi_str bind, char out[INET_ADDRSTRLEN])
{
    struct in_addr parsed;
    if (bind.len == 0)
        bind = BUSI_STR("0.0.0.0");
    if (bind.len >= INET_ADDRSTRLEN)
        return false;
    memcpy(out, bind.ptr, bind.len);
    out[bind.len] = 0;
    return inet_pton(AF_INET, out, &parsed) == 1;
}

bool http_front_bind_valid(struct busi_str bind)
{
    char address[INET_ADDRSTRLEN];
    return bind_text(bind, address);
}

/* "address:port" */
static bool listen_text(const struct busi_settings *settings, char *out, size_t room)
{
    char address[INET_ADDRSTRLEN];
    if (!bind_text(settings->http_bind, address))
        return false;
    snprintf(out, room, "%s:%lld", address, (long long)settings->http_port);
    return true;
}

struct http_front *http_front_open(const struct http_front_options *options, const char **error)
{
    const struct busi_settings *settings = options->settings;
    char text[64];
    if (!listen_text(settings, text, sizeof(text)))
        return fail(NULL, error, "BUSI_HTTP_BIND is no IPv4 address");
    const char *fault = front_self_test();
    if (fault)
        return fail(NULL, error, fault);
    const struct front_options own = {.app = options->app,
                                      .listen = text,
                                      .threads = settings->http_threads,
                                      .queue = settings->http_queue,
                                      .head_timeout_ms = settings->http_head_timeout_ms,
                                      .body_timeout_ms = settings->http_body_timeout_ms,
                                      .work_timeout_ms = settings->http_timeout_ms,
                                      .large_memory = settings->http_large_memory};
    return front_start(&own, error);
}

int http_front_port(const struct http_front *front)
{
    return front->port;
}

/* ---- stop ---- */

void http_front_leave(struct http_front *front)
{
    atomic_store(&front->parting, true);
}

void http_front_drain(struct http_front *front)
{
    atomic_store(&front->draining, true);
}

size_t http_front_busy(const struct http_front *front)
{
    return atomic_load(&front->busy);
}

/* Threads that wait for the next request of a kept connection, for two seconds otherwise, see its end at
 * once. What is in work can still be answered. */
static void hang_up(struct http_front *front)
{
    pthread_mutex_lock(&front->sockets);
    for (size_t i = 0; i < front->n_workers; i++)
        if (front->workers[i].front && front->workers[i].socket >= 0)
            shutdown(front->workers[i].socket, SHUT_RD);
    pthread_mutex_unlock(&front->sockets);
}

void http_front_close(struct http_front **front_ptr)
{
    struct http_front *front = *front_ptr;
    *front_ptr = NULL;
    if (!front)
        return;
    atomic_store(&front->stopping, true);
    if (front->server) {
        hang_up(front);
        busi_web_stop(front->server);
    }
    for (size_t i = 0; front->workers && i < front->n_workers; i++)
        if (front->workers[i].body.most > 0) /* others were never touched */
            busi_buf_fini(&front->workers[i].body);
    pthread_mutex_destroy(&front->sockets);
    free(front->workers);
    free(front->waits_since_ms);
    free(front);
}
