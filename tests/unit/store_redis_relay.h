/* Between a client and a Redis: a thread that passes bytes on, and holds or cuts connections as the test
 * wants. */
#pragma once
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RELAY_PAIRS = 64 };

struct relay {
    int port, listener;
    int target, later;     /* ports where the first connection goes, and the others */
    atomic_int accepted;   /* connections so far; each has a number, from 0 */
    atomic_ullong held;    /* numbers (below 64), a bit each: nothing is passed either way */
    atomic_ullong muffled; /* likewise: nothing comes back */
    atomic_ullong cut;     /* likewise: closed; 0 when done */
    atomic_bool stop;
    pthread_t thread;
    struct {
        int client, server, number; /* client -1: unused */
    } pairs[RELAY_PAIRS];
};

static inline int relay_socket(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_geq(fd, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline void relay_accept(struct relay *relay)
{
    int client = accept(relay->listener, NULL, NULL), number = atomic_fetch_add(&relay->accepted, 1);
    int server = relay_socket(number == 0 ? relay->target : relay->later);
    for (size_t i = 0; i < RELAY_PAIRS && server >= 0; i++) {
        if (relay->pairs[i].client >= 0)
            continue;
        relay->pairs[i].client = client;
        relay->pairs[i].server = server;
        relay->pairs[i].number = number;
        return;
    }
    close(client);
    if (server >= 0)
        close(server);
}

static inline bool relay_pass(int from, int to)
{
    char bytes[65536];
    ssize_t n = recv(from, bytes, sizeof bytes, 0);
    for (ssize_t at = 0; n > 0 && at < n;) {
        ssize_t done = send(to, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (done < 0)
            return false;
        at += done;
    }
    return n > 0;
}

static inline bool relay_is(atomic_ullong *set, int number)
{
    return number < 64 && (atomic_load(set) >> number & 1);
}

static inline void *relay_main(void *arg)
{
    struct relay *relay = arg;
    while (!atomic_load(&relay->stop)) {
        struct pollfd watched[2 * RELAY_PAIRS + 1] = {{.fd = relay->listener, .events = POLLIN}};
        unsigned long long cut = atomic_load(&relay->cut);
        for (size_t i = 0; i < RELAY_PAIRS; i++) {
            int number = relay->pairs[i].number, client = relay->pairs[i].client;
            bool held = client >= 0 && relay_is(&relay->held, number),
                 muffled = client >= 0 && relay_is(&relay->muffled, number);
            watched[2 * i + 1] = (struct pollfd){.fd = held ? -1 : client, .events = POLLIN};
            watched[2 * i + 2] = (struct pollfd){
                .fd = client < 0 || held || muffled ? -1 : relay->pairs[i].server, .events = POLLIN};
        }
        poll(watched, 2 * RELAY_PAIRS + 1, 2);
        for (size_t i = 0; i < RELAY_PAIRS; i++) {
            int client = relay->pairs[i].client, server = relay->pairs[i].server;
            if (client < 0 || (!(cut >> (relay->pairs[i].number & 63) & 1) &&
                               (!watched[2 * i + 1].revents || relay_pass(client, server)) &&
                               (!watched[2 * i + 2].revents || relay_pass(server, client))))
                continue;
            close(client);
            close(server);
            relay->pairs[i].client = -1;
        }
        if (cut)
            atomic_store(&relay->cut, 0);
        if (watched[0].revents)
            relay_accept(relay);
    }
    return NULL;
}

/* later 0: they go there, too. */
static inline void relay_start(struct relay *relay, int target, int later)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(relay, 0, sizeof *relay);
    for (size_t i = 0; i < RELAY_PAIRS; i++)
        relay->pairs[i].client = -1;
    relay->target = target;
    relay->later = later ? later : target;
    relay->listener = socket(AF_INET, SOCK_STREAM, 0);
    /* of its connections, too: what is held is not to vanish in the kernel */
    cr_assert_eq(setsockopt(relay->listener, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int)), 0);
    cr_assert_eq(bind(relay->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(relay->listener, 64), 0);
    getsockname(relay->listener, (struct sockaddr *)&address, &size);
    relay->port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&relay->thread, NULL, relay_main, relay), 0);
}

static inline void relay_stop(struct relay *relay)
{
    atomic_store(&relay->stop, true);
    pthread_join(relay->thread, NULL);
    for (size_t i = 0; i < RELAY_PAIRS; i++)
        if (relay->pairs[i].client >= 0) {
            close(relay->pairs[i].client);
            close(relay->pairs[i].server);
        }
    close(relay->listener);
}
