/* A stranger at a server's port: bytes on a TCP connection, beside libzmq. */
#pragma once
#include "base/clock.h"
#include "rpc_house.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct bytes_of {
    const char *bytes;
    size_t n;
};
#define OF(literal)                                                                                          \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

/* ---- ZMTP: a greeting of 64 bytes, then commands and messages in frames ---- */

#define SIGNATURE "\xff\0\0\0\0\0\0\0\1\x7f"
#define GREETING(major, mechanism, as_server)                                                                \
    SIGNATURE major "\0" mechanism as_server "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"  \
                    "\0"
#define NULL_MECHANISM "NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define CURVE_MECHANISM "CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define PLAIN_MECHANISM "PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define NULL_READY "\x04\x29\x05READY\x0bSocket-Type\0\0\0\6DEALER\x08Identity\0\0\0\0"
#define NULL_BEGINNING GREETING("\3", NULL_MECHANISM, "\0") NULL_READY
#define CURVE_HELLO "\x04\xc8\x05HELLO\1\0"

static inline int dial(const struct server *server)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons((uint16_t)atoi(strchr(server->endpoint, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline void say(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* closed on us: fine */
        bytes += sent;
        n -= (size_t)sent;
    }
}

/* Reads the other side's greeting and its READY: until then libzmq takes whatever comes for a part of the
 * handshake. */
static inline void hear_ready(int fd)
{
    char heard[64 + 2 + 255];
    size_t n = 0, whole = 64 + 2;
    struct timeval wait = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    while (n < whole) {
        ssize_t got = recv(fd, heard + n, whole - n, 0);
        cr_assert_gt(got, 0, "no READY");
        n += (size_t)got;
        if (n >= 66)
            whole = 66 + (unsigned char)heard[65];
    }
    cr_assert_eq(memcmp(heard + 66, "\5READY", 6), 0);
}

/* A connection that has been let in, without keys. */
static inline int come_in(const struct server *server)
{
    int fd = dial(server);
    say(fd, NULL_BEGINNING, sizeof(NULL_BEGINNING) - 1);
    hear_ready(fd);
    return fd;
}

/* What has come is read and dropped. True: the other side has closed. */
static inline bool has_closed(int fd)
{
    char drop[4096];
    for (;;) {
        ssize_t n = recv(fd, drop, sizeof drop, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return true;
        if (n < 0)
            return false;
    }
}

/* True when the other side closes within ms. */
static inline bool closes(int fd, int ms)
{
    for (int64_t until_ms = busi_now_ms() + ms; busi_now_ms() < until_ms; sleep_ms(5))
        if (has_closed(fd))
            return true;
    return false;
}

/* How many the other side has not closed after ms at most; those it has are -1. */
static inline size_t still_open(int *fds, size_t n, int ms)
{
    size_t open = n;
    for (int64_t until_ms = busi_now_ms() + ms; open > 0 && busi_now_ms() < until_ms; sleep_ms(20)) {
        open = 0;
        for (size_t i = 0; i < n; i++) {
            if (fds[i] >= 0 && has_closed(fds[i])) {
                close(fds[i]);
                fds[i] = -1;
            }
            open += fds[i] >= 0;
        }
    }
    return open;
}
