/* The floor every speed is compared with: a bare CivetWeb handler with the gateway's server options that
 * answers fixed bytes. usage: bench-floor PORT THREADS QUEUE FILE ; GET /1 answers FILE's bytes as JSON. */
#define _GNU_SOURCE /* pthread_setattr_default_np */
#include <civetweb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char answer[1 << 20];
static int answer_len;

static int reply(struct mg_connection *connection, void *unused)
{
    (void)unused;
    mg_write(connection, answer, (size_t)answer_len);
    return 200;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench-floor PORT THREADS QUEUE FILE\n");
        return 2;
    }
    static char body[1 << 19];
    FILE *file = fopen(argv[4], "rb");
    if (!file) {
        perror(argv[4]);
        return 1;
    }
    size_t n = fread(body, 1, sizeof(body), file);
    fclose(file);
    answer_len = snprintf(answer, sizeof(answer),
                          "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n"
                          "Content-Type: application/json; charset=utf-8\r\nContent-Length: %zu\r\n"
                          "X-Request-Id: 0123456789abcdef0123456789abcdef\r\n"
                          "Cache-Control: max-age=0, private, must-revalidate\r\n"
                          "X-Content-Type-Options: nosniff\r\n\r\n",
                          n);
    memcpy(answer + answer_len, body, n);
    answer_len += (int)n;

    char port[64];
    snprintf(port, sizeof(port), "127.0.0.1:%s", argv[1]);
    const char *options[] = {"listening_ports",
                             port,
                             "num_threads",
                             argv[2],
                             "connection_queue",
                             argv[3],
                             "decode_url",
                             "no",
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             "2000",
                             "request_timeout_ms",
                             "2000",
                             "tcp_nodelay",
                             "1",
                             NULL};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    pthread_setattr_default_np(&attributes);
    struct mg_callbacks callbacks = {0};
    mg_init_library(0);
    struct mg_context *context = mg_start(&callbacks, NULL, options);
    if (!context) {
        fprintf(stderr, "bench-floor: cannot listen on %s\n", port);
        return 1;
    }
    mg_set_request_handler(context, "/", reply, NULL);
    printf("ready\n");
    fflush(stdout);
    pause();
    return 0;
}
