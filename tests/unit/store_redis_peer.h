/* What a real Redis never says: a peer on a thread that answers each command as the test wants. */
#pragma once
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEER_CLIENTS = 16, PEER_UNREAD = 4096 };

struct peer;
/* words: the command, single spaces between. What to send; "" nothing, NULL close. */
typedef const char *peer_answer(struct peer *peer, const char *words);

struct peer {
    peer_answer *answer;
    const char *says;   /* for answer */
    atomic_int number;  /* likewise */
    atomic_int clients; /* that came so far */
    int port;
    int listener;
    pthread_t thread;
    atomic_bool stop;
    struct {
        int fd;
        size_t len;
        char unread[PEER_UNREAD];
    } connections[PEER_CLIENTS];
};

/* One whole command at the start of text: its words, and its length; 0: not whole yet. */
static inline size_t peer_command(const char *text, size_t len, char *words)
{
    const char *at = text, *end = text + len;
    char *out = words;
    long n = 0;
    if (len < 4 || !memchr(text, '\n', len))
        return 0;
    n = strtol(at + 1, NULL, 10);
    at = (const char *)memchr(at, '\n', (size_t)(end - at)) + 1;
    for (; n > 0; n--) {
        const char *line = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        long size = line ? strtol(at + 1, NULL, 10) : 0;
        if (!line || end - line - 1 < size + 2)
            return 0;
        memcpy(out, line + 1, (size_t)size);
        out += size;
        *out++ = n > 1 ? ' ' : '\0';
        at = line + 1 + size + 2;
    }
    return (size_t)(at - text);
}

static inline bool peer_serve(struct peer *peer, size_t i)
{
    char words[PEER_UNREAD], *unread = peer->connections[i].unread;
    size_t *len = &peer->connections[i].len, used;
    ssize_t n = recv(peer->connections[i].fd, unread + *len, PEER_UNREAD - 1 - *len, 0);
    if (n <= 0)
        return false;
    *len += (size_t)n;
    unread[*len] = '\0';
    while ((used = peer_command(unread, *len, words)) > 0) {
        const char *text = peer->answer(peer, words);
        if (!text)
            return false;
        if (send(peer->connections[i].fd, text, strlen(text), MSG_NOSIGNAL) < 0)
            return false;
        *len -= used;
        memmove(unread, unread + used, *len + 1);
    }
    return true;
}

static inline void peer_accept(struct peer *peer)
{
    int fd = accept(peer->listener, NULL, NULL);
    size_t i = 0;
    while (i < PEER_CLIENTS && peer->connections[i].fd >= 0)
        i++;
    if (i == PEER_CLIENTS) {
        close(fd);
        return;
    }
    peer->connections[i].fd = fd;
    peer->connections[i].len = 0;
    atomic_fetch_add(&peer->clients, 1);
}

static inline void *peer_main(void *arg)
{
    struct peer *peer = arg;
    while (!atomic_load(&peer->stop)) {
        struct pollfd watched[PEER_CLIENTS + 1] = {{.fd = peer->listener, .events = POLLIN}};
        for (size_t i = 0; i < PEER_CLIENTS; i++)
            watched[i + 1] = (struct pollfd){.fd = peer->connections[i].fd, .events = POLLIN};
        poll(watched, PEER_CLIENTS + 1, 20);
        for (size_t i = 0; i < PEER_CLIENTS; i++)
            if (watched[i + 1].revents && !peer_serve(peer, i)) {
                close(peer->connections[i].fd);
                peer->connections[i].fd = -1;
            }
        if (watched[0].revents)
            peer_accept(peer);
    }
    return NULL;
}

static inline void peer_start(struct peer *peer, peer_answer *answer, const char *says)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(peer, 0, sizeof *peer);
    peer->answer = answer;
    peer->says = says;
    for (size_t i = 0; i < PEER_CLIENTS; i++)
        peer->connections[i].fd = -1;
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(peer->listener, (struct sockaddr *)&address, size), 0);
    cr_assert_eq(listen(peer->listener, 16), 0);
    getsockname(peer->listener, (struct sockaddr *)&address, &size);
    peer->port = ntohs(address.sin_port);
    cr_assert_eq(pthread_create(&peer->thread, NULL, peer_main, peer), 0);
}

static inline void peer_stop(struct peer *peer)
{
    atomic_store(&peer->stop, true);
    pthread_join(peer->thread, NULL);
    for (size_t i = 0; i < PEER_CLIENTS; i++)
        if (peer->connections[i].fd >= 0)
            close(peer->connections[i].fd);
    close(peer->listener);
}

#define PEER_MASTER "$28\r\n# Replication\r\nrole:master\r\n\r\n"
/* id: of its data, one letter */
#define PEER_MASTER_OF(id) "$31\r\n\nrole:master\r\nmaster_replid:" id "\r\n\r\n"
#define PEER_REPLICA "$27\r\n# Replication\r\nrole:slave\r\n\r\n"

/* The greeting as a master answers it; NULL: another command. */
static inline const char *peer_greets(const char *words)
{
    if (strcmp(words, "PING") == 0)
        return "+PONG\r\n";
    if (strcmp(words, "CLIENT SETNAME busi") == 0)
        return "+OK\r\n";
    return strcmp(words, "INFO replication") == 0 ? PEER_MASTER : NULL;
}
