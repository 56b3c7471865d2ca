/* Offers sign-ins at a constant rate, whatever becomes of them: an answer's time counts from when its request
 * was due.
 *
 * usage: bench-offer PORT CONNECTIONS RATE SECONDS FILE
 *
 * FILE has one JSON body a line. RATE 0: each connection asks again as soon as it was answered. Prints
 * "RESULT name=value ...": good sign-ins a second, counts, milliseconds. */
#define _GNU_SOURCE /* strcasestr */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 4096, MOST_ANSWERS = 4 << 20, MOST_WAITING = 1 << 20, REST_MS = 15000 };

struct client {
    int socket;     /* -1: none */
    bool asked;     /* an answer is due */
    int64_t due_us; /* of the request under way */
    size_t got;
    char answer[4096];
};

static struct client clients[MOST_CONNECTIONS];
static struct client *rest[MOST_CONNECTIONS]; /* those who may ask */
static size_t n_rest;
static struct sockaddr_in to = {.sin_family = AF_INET};
static int poller;
static char **bodies;
static size_t n_bodies, next_body;
static int64_t due[MOST_WAITING]; /* a ring: times of requests no client was free for */
static size_t due_begin, due_end;

/* What came back, by kind. */
enum { OK, SHED, KINDS };
static float *times_ms[KINDS];
static size_t counts[KINDS];
static size_t other, unanswered, without_retry_after, unsent;
static size_t good;      /* of OK, those while requests were still offered */
static int64_t until_us; /* requests are offered */

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void dial(struct client *client)
{
    int one = 1;
    client->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (client->socket < 0 || connect(client->socket, (struct sockaddr *)&to, sizeof(to)) != 0)
        fail("bench-offer: connect");
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(poller, EPOLL_CTL_ADD, client->socket, &event);
}

static void hang_up(struct client *client)
{
    close(client->socket);
    client->socket = -1;
    client->got = 0;
}

static void ask(struct client *client, int64_t due_us)
{
    char request[1024];
    const char *body = bodies[next_body++ % n_bodies];
    int n =
        snprintf(request, sizeof(request),
                 "POST /api/users/signin HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
    client->due_us = due_us;
    client->asked = true;
    if (client->socket >= 0 && send(client->socket, request, (size_t)n, MSG_NOSIGNAL) == n)
        return;
    if (client->socket >= 0)
        hang_up(client);
    dial(client);
    if (send(client->socket, request, (size_t)n, MSG_NOSIGNAL) != n)
        fail("bench-offer: send");
}

static void answered(struct client *client, int status, bool retry_after)
{
    int kind = status == 201 ? OK : SHED;
    int64_t now = now_us();
    client->asked = false;
    rest[n_rest++] = client;
    if (status != 201 && status != 503) {
        other++;
        return;
    }
    good += status == 201 && now < until_us;
    without_retry_after += status == 503 && !retry_after;
    if (counts[kind] < MOST_ANSWERS)
        times_ms[kind][counts[kind]++] = (float)(now - client->due_us) / 1000;
}

/* A whole answer in the buffer? */
static void look(struct client *client)
{
    client->answer[client->got] = 0;
    char *end = strstr(client->answer, "\r\n\r\n");
    if (!end)
        return;
    *end = 0;
    const char *length = strcasestr(client->answer, "\r\ncontent-length: ");
    bool close_it = strcasestr(client->answer, "\r\nconnection: close") != NULL;
    bool retry_after = strcasestr(client->answer, "\r\nretry-after: ") != NULL;
    *end = '\r';
    size_t whole = (size_t)(end + 4 - client->answer) + (length ? strtoul(length + 18, NULL, 10) : 0);
    if (client->got < whole)
        return;
    client->got = 0;
    answered(client, atoi(client->answer + 9), retry_after);
    if (close_it)
        hang_up(client);
}

static void hear(struct client *client)
{
    ssize_t n = recv(client->socket, client->answer + client->got, sizeof(client->answer) - 1 - client->got,
                     MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        client->got += (size_t)n;
        look(client);
        return;
    }
    hang_up(client); /* resting: the server's idle limit */
    if (client->asked)
        answered(client, 0, false);
}

static void offer(int64_t rate, int64_t begun_us, int64_t *offered)
{
    int64_t now = now_us();
    if (rate == 0) {
        while (n_rest > 0 && now < until_us)
            ask(rest[--n_rest], now);
        return;
    }
    for (; *offered < (now - begun_us) * rate / 1000000 && begun_us + *offered * 1000000 / rate < until_us;
         ++*offered) {
        if (due_end - due_begin == MOST_WAITING)
            unsent++;
        else
            due[due_end++ % MOST_WAITING] = begun_us + *offered * 1000000 / rate;
    }
    while (n_rest > 0 && due_begin < due_end)
        ask(rest[--n_rest], due[due_begin++ % MOST_WAITING]);
}

static void run(int64_t rate, int64_t seconds)
{
    struct epoll_event events[256];
    int64_t begun_us = now_us(), offered = 0;
    const size_t n = n_rest;
    until_us = begun_us + seconds * 1000000;
    while (now_us() < until_us + REST_MS * 1000) {
        offer(rate, begun_us, &offered);
        if (now_us() >= until_us && n_rest == n && due_begin == due_end)
            break;
        int ready = epoll_wait(poller, events, 256, 1);
        for (int i = 0; i < ready; i++)
            hear(events[i].data.ptr);
    }
    unanswered = n - n_rest;
    unsent += due_end - due_begin;
}

static int compare(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double percentile(int kind, double part)
{
    if (counts[kind] == 0)
        return 0;
    qsort(times_ms[kind], counts[kind], sizeof(float), compare);
    return (double)times_ms[kind][(size_t)((double)(counts[kind] - 1) * part)];
}

static void read_bodies(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    if (!file)
        fail(path);
    for (ssize_t len; (len = getline(&line, &room, file)) > 0;) {
        line[len - 1] = line[len - 1] == '\n' ? 0 : line[len - 1];
        bodies = realloc(bodies, (n_bodies + 1) * sizeof(*bodies));
        bodies[n_bodies++] = strdup(line);
    }
    free(line);
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc != 6 || atoi(argv[2]) < 1 || atoi(argv[2]) > MOST_CONNECTIONS) {
        fprintf(stderr, "usage: bench-offer PORT CONNECTIONS RATE SECONDS FILE\n");
        return 2;
    }
    to.sin_port = htons((uint16_t)atoi(argv[1]));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poller = epoll_create1(0);
    read_bodies(argv[5]);
    for (int i = 0; i < KINDS; i++)
        times_ms[i] = malloc(MOST_ANSWERS * sizeof(float));
    for (int i = 0; i < atoi(argv[2]); i++) {
        clients[i].socket = -1;
        rest[n_rest++] = &clients[i];
    }
    run(atoll(argv[3]), atoll(argv[4]));
    printf("RESULT good=%.1f ok=%zu shed=%zu other=%zu unanswered=%zu unsent=%zu without_retry_after=%zu",
           (double)good / atof(argv[4]), counts[OK], counts[SHED], other, unanswered, unsent,
           without_retry_after);
    printf(" ok_p50=%.1f ok_p99=%.1f shed_p50=%.1f shed_p99=%.1f\n", percentile(OK, 0.5),
           percentile(OK, 0.99), percentile(SHED, 0.5), percentile(SHED, 0.99));
    return 0;
}
