/* The strict head check stands on how exactly this CivetWeb lays out a connection's memory. Before the
 * gateway serves, a front of its own on a loopback port is fed requests whose verdicts are known; one that
 * differs means another library, and the gateway does not start. */
#include "http/front_state.h"
#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WAIT_MS = 2000 };

/* ---- the application: tells what it was asked ---- */

static int64_t body_limit(void *state, const struct http_request *request)
{
    (void)state;
    (void)request;
    return 100;
}

static void answer(void *state, struct http_request *request, struct http_response *response)
{
    (void)state;
    response->status = 200;
    response->content_type = "text/plain";
    busi_buf_printf(&response->body, "[%.*s|%.*s|%zu|%.*s]", BUSI_ARG(request->path),
                    BUSI_ARG(request->query), request->n_headers, BUSI_ARG(request->body));
}

static void refuse(void *state, const struct http_request *request, struct busi_str path,
                   struct http_response *response)
{
    (void)request;
    (void)state;
    response->content_type = "text/plain";
    busi_buf_printf(&response->body, "{%d|%.*s}", response->status, BUSI_ARG(path));
}

static void done(void *state, const struct http_request *request, const struct http_response *response,
                 int64_t us)
{
    (void)state;
    (void)request;
    (void)response;
    (void)us;
}

/* ---- the table ---- */

#define HOST "Host: a\r\n"
static const struct {
    const char *request;
    const char
        *bodies; /* of all answers, one behind the other; the connection must then be closed by the front */
} table[] = {
    /* read as they are meant, also one behind the other */
    {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "[/||2|]"},
    {"GET /a?b=c HTTP/1.1\r\n" HOST "\r\nGET /%41 HTTP/1.1\r\nHost:  a  \r\nConnection: close\r\n\r\n",
     "[/a|b=c|1|][/%41||2|]"},
    {"POST /a?? HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyzGET / HTTP/1.0\r\n" HOST "\r\n",
     "[/a|?|2|xyz][/||1|]"},
    {"PUT //a HTTP/1.1\r\n" HOST "X:\r\nY: \xe9\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
     "[//a||5|]"},
    /* refused, and nothing behind them is read */
    {"GET /a HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "{400|/a}"},
    {"GET /a HTTP/1.1\r\n" HOST "X: 1\r\n folded\r\nContent-Length: 5\r\n\r\n", "{400|/a}"},
    {"GET /a HTTP/1.1\r\n" HOST ": v\r\nAuthorization: x\r\n\r\n", "{400|/a}"},
    {"GET /a HTTP/1.1\nHost: a\n\n", "{400|}"},
    {"GET /a HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "{400|/a}"},
    {"GET /a HTTP/1.1\r\nHost: a\r\n\nGET / HTTP/1.1\r\n" HOST "\r\n", "{400|/a}"},
    {"GET /a HTTP/1.1\r\n Host: a\r\n\r\n", "{400|/a}"},
    {"GET  /a HTTP/1.1\r\n" HOST "\r\n", "{400|}"},
    {" GET /a HTTP/1.1\r\n" HOST "\r\n", "{400|}"},
    {"\r\n\r\nPOST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz", "{400|}"},
    {"GET /a HTTP/1.1\r\n\r\n", "{400|/a}"},
    {"GET /a HTTP/1.1\r\n" HOST HOST "\r\n", "{400|/a}"},
    {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "{400|/a}"},
    {"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "{411|/a}"},
    {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "{400|/a}"},
    {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\nhello", "{400|/a}"},
    {"POST /a HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n", "{413|/a}"},
    {"GET /a/../b HTTP/1.1\r\n" HOST "\r\n", "{400|}"},
    {"GET /a%2fb HTTP/1.1\r\n" HOST "\r\n", "{400|}"},
    {"GET /a?b=%00 HTTP/1.1\r\n" HOST "\r\n", "{400|/a}"},
    {"GET http://a/ HTTP/1.1\r\n" HOST "\r\n", "{400|}"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "{400|}"},
    {"GET / HTTP/1.1<x>\r\n" HOST "\r\n", "{505|/}"},
    {"FOO /a HTTP/1.1\r\n" HOST "\r\n", "{501|/a}"},
    {"TRACE /a HTTP/1.1\r\n" HOST "\r\n", "{501|/a}"},
    {"GET /a HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "{400|/a}"},
};

/* ---- asking ---- */

static int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = WAIT_MS / 1000, .tv_usec = WAIT_MS % 1000 * 1000};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s >= 0 && setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(s, (struct sockaddr *)&to, sizeof(to)) == 0)
        return s;
    if (s >= 0)
        close(s);
    return -1;
}

/* Everything until the front closes, NUL-terminated; false when it does not, or resets. */
static bool converse(int port, const char *request, char *got, size_t room)
{
    size_t len = 0, n = strlen(request);
    int s = dial(port);
    bool closed = false;
    if (s < 0)
        return false;
    if (send(s, request, n, MSG_NOSIGNAL) == (ssize_t)n)
        while (!closed && len < room - 1) {
            ssize_t more = recv(s, got + len, room - 1 - len, 0);
            if (more < 0)
                break;
            len += (size_t)more;
            closed = more == 0;
        }
    close(s);
    got[len] = 0;
    return closed;
}

/* Keeps of a conversation only the answers' bodies, in place. */
static void keep_bodies(char *text)
{
    char *to = text;
    for (char *head = text; (head = strstr(head, "HTTP/1.1 ")) != NULL;) {
        char *body = strstr(head, "\r\n\r\n");
        if (!body)
            break;
        body += 4;
        char *end = strstr(body, "HTTP/1.1 ");
        size_t n = end ? (size_t)(end - body) : strlen(body);
        head = body + n;
        memmove(to, body, n);
        to += n;
    }
    *to = 0;
}

static const char *run(int port)
{
    static char fault[160]; /* told once, while starting */
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char got[4096];
        bool closed = converse(port, table[i].request, got, sizeof(got));
        keep_bodies(got);
        if (closed && strcmp(got, table[i].bodies) == 0)
            continue;
        snprintf(
            fault, sizeof(fault),
            "this CivetWeb (%s) reads requests differently than the strict head check relies on: case %zu, "
            "%.24s instead of %.24s",
            mg_version(), i, got, table[i].bodies);
        return fault;
    }
    return NULL;
}

const char *front_self_test(void)
{
    const struct front_options options = {
        .app = {NULL, body_limit, answer, refuse, done},
        .listen = "127.0.0.1:0",
        .threads = 8, /* one connection that still closes must not make it look crowded */
        .queue = 16,
        .head_timeout_ms = WAIT_MS / 2,
        .body_timeout_ms = WAIT_MS / 2,
        .work_timeout_ms = WAIT_MS / 2};
    const char *fault = NULL;
    struct http_front *front = front_start(&options, &fault);
    if (!front)
        return fault;
    fault = run(front->port);
    http_front_close(&front);
    return fault;
}
