#include "service/side_port.h"
#include "base/log.h"
#include "service/accept.h"
#include "service/process_metrics.h"
#include "service/web_stop.h"
#include <arpa/inet.h>
#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>

enum { METRICS_MAX_BYTES = 4 * 1024 * 1024, BIND_MAX_BYTES = 32 };

struct busi_side_port {
    struct busi_side_port_options options;
    char bind[BIND_MAX_BYTES]; /* options.bind with a NUL */
    struct mg_context *server; /* owned */
    int number;                /* port bound */
};

bool busi_side_port_bind_valid(struct busi_str bind)
{
    char text[BIND_MAX_BYTES];
    struct in_addr address;
    int64_t number = 0;
    if (bind.len == 0 || bind.len >= sizeof(text) || memchr(bind.ptr, 0, bind.len))
        return false;
    memcpy(text, bind.ptr, bind.len);
    text[bind.len] = 0;
    char *colon = strchr(text, ':');
    if (!colon)
        return false;
    *colon = 0;
    /* digits only: CivetWeb takes a port that ends in "s" for TLS, which crashes with OpenSSL 3 */
    return inet_pton(AF_INET, text, &address) == 1 && busi_str_int(busi_str_of(colon + 1), &number) &&
           number >= 0 && number <= 65535;
}

/* ---- answers ---- */

struct answer {
    int status;
    const char *type;     /* Content-Type */
    struct busi_buf body; /* owned */
};

static void answer_flag(struct answer *answer, bool yes)
{
    answer->status = yes ? 200 : 503;
    busi_buf_str(&answer->body, yes ? BUSI_STR("ok\n") : BUSI_STR("no\n"));
}

static void answer_live(const struct busi_side_port *port, struct answer *answer)
{
    answer_flag(answer, port->options.live(port->options.arg));
}

static void answer_ready(const struct busi_side_port *port, struct answer *answer)
{
    answer_flag(answer, port->options.ready(port->options.arg));
}

static void answer_metrics(const struct busi_side_port *port, struct answer *answer)
{
    answer->type = "text/plain; version=0.0.4; charset=utf-8";
    busi_process_metrics_print(&answer->body, port->options.service);
    if (answer->body.failed)
        answer->status = 500;
}

static const struct {
    const char *path;
    void (*fill)(const struct busi_side_port *port, struct answer *answer);
} pages[] = {{"/livez", answer_live}, {"/readyz", answer_ready}, {"/metrics", answer_metrics}};

static void send_answer(struct mg_connection *connection, const struct answer *answer, bool with_body)
{
    char head[256];
    int len =
        snprintf(head, sizeof(head),
                 "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                 "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                 answer->status, mg_get_response_code_text(connection, answer->status), answer->type,
                 answer->body.len);
    mg_write(connection, head, (size_t)len);
    if (with_body && answer->body.len > 0)
        mg_write(connection, answer->body.ptr, answer->body.len);
}

static void send_status(struct mg_connection *connection, int status, bool with_body)
{
    struct answer answer = {.status = status, .type = "text/plain; charset=utf-8"};
    busi_buf_init(&answer.body, 256);
    busi_buf_printf(&answer.body, "%s\n", mg_get_response_code_text(connection, status));
    send_answer(connection, &answer, with_body);
    busi_buf_fini(&answer.body);
}

/* Every request ends here: CivetWeb itself serves nothing. */
static int on_request(struct mg_connection *connection)
{
    const struct mg_request_info *request = mg_get_request_info(connection);
    const struct busi_side_port *port = request->user_data;
    bool head = strcmp(request->request_method, "HEAD") == 0;
    mg_disable_connection_keep_alive(connection); /* else it goes on reading a body nobody wants */
    if (!head && strcmp(request->request_method, "GET") != 0) {
        send_status(connection, 405, true);
        return 405;
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages)[0]; i++) {
        struct answer answer = {.status = 200, .type = "text/plain; charset=utf-8"};
        if (!request->local_uri || strcmp(request->local_uri, pages[i].path) != 0)
            continue;
        busi_buf_init(&answer.body, METRICS_MAX_BYTES);
        pages[i].fill(port, &answer);
        send_answer(connection, &answer, !head);
        busi_buf_fini(&answer.body);
        return answer.status;
    }
    send_status(connection, 404, !head);
    return 404;
}

/* CivetWeb's own error page repeats what the client sent, in the status line even. */
static int on_error(struct mg_connection *connection, int status, const char *message)
{
    (void)message;
    mg_disable_connection_keep_alive(connection);
    send_status(connection, status, true);
    return 0;
}

static int on_log(const struct mg_connection *connection, const char *message)
{
    (void)connection;
    busi_log(BUSI_WARN, "side_port", BUSI_C("message", message));
    return 1; /* said */
}

/* ---- start and stop ---- */

static struct mg_context *start_server(struct busi_side_port *port)
{
    const char *options[] = {"listening_ports",
                             port->bind,
                             "num_threads",
                             "3",
                             "connection_queue",
                             "16",
                             "request_timeout_ms",
                             "1000",
                             "enable_keep_alive",
                             "no",
                             "decode_url",
                             "no",
                             "tcp_nodelay",
                             "1",
                             NULL};
    struct mg_callbacks callbacks = {
        .begin_request = on_request, .http_error = on_error, .log_message = on_log};
    struct mg_init_data init = {.callbacks = &callbacks, .user_data = port, .configuration_options = options};
    char text[256] = "";
    unsigned code = 0;
    struct mg_error_data error = {.code = &code, .text = text, .text_buffer_size = sizeof(text)};
    struct mg_context *server = mg_start2(&init, &error);
    if (!server)
        busi_log(BUSI_ERR, "side_port", BUSI_C("message", text));
    return server;
}

struct busi_side_port *busi_side_port_open(const struct busi_side_port_options *options, const char **error)
{
    struct mg_server_port bound = {0};
    struct busi_side_port *port = NULL;
    *error = "is not an IPv4 address and a port, like 127.0.0.1:0";
    if (!busi_side_port_bind_valid(options->bind))
        return NULL;
    *error = "out of memory";
    port = calloc(1, sizeof(*port));
    if (!port)
        return NULL;
    port->options = *options;
    memcpy(port->bind, options->bind.ptr, options->bind.len); /* shorter than bind: just checked */
    mg_init_library(0);
    busi_accept_init();
    *error = "cannot listen there: the port is taken, or the address is not of this host";
    port->server = start_server(port);
    if (port->server && mg_get_server_ports(port->server, 1, &bound) == 1)
        port->number = bound.port;
    if (!port->server)
        busi_side_port_close(&port);
    return port;
}

int busi_side_port_number(const struct busi_side_port *port)
{
    return port->number;
}

void busi_side_port_close(struct busi_side_port **port)
{
    if (!*port)
        return;
    busi_web_stop((*port)->server);
    mg_exit_library();
    free(*port);
    *port = NULL;
}
