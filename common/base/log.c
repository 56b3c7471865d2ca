#define _GNU_SOURCE /* pthread_setname_np, pthread_timedjoin_np */
#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/text.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 8192,
    LINE_END_BYTES = 16, /* kept free for the end of a line whose fields do not all fit */
    VALUE_MAX_BYTES = 256,
    QUEUE_BYTES = 1 << 20,
    GATHER_US = 2000, /* the writer lets lines gather, so that a busy process makes few writes */
    FLUSH_MS = 1000,  /* fini waits so long for a slow reader of stderr */
    TICK_MS = 50,     /* the writer looks so often whether it is time to give up */
    PIPE_CHUNK = 4096 /* PIPE_BUF: what poll() promises a pipe takes without blocking */
};

#ifndef BUSI_LOG_LEAST /* until busi_log_init() says another; libbusi sets its own */
#define BUSI_LOG_LEAST BUSI_INFO
#endif

/* The one log of the process. Lines are appended to `filling`; the writer swaps it with `writing`. */
static struct {
    const char *service;
    enum busi_log_level least;
    bool running;       /* there is a writer */
    int64_t give_up_ms; /* it shall write what is left and end, by then at the latest; 0: go on */
    bool asleep;        /* it waits for `wake` */
    char *filling, *writing;
    size_t n_filling;     /* bytes */
    pthread_mutex_t lock; /* of all the above but service and least */
    pthread_cond_t wake;
    pthread_t writer;
} the_log = {.service = "busi",
             .least = BUSI_LOG_LEAST,
             .lock = PTHREAD_MUTEX_INITIALIZER,
             .wake = PTHREAD_COND_INITIALIZER};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

bool busi_log_level_of(struct busi_str name, enum busi_log_level *out)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (busi_str_eq(name, busi_str_of(level_names[i]))) {
            *out = (enum busi_log_level)i;
            return true;
        }
    return false;
}

bool busi_log_enabled(enum busi_log_level level)
{
    return level >= the_log.least;
}

/* ---- the writer ---- */

/* When the writer gives up. */
static int64_t give_up_ms(void)
{
    pthread_mutex_lock(&the_log.lock);
    int64_t then = the_log.give_up_ms;
    pthread_mutex_unlock(&the_log.lock);
    return then ? then : INT64_MAX;
}

/* Bytes written: 0 when stderr takes none for TICK_MS, -1 when it never will. */
static ssize_t write_some(const char *bytes, size_t n)
{
    struct stat about;
    bool file = fstat(STDERR_FILENO, &about) == 0 && S_ISREG(about.st_mode);
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    int polled = file ? 1 : poll(&ready, 1, TICK_MS);
    if (polled <= 0)
        return polled == 0 || errno == EINTR ? 0 : -1;
    ssize_t wrote = write(STDERR_FILENO, bytes, !file && n > PIPE_CHUNK ? PIPE_CHUNK : n);
    return wrote < 0 && (errno == EINTR || errno == EAGAIN) ? 0 : wrote;
}

static void count_lost(const char *bytes, size_t n)
{
    int64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    if (lines)
        busi_metric_add(BUSI_METRIC_log_dropped, lines);
}

/* What stderr does not take until then is lost, and the process goes on. until_ms 0: until the_log says so.
 */
static void write_out(const char *bytes, size_t n, int64_t until_ms)
{
    while (n > 0 && busi_now_ms() < (until_ms ? until_ms : give_up_ms())) {
        ssize_t wrote = write_some(bytes, n);
        if (wrote < 0)
            break;
        bytes += wrote;
        n -= (size_t)wrote;
    }
    count_lost(bytes, n);
}

/* Takes what has gathered; false when there is nothing more to come. */
static bool take(size_t *n)
{
    pthread_mutex_lock(&the_log.lock);
    while (the_log.n_filling == 0 && !the_log.give_up_ms) {
        the_log.asleep = true;
        pthread_cond_wait(&the_log.wake, &the_log.lock);
        the_log.asleep = false;
    }
    char *full = the_log.filling;
    the_log.filling = the_log.writing;
    the_log.writing = full;
    *n = the_log.n_filling;
    the_log.n_filling = 0;
    pthread_mutex_unlock(&the_log.lock);
    return *n > 0;
}

static void *write_lines(void *unused)
{
    (void)unused;
    pthread_setname_np(pthread_self(), "log");
    for (size_t n; take(&n);) {
        write_out(the_log.writing, n, 0);
        if (give_up_ms() == INT64_MAX)
            usleep(GATHER_US);
    }
    return NULL;
}

void busi_log_init(const char *service, enum busi_log_level least)
{
    the_log.service = service;
    the_log.least = least;
    the_log.filling = malloc(QUEUE_BYTES);
    the_log.writing = malloc(QUEUE_BYTES);
    the_log.n_filling = 0;
    the_log.give_up_ms = 0;
    the_log.running =
        the_log.filling && the_log.writing && pthread_create(&the_log.writer, NULL, write_lines, NULL) == 0;
}

void busi_log_fini(void)
{
    pthread_mutex_lock(&the_log.lock);
    bool was_running = the_log.running;
    the_log.running = false;
    the_log.give_up_ms = busi_now_ms() + FLUSH_MS;
    pthread_cond_signal(&the_log.wake);
    pthread_mutex_unlock(&the_log.lock);
    if (was_running) {
        /* should another process have filled the pipe between poll() and write(), the writer is stuck and is
         * left behind: the process ends anyway */
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += FLUSH_MS / 1000 + 1;
        if (pthread_timedjoin_np(the_log.writer, NULL, &until) != 0)
            return;
    }
    free(the_log.filling);
    free(the_log.writing);
    the_log.filling = the_log.writing = NULL;
}

static void enqueue(const char *line, size_t n)
{
    pthread_mutex_lock(&the_log.lock);
    bool running = the_log.running;
    bool fits = running && n <= QUEUE_BYTES - the_log.n_filling;
    if (fits) {
        memcpy(the_log.filling + the_log.n_filling, line, n);
        the_log.n_filling += n;
        if (the_log.asleep)
            pthread_cond_signal(&the_log.wake);
    }
    pthread_mutex_unlock(&the_log.lock);
    if (!running)
        write_out(line, n, busi_now_ms() + FLUSH_MS);
    else if (!fits)
        busi_metric_add(BUSI_METRIC_log_dropped, 1);
}

/* ---- a line ---- */

/* "2026-11-21T10:00:00.123456Z"; the part down to the second is kept from line to line. */
static void add_time(struct busi_buf *out)
{
    static _Thread_local struct {
        time_t second;
        char text[24];
    } last;
    int64_t now = busi_wall_us();
    time_t second = (time_t)(now / 1000000);
    if (second != last.second) {
        struct tm parts;
        gmtime_r(&second, &parts);
        strftime(last.text, sizeof last.text, "%Y-%m-%dT%H:%M:%S", &parts);
        last.second = second;
    }
    char micros[8] = ".000000Z";
    for (int i = 6, rest = (int)(now % 1000000); i > 0; i--, rest /= 10)
        micros[i] = (char)('0' + rest % 10);
    busi_buf_add(out, last.text, 19);
    busi_buf_add(out, micros, sizeof micros);
}

/* Cut values end with a mark, and never within a code point. */
static void add_value(struct busi_buf *out, struct busi_str value)
{
    busi_buf_json(out, busi_utf8_cut(value, VALUE_MAX_BYTES));
    if (value.len <= VALUE_MAX_BYTES || out->failed)
        return;
    out->len--; /* the closing quote */
    busi_buf_str(out, BUSI_STR("...\""));
}

static void add_member(struct busi_buf *out, const char *name)
{
    busi_buf_add(out, ",\"", 2);
    busi_buf_str(out, busi_str_of(name));
    busi_buf_add(out, "\":", 2);
}

/* False when it does not fit; then the line is as before. */
static bool add_field(struct busi_buf *out, const struct busi_log_field *field)
{
    size_t before = out->len;
    add_member(out, field->name);
    if (field->kind == BUSI_LOG_INT)
        busi_buf_int(out, field->number);
    else
        add_value(out, field->str);
    if (!out->failed)
        return true;
    out->failed = false;
    out->len = before;
    return false;
}

static void add_head(struct busi_buf *out, enum busi_log_level level, const char *event)
{
    busi_buf_str(out, BUSI_STR("{\"ts\":\""));
    add_time(out);
    busi_buf_str(out, BUSI_STR("\",\"level\":\""));
    busi_buf_str(out, busi_str_of(level_names[level]));
    busi_buf_str(out, BUSI_STR("\",\"service\":\""));
    busi_buf_str(out, busi_str_of(the_log.service));
    busi_buf_str(out, BUSI_STR("\",\"event\":\""));
    busi_buf_str(out, busi_str_of(event));
    busi_buf_char(out, '"');
}

void busi_log_write(enum busi_log_level level, const char *event, const struct busi_log_field *field)
{
    char line[LINE_MAX_BYTES];
    enum { ROOM = sizeof line - LINE_END_BYTES };
    bool whole = true;
    /* A buffer that is full from the start never allocates. */
    struct busi_buf out = {.ptr = line, .room = ROOM, .most = ROOM};
    add_head(&out, level, event);
    /* Nobody may make his line vanish by sending texts that grow when escaped: only that field is left out.
     */
    for (; field->kind != BUSI_LOG_END; field++)
        if (field->kind != BUSI_LOG_STR || field->str.ptr)
            whole &= add_field(&out, field);
    out.room = out.most = sizeof line;
    busi_buf_str(&out, whole ? BUSI_STR("}\n") : BUSI_STR(",\"cut\":true}\n"));
    enqueue(line, out.len);
}

void busi_log_abort(const char *event, const char *why)
{
    busi_log(BUSI_ERR, event, BUSI_C("why", why));
    busi_log_fini();
    abort();
}
