#include "gateway_front_kit.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the application ---- */

struct http_front *front;
struct busi_settings settings;
atomic_int answered, done_calls;
char last_trace[64];

static int64_t body_limit(void *state, const struct http_request *request)
{
    (void)state;
    (void)request;
    return BODY_LIMIT;
}

static void answer_big(struct http_response *response)
{
    char *room = busi_buf_reserve(&response->body, BIG_BYTES);
    cr_assert(room);
    memset(room, 'b', BIG_BYTES);
    response->body.len += BIG_BYTES;
}

static void answer(void *state, struct http_request *request, struct http_response *response)
{
    (void)state;
    atomic_fetch_add(&answered, 1);
    response->status = 200;
    response->content_type = "text/plain";
    snprintf(last_trace, sizeof(last_trace), "%.*s", BUSI_ARG(request->call.traceparent));
    if (busi_str_eq(request->path, BUSI_STR("/slow")))
        usleep(300 * 1000);
    if (busi_str_eq(request->path, BUSI_STR("/empty"))) {
        response->status = 204;
        response->content_type = NULL;
    } else if (busi_str_eq(request->path, BUSI_STR("/big"))) {
        answer_big(response);
    } else if (busi_str_eq(request->path, BUSI_STR("/secret"))) {
        response->no_store = true;
        http_add_header(response, "Location", BUSI_STR("/a\r\nX-Evil: 1"));
        http_add_header(response, "Link", BUSI_STR("</b>; rel=\"next\""));
    } else if (busi_str_eq(request->path, BUSI_STR("/busy"))) {
        response->status = 503;
        request->call.retry_after_ms = 1500;
    } else {
        busi_buf_printf(&response->body, "%.*s|%.*s|%.*s", BUSI_ARG(request->path), BUSI_ARG(request->query),
                        BUSI_ARG(request->body));
    }
}

static void refuse(void *state, const struct http_request *request, struct busi_str path,
                   struct http_response *response)
{
    (void)request;
    (void)state;
    response->content_type = "text/plain";
    busi_buf_printf(&response->body, "refused %d %.*s", response->status, BUSI_ARG(path));
}

static void done(void *state, const struct http_request *request, const struct http_response *response,
                 int64_t us)
{
    (void)state;
    cr_expect(request->call.request_id.len > 0 && us >= 0);
    (void)response;
    atomic_fetch_add(&done_calls, 1);
}

static int free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bind(s, (struct sockaddr *)&at, size) == 0 &&
              getsockname(s, (struct sockaddr *)&at, &size) == 0);
    close(s);
    return ntohs(at.sin_port);
}

struct http_front *open_front(const char **error)
{
    const struct http_front_options options = {.settings = &settings,
                                               .app = {NULL, body_limit, answer, refuse, done}};
    return http_front_open(&options, error);
}

void start_front(void)
{
    const char *error = NULL;
    settings = (struct busi_settings){.http_bind = BUSI_STR("127.0.0.1"),
                                      .http_port = free_port(),
                                      .http_threads = THREADS,
                                      .http_queue = 64,
                                      .http_head_timeout_ms = HEAD_MS,
                                      .http_body_timeout_ms = BODY_MS,
                                      .http_timeout_ms = 1000,
                                      .http_large_memory = LARGE_BYTES};
    front = open_front(&error);
    cr_assert(front, "%s", error);
    cr_assert(http_front_port(front) == settings.http_port);
}

void stop_front(void)
{
    http_front_close(&front);
    cr_expect_null(front);
}

/* ---- speaking ---- */

char got[BIG_BYTES + 65536];
size_t got_len;
bool was_closed;

void dial_with(int s)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)settings.http_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert(s >= 0 && connect(s, (struct sockaddr *)&to, sizeof(to)) == 0);
}

int dial(void)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    dial_with(s);
    return s;
}

void say_bytes(int s, const void *bytes, size_t n)
{
    cr_assert(send(s, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
}

void say(int s, const char *text)
{
    say_bytes(s, text, strlen(text));
}

/* Until the front closes (was_closed), or was silent for so long. A reset is a close too. */
void hear(int s, int silence_ms)
{
    got_len = 0;
    was_closed = false;
    for (;;) {
        struct pollfd wait = {.fd = s, .events = POLLIN};
        if (poll(&wait, 1, silence_ms) <= 0)
            break;
        ssize_t n = recv(s, got + got_len, sizeof(got) - 1 - got_len, 0);
        if (n <= 0) {
            was_closed = true;
            break;
        }
        got_len += (size_t)n;
    }
    got[got_len] = 0;
}

/* On a connection of its own. */
void ask(const char *text)
{
    int s = dial();
    say(s, text);
    hear(s, 200);
    close(s);
}

/* "200 400": statuses of all answers heard. */
const char *statuses(void)
{
    static char list[256];
    size_t len = 0;
    list[0] = 0;
    for (const char *at = got; (at = strstr(at, "HTTP/1.1 ")) && len < sizeof(list) - 8; at += 9)
        len += (size_t)snprintf(list + len, sizeof(list) - len, len ? " %.3s" : "%.3s", at + 9);
    return list;
}

void expect_header(const char *line)
{
    char with_ends[256];
    snprintf(with_ends, sizeof(with_ends), "\r\n%s\r\n", line);
    cr_expect(strstr(got, with_ends), "no '%s' in\n%s", line, got);
}

void expect_no_header(const char *name)
{
    char begin[64];
    snprintf(begin, sizeof(begin), "\r\n%s:", name);
    cr_expect(!strstr(got, begin), "'%s' in\n%s", name, got);
}

const char *body(void)
{
    const char *end = strstr(got, "\r\n\r\n");
    return end ? end + 4 : "";
}

/* One refusal, the connection ended, and what stood behind it was not answered. */
void expect_refused(int status, const char *head)
{
    char want[8];
    snprintf(want, sizeof(want), "%d", status);
    int before = atomic_load(&answered);
    int s = dial();
    say(s, head);
    say(s, BEHIND);
    hear(s, 1500);
    close(s);
    cr_expect_str_eq(statuses(), want, "%s instead of %s for %s", statuses(), want, head);
    cr_expect(was_closed, "left open after %s", head);
    cr_expect(atomic_load(&answered) == before);
    expect_header("Connection: close");
}
