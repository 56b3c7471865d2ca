/* A bit flips between a client and a worker: libzmq ends the connection and does not connect again. */
#include "rpc_raw.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

enum { MOST_CONNECTIONS = 32, AGAIN_MS = 2000 };

/* Passes bytes on between connections to itself and as many to a server. */
struct relay {
    const struct server *server;
    char endpoint[64];
    int listener;
    int ends[2 * MOST_CONNECTIONS]; /* a client's and, next to it, the server's; -1: none */
    atomic_int accepted;            /* connections so far */
    atomic_int flips;               /* chunks from the server still to be spoilt */
    atomic_bool stop;
    pthread_t thread;
};

static void hang_up(struct relay *relay, size_t pair)
{
    for (size_t end = 2 * pair; end < 2 * pair + 2; end++) {
        close(relay->ends[end]);
        relay->ends[end] = -1;
    }
}

static void let_in(struct relay *relay)
{
    int pair = relay->accepted;
    cr_assert_lt(pair, MOST_CONNECTIONS);
    relay->ends[2 * pair] = accept(relay->listener, NULL, NULL);
    relay->ends[2 * pair + 1] = dial(relay->server);
    relay->accepted++;
}

static void pass_on(struct relay *relay, size_t end)
{
    char bytes[4096];
    ssize_t n = recv(relay->ends[end], bytes, sizeof bytes, 0);
    if (n <= 0) {
        hang_up(relay, end / 2);
        return;
    }
    if (end % 2 == 1 && relay->flips > 0) {
        relay->flips--;
        bytes[0] = (char)(bytes[0] ^ 0x02); /* now its length takes eight bytes, too many to be borne */
    }
    say(relay->ends[end ^ 1], bytes, (size_t)n);
}

static void *pass_all(void *arg)
{
    struct relay *relay = arg;
    struct pollfd polled[2 * MOST_CONNECTIONS + 1];
    while (!relay->stop) {
        for (size_t i = 0; i < 2 * MOST_CONNECTIONS; i++)
            polled[i] = (struct pollfd){.fd = relay->ends[i], .events = POLLIN};
        polled[2 * MOST_CONNECTIONS] = (struct pollfd){.fd = relay->listener, .events = POLLIN};
        if (poll(polled, 2 * MOST_CONNECTIONS + 1, 20) <= 0)
            continue;
        if (polled[2 * MOST_CONNECTIONS].revents)
            let_in(relay);
        for (size_t i = 0; i < 2 * MOST_CONNECTIONS; i++)
            if (polled[i].revents && relay->ends[i] >= 0)
                pass_on(relay, i);
    }
    return NULL;
}

static void start_relay(struct relay *relay, const struct server *server)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t room = sizeof at;
    *relay = (struct relay){.server = server, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    memset(relay->ends, -1, sizeof relay->ends);
    cr_assert_eq(bind(relay->listener, (struct sockaddr *)&at, sizeof at), 0);
    cr_assert_eq(listen(relay->listener, MOST_CONNECTIONS), 0);
    cr_assert_eq(getsockname(relay->listener, (struct sockaddr *)&at, &room), 0);
    snprintf(relay->endpoint, sizeof relay->endpoint, "127.0.0.1:%d", ntohs(at.sin_port));
    cr_assert_eq(pthread_create(&relay->thread, NULL, pass_all, relay), 0);
}

static void stop_relay(struct relay *relay)
{
    relay->stop = true;
    pthread_join(relay->thread, NULL);
    for (size_t i = 0; i < MOST_CONNECTIONS; i++)
        hang_up(relay, i);
    close(relay->listener);
}

static bool all_spoilt(void *relay)
{
    return ((struct relay *)relay)->flips == 0;
}

static bool is_cut_off(void *client)
{
    return !is_ready(client);
}

Test(rpc_flipped, a_worker_whose_protocol_was_broken_is_found_again, .timeout = 60)
{
    struct server *server = start_server("a", "*", NULL, 8);
    struct relay relay;
    start_relay(&relay, server);
    struct client *client = start_client_of("directory", relay.endpoint, "", NULL, 8);
    cr_assert(within(5000, is_ready, client));
    cr_assert_eq(get_business(client, 1, 2000, NULL), BUSI_OK);
    int accepted = relay.accepted;
    relay.flips = 1;
    cr_assert(within(AGAIN_MS, all_spoilt, &relay), "nothing was sent");
    cr_assert(within(AGAIN_MS, is_cut_off, client), "nobody noticed");
    cr_assert(within(AGAIN_MS, is_ready, client), "nobody came back");
    cr_assert_eq(get_business(client, 1, 2000, NULL), BUSI_OK);
    cr_assert_gt(relay.accepted, accepted);
    stop_client(&client);
    stop_relay(&relay);
    stop_server(&server);
}
