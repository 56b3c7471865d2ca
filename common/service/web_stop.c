#include "service/web_stop.h"
#include <arpa/inet.h>
#include <civetweb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct knock {
    struct sockaddr_in address; /* of the server */
    atomic_bool stopped;        /* no more knocks */
};

static void *knock(void *arg)
{
    struct knock *knock = arg;
    const struct timespec pause = {.tv_nsec = 5000000};
    while (!atomic_load(&knock->stopped)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0) {
            (void)!connect(fd, (const struct sockaddr *)&knock->address, sizeof(knock->address));
            close(fd);
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

/* "10.0.0.1:8080" or "8080" */
static struct in_addr host_of(const char *listening)
{
    struct in_addr host = {.s_addr = htonl(INADDR_LOOPBACK)}, named;
    char text[INET_ADDRSTRLEN] = "";
    const char *colon = listening ? strchr(listening, ':') : NULL;
    if (colon && (size_t)(colon - listening) < sizeof(text)) {
        memcpy(text, listening, (size_t)(colon - listening));
        if (inet_pton(AF_INET, text, &named) == 1 && named.s_addr != htonl(INADDR_ANY))
            host = named;
    }
    return host;
}

void busi_web_stop(struct mg_context *server)
{
    struct mg_server_port port = {0};
    struct knock state = {.address.sin_family = AF_INET};
    pthread_t thread;
    if (!server)
        return;
    bool started = false;
    if (mg_get_server_ports(server, 1, &port) == 1) {
        state.address.sin_port = htons((uint16_t)port.port);
        state.address.sin_addr = host_of(mg_get_option(server, "listening_ports"));
        started = pthread_create(&thread, NULL, knock, &state) == 0;
    }
    mg_stop(server);
    atomic_store(&state.stopped, true);
    if (started)
        pthread_join(thread, NULL);
}
