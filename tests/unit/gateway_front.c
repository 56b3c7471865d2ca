/* A real front on a port of its own, spoken to in raw bytes. */
#include "base/clock.h"
#include "http.h"
#include "service/settings.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MS = 400, BODY_MS = 500, BODY_LIMIT = 100000, BIG_BYTES = 12 << 20 };

/* ---- the application ---- */

static struct http_front *front;
static struct busi_settings settings;
static atomic_int answered, done_calls;
static atomic_int last_status;
static char last_trace[64];

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

static void refuse(void *state, struct busi_str path, struct http_response *response)
{
    (void)state;
    response->content_type = "text/plain";
    busi_buf_printf(&response->body, "refused %d %.*s", response->status, BUSI_ARG(path));
}

static void done(void *state, const struct http_request *request, const struct http_response *response,
                 int64_t us)
{
    (void)state;
    cr_expect(request->call.request_id.len > 0 && us >= 0);
    atomic_store(&last_status, response->status);
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

static struct http_front *open_front(const char **error)
{
    const struct http_front_options options = {.settings = &settings,
                                               .app = {NULL, body_limit, answer, refuse, done}};
    return http_front_open(&options, error);
}

static void init(void)
{
    const char *error = NULL;
    settings = (struct busi_settings){.http_bind = BUSI_STR("127.0.0.1"),
                                      .http_port = free_port(),
                                      .http_threads = 10,
                                      .http_queue = 64,
                                      .http_head_timeout_ms = HEAD_MS,
                                      .http_body_timeout_ms = BODY_MS,
                                      .http_timeout_ms = 1000};
    front = open_front(&error);
    cr_assert(front, "%s", error);
    cr_assert(http_front_port(front) == settings.http_port);
}

static void fini(void)
{
    http_front_close(&front);
    cr_expect_null(front);
}

TestSuite(front, .init = init, .fini = fini, .timeout = 30);

/* ---- speaking ---- */

static char got[BIG_BYTES + 65536];
static size_t got_len;
static bool was_closed;

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)settings.http_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(s >= 0 && connect(s, (struct sockaddr *)&to, sizeof(to)) == 0);
    return s;
}

static void say_bytes(int s, const void *bytes, size_t n)
{
    cr_assert(send(s, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
}

static void say(int s, const char *text)
{
    say_bytes(s, text, strlen(text));
}

/* Until the front closes (was_closed), or was silent for so long. A reset is a close too. */
static void hear(int s, int silence_ms)
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
static void ask(const char *text)
{
    int s = dial();
    say(s, text);
    hear(s, 200);
    close(s);
}

/* "200 400": statuses of all answers heard. */
static const char *statuses(void)
{
    static char list[256];
    size_t len = 0;
    list[0] = 0;
    for (const char *at = got; (at = strstr(at, "HTTP/1.1 ")) && len < sizeof(list) - 8; at += 9)
        len += (size_t)snprintf(list + len, sizeof(list) - len, len ? " %.3s" : "%.3s", at + 9);
    return list;
}

static void expect_header(const char *line)
{
    char with_ends[256];
    snprintf(with_ends, sizeof(with_ends), "\r\n%s\r\n", line);
    cr_expect(strstr(got, with_ends), "no '%s' in\n%s", line, got);
}

static void expect_no_header(const char *name)
{
    char begin[64];
    snprintf(begin, sizeof(begin), "\r\n%s:", name);
    cr_expect(!strstr(got, begin), "'%s' in\n%s", name, got);
}

static const char *body(void)
{
    const char *end = strstr(got, "\r\n\r\n");
    return end ? end + 4 : "";
}

#define HOST "Host: localhost\r\n"
#define BEHIND "GET /behind HTTP/1.1\r\n" HOST "\r\n"

/* One refusal, the connection ended, and what stood behind it was not answered. */
static void expect_refused(int status, const char *head)
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

/* ---- answers ---- */

Test(front, answers_with_its_headers)
{
    ask("GET /a?b=c HTTP/1.1\r\n" HOST "\r\n");
    cr_expect(strncmp(got, "HTTP/1.1 200 OK\r\nDate: ", 23) == 0, "%s", got);
    expect_header("Content-Type: text/plain");
    expect_header("Content-Length: 7");
    expect_header("Cache-Control: max-age=0, private, must-revalidate");
    expect_header("X-Content-Type-Options: nosniff");
    expect_no_header("Connection");
    cr_expect_str_eq(body(), "/a|b=c|");
    cr_expect_not(was_closed);
    cr_expect(atomic_load(&done_calls) == 1);
}

Test(front, leaves_out_bodies_where_there_are_none)
{
    ask("HEAD /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect_header("Content-Length: 4");
    cr_expect_str_eq(body(), "");
    ask("GET /empty HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    cr_expect_str_eq(statuses(), "204");
    expect_no_header("Content-Length");
    expect_no_header("Content-Type");
    cr_expect_str_eq(body(), "");
}

Test(front, says_what_the_application_asks_for)
{
    ask("GET /secret HTTP/1.1\r\n" HOST "\r\n");
    expect_header("Cache-Control: no-store");
    expect_header("Link: </b>; rel=\"next\"");
    cr_expect(!strstr(got, "Evil"));
    ask("GET /busy HTTP/1.1\r\n" HOST "\r\n");
    cr_expect_str_eq(statuses(), "503");
    expect_header("Retry-After: 2");
}

Test(front, names_requests)
{
    ask("GET / HTTP/1.1\r\n" HOST "X-Request-Id: my-id.1_A\r\n\r\n");
    expect_header("X-Request-Id: my-id.1_A");
    static const char *const unfit[] = {
        "a\"b", "a b",  "",
        "<x>",  "\xe9", "12345678901234567890123456789012345678901234567890123456789012345"};
    for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++) {
        char head[256];
        snprintf(head, sizeof(head), "GET / HTTP/1.1\r\n" HOST "X-Request-Id: %s\r\n\r\n", unfit[i]);
        ask(head);
        const char *id = strstr(got, "X-Request-Id: ");
        cr_assert(id);
        cr_expect(strspn(id + 14, "0123456789abcdef") == 32, "%s", got);
    }
    ask("GET / HTTP/1.1\r\n" HOST "X-Request-Id: a\r\nX-Request-Id: b\r\n\r\n");
    cr_expect(!strstr(got, "X-Request-Id: a\r") && !strstr(got, "X-Request-Id: b\r"));
}

Test(front, takes_over_a_traceparent)
{
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ask("GET / HTTP/1.1\r\n" HOST "traceparent: " TRACE "\r\n\r\n");
    cr_expect_str_eq(last_trace, TRACE);
    ask("GET / HTTP/1.1\r\n" HOST
        "traceparent: 00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n");
    cr_expect_str_eq(last_trace, "");
    ask("GET / HTTP/1.1\r\n" HOST
        "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n\r\n");
    cr_expect_str_eq(last_trace, "");
}

Test(front, keeps_connections)
{
    ask(BEHIND "POST /b HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz"
               "GET /c HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" BEHIND);
    cr_expect_str_eq(statuses(), "200 200 200");
    cr_expect(was_closed);
    cr_expect(strstr(got, "/b||xyz"));
    ask("GET / HTTP/1.0\r\n" HOST "\r\n" BEHIND);
    cr_expect_str_eq(statuses(), "200");
    expect_header("Connection: close");
    int s = dial();
    say(s, BEHIND);
    hear(s, HEAD_MS * 4);
    cr_expect(was_closed, "an idle connection is ended");
    cr_expect_str_eq(statuses(), "200");
    close(s);
}

/* ---- heads (bad-input H) ---- */

Test(front, refuses_ambiguous_framing)
{
#define POST "POST /a HTTP/1.1\r\n" HOST
    expect_refused(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    expect_refused(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n");
    expect_refused(400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: 5, 5\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: +5\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: 5abc\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: 0x5\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: -1\r\n\r\nhello");
    expect_refused(400, POST "Content-Length:\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: 12345678901234567890123\r\n\r\nhello");
    expect_refused(400, POST "Transfer-Encoding: xchunked\r\n\r\n");
    expect_refused(400, POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    expect_refused(411, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    expect_refused(400, "POST /a HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

Test(front, refuses_odd_lines)
{
#define GET "GET /a HTTP/1.1\r\n" HOST
    expect_refused(400, GET "Content-Length : 5\r\n\r\n");
    expect_refused(400, GET "X: 1\r\n folded\r\nContent-Length: 5\r\n\r\n");
    expect_refused(400, GET ": v\r\nAuthorization: x\r\n\r\n");
    expect_refused(400, GET "no colon\r\n\r\n");
    expect_refused(400, "GET /a HTTP/1.1\r\n " HOST "\r\n");
    expect_refused(400, GET "X: a\x01\r\n\r\n");
    expect_refused(400, GET "X: a\tb\r\n\r\n");
    expect_refused(400, GET "X: a\rb\r\n\r\n");
    expect_refused(400, GET "X: a\nY: b\r\n\r\n");
    expect_refused(400, "GET /a HTTP/1.1\nHost: a\n\n");
    expect_refused(400, "GET /a HTTP/1.1\r\nHost: a\r\n\n");
    expect_refused(400, "\r\n\r\nPOST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz");
    expect_refused(400, "GET  /a HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(400, "GET /a HTTP/1.1 \r\n" HOST "\r\n");
    expect_refused(505, "GET /a HTTP/1.1<script>\r\n" HOST "\r\n");
    cr_expect(!strstr(got, "script"));
    expect_refused(505, "GET /a HTTP/4294967295.255\r\n" HOST "\r\n");
    expect_refused(400, "GET /a\r\n\r\n");
    expect_refused(400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect_refused(400, "GET /a HTTP/1.1\r\n\r\n");
    expect_refused(400, GET HOST "\r\n");
}

Test(front, refuses_what_it_does_not_speak)
{
    expect_refused(501, "FOO /a HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(501, "TRACE /a HTTP/1.1\r\n" HOST "X: reflected\r\n\r\n");
    cr_expect(!strstr(got, "reflected"));
    expect_refused(501, "PROPFIND /a HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(400, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(400, "GET http://localhost/ HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(400, "GET http://evil.example/ HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(417, POST "Content-Length: 2\r\nExpect: foo\r\n\r\n{}");
    expect_refused(400, GET "Content-Length: 5\r\n\r\nhello");
    expect_refused(400, GET "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    expect_refused(400, GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    int s = dial();
    say_bytes(s, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00", 13);
    hear(s, 1000);
    cr_expect_str_eq(statuses(), "400");
    cr_expect(was_closed);
    close(s);
}

static void expect_long(int status, size_t target, size_t header)
{
    static char head[2 << 20];
    size_t n = (size_t)sprintf(head, "GET /known?");
    memset(head + n, 'a', target);
    n += target;
    n += (size_t)sprintf(head + n, " HTTP/1.1\r\n" HOST "X: ");
    memset(head + n, 'b', header);
    n += header;
    n += (size_t)sprintf(head + n, "\r\n\r\n");
    int s = dial();
    (void)!send(s, head, n, MSG_NOSIGNAL);
    hear(s, 1000);
    close(s);
    cr_expect(atoi(statuses()) == status, "%s instead of %d for %zu+%zu", statuses(), status, target, header);
    cr_expect(status == 200 || was_closed);
}

Test(front, bounds_heads)
{
    expect_long(200, 1000, 6000);
    expect_long(431, 10, 8192);
    cr_expect(strstr(got, "refused 431 /known"));
    expect_long(431, 10, 16384);
    expect_long(431, 10, 1 << 20);
    expect_long(414, 2048, 10);
    expect_long(414, 10240, 10);
}

/* ---- bodies ---- */

Test(front, reads_bodies_in_pieces)
{
    static char text[BODY_LIMIT + 1];
    char head[128];
    memset(text, 'x', BODY_LIMIT);
    int s = dial();
    snprintf(head, sizeof(head), POST "Content-Length: %d\r\n\r\n", BODY_LIMIT);
    say(s, head);
    for (int i = 0; i < 10; i++) {
        usleep(5000);
        say_bytes(s, text, BODY_LIMIT / 10);
    }
    say(s, BEHIND);
    hear(s, 300);
    cr_expect_str_eq(statuses(), "200 200");
    cr_expect(memcmp(body(), "/a||xxxx", 8) == 0);
    close(s);
}

Test(front, answers_expectations)
{
    int s = dial();
    say(s, POST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    hear(s, 100);
    cr_expect_str_eq(got, "HTTP/1.1 100 Continue\r\n\r\n");
    say(s, "{}");
    hear(s, 100);
    cr_expect_str_eq(body(), "/a||{}");
    close(s);
    ask(POST "Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
    cr_expect_str_eq(statuses(), "413");
}

Test(front, refuses_long_bodies_before_they_come)
{
    int64_t begun = busi_now_ms();
    int s = dial();
    say(s, POST "Content-Length: 9999999999\r\n\r\n");
    static char junk[65536];
    bool cut = false;
    while (!cut && busi_now_ms() - begun < 5000)
        cut = send(s, junk, sizeof(junk), MSG_NOSIGNAL) < 0;
    cr_expect(cut);
    cr_expect(busi_now_ms() - begun < 1000, "%d ms", (int)(busi_now_ms() - begun));
    close(s);
    s = dial();
    say(s, POST "Content-Length: 100001\r\n\r\n");
    hear(s, 1000);
    cr_expect_str_eq(statuses(), "413");
    cr_expect_str_eq(body(), "refused 413 /a");
    cr_expect(was_closed);
    close(s);
}

/* Sends text, then one byte every so often until the front closes; how long that took. */
static int64_t drip(const char *text, char byte, int every_ms)
{
    int64_t begun = busi_now_ms();
    int s = dial();
    say(s, text);
    for (was_closed = false; !was_closed && busi_now_ms() - begun < 8000;) {
        if (send(s, &byte, 1, MSG_NOSIGNAL) < 0)
            break;
        hear(s, every_ms);
        if (got_len > 0)
            break;
    }
    int64_t took = busi_now_ms() - begun;
    close(s);
    return took;
}

Test(front, ends_dripped_heads)
{
    int64_t took = drip("GET / HTTP/1.1\r\nX: ", 'a', 50);
    cr_expect(took < HEAD_MS + 1000, "%d ms", (int)took);
    cr_expect_str_eq(statuses(), "408");
}

Test(front, ends_dripped_bodies)
{
    int before = atomic_load(&answered);
    int64_t took = drip(POST "Content-Length: 1000\r\n\r\n", 'a', 50);
    cr_expect(took >= BODY_MS - 10 && took < BODY_MS + 500, "%d ms", (int)took);
    cr_expect_str_eq(statuses(), "408");
    expect_header("Connection: close");
    cr_expect(atomic_load(&answered) == before);
    cr_expect(http_front_busy(front) == 0);
}

Test(front, acts_on_no_short_body)
{
    int s = dial();
    say(s, POST "Content-Length: 10\r\n\r\nshort");
    shutdown(s, SHUT_WR);
    hear(s, 1000);
    cr_expect_str_eq(statuses(), "400");
    cr_expect(was_closed);
    close(s);
    s = dial();
    say(s, POST "Content-Length: 10\r\n\r\nshort");
    usleep(20000);
    struct linger reset = {1, 0};
    setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(s);
    s = dial();
    say(s, POST "Content-Length: 10\r\n\r\nshort");
    hear(s, BODY_MS * 2);
    cr_expect_str_eq(statuses(), "408");
    close(s);
    cr_expect(atomic_load(&answered) == 0);
    ask(BEHIND);
    cr_expect_str_eq(statuses(), "200");
}

/* ---- slow and many clients ---- */

Test(front, delivers_after_a_half_close)
{
    int s = dial();
    say(s, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    shutdown(s, SHUT_WR);
    hear(s, 1000);
    cr_expect(was_closed);
    cr_expect(strlen(body()) == BIG_BYTES);
    close(s);
}

Test(front, gives_up_clients_that_do_not_read)
{
    int s = dial();
    say(s, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    usleep(100 * 1000);
    cr_expect(http_front_busy(front) == 1);
    usleep((BODY_MS + 300) * 1000);
    cr_expect(http_front_busy(front) == 0);
    close(s);
}

Test(front, keeps_no_connection_when_crowded)
{
    int crowd[8];
    for (int i = 0; i < 8; i++)
        crowd[i] = dial();
    usleep(50 * 1000);
    ask(BEHIND BEHIND);
    cr_expect_str_eq(statuses(), "200");
    expect_header("Connection: close");
    cr_expect(was_closed);
    for (int i = 0; i < 8; i++)
        close(crowd[i]);
    usleep(50 * 1000);
    ask(BEHIND BEHIND);
    cr_expect_str_eq(statuses(), "200 200");
}

Test(front, survives_clients_that_come_and_go)
{
    for (int i = 0; i < 500; i++) {
        int s = dial();
        struct linger reset = {1, 0};
        if (i % 2)
            setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        if (i % 3 == 0)
            say(s, "GET / HT");
        close(s);
    }
    ask(BEHIND);
    cr_expect_str_eq(statuses(), "200");
}

static void *ask_slow(void *arg)
{
    int s = dial();
    say(s, "GET /slow HTTP/1.1\r\n" HOST "\r\n");
    char text[512];
    ssize_t n = recv(s, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    *(bool *)arg = strncmp(text, "HTTP/1.1 200", 12) == 0 && strstr(text, "/slow||");
    close(s);
    return NULL;
}

Test(front, drains)
{
    pthread_t thread;
    bool served = false;
    cr_assert(pthread_create(&thread, NULL, ask_slow, &served) == 0);
    usleep(100 * 1000);
    http_front_drain(front);
    cr_expect(http_front_busy(front) == 1);
    ask(BEHIND BEHIND);
    cr_expect_str_eq(statuses(), "503");
    expect_header("Connection: close");
    expect_header("Retry-After: 1");
    cr_expect(was_closed);
    pthread_join(thread, NULL);
    cr_expect(served, "a request in work is answered");
    usleep(10 * 1000);
    cr_expect(http_front_busy(front) == 0);
}

/* What is in work when the front closes is answered too. */
Test(front, closes_behind_the_last_answer)
{
    pthread_t thread;
    bool served = false;
    cr_assert(pthread_create(&thread, NULL, ask_slow, &served) == 0);
    usleep(100 * 1000);
    http_front_close(&front);
    pthread_join(thread, NULL);
    cr_expect(served);
    const char *error = NULL;
    front = open_front(&error);
    cr_expect(front, "the port is free again: %s", error);
}

Test(front, starts_only_where_it_can)
{
    const char *error = NULL;
    cr_expect_null(open_front(&error));
    cr_expect(strstr(error, "cannot listen"), "%s", error);
    settings.http_bind = BUSI_STR("127.0.0.1:80s,0.0.0.0");
    cr_expect_null(open_front(&error));
    cr_expect_str_eq(error, "BUSI_HTTP_BIND is no IPv4 address");
    settings.http_bind = BUSI_STR("::1");
    cr_expect_null(open_front(&error));
    settings.http_bind = BUSI_STR("127.0.0.1");
    settings.http_threads = 1 << 30;
    cr_expect_null(open_front(&error));
    settings.http_threads = 10;
}
