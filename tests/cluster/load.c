/* A constant rate of reads and writes, whatever becomes of them, and a record of each.
 *
 * usage: cluster-load ADDRESS PORT CONNECTIONS RATE SECONDS TOKENS RECORD
 *
 * TOKENS has a token a line, used in turn. One request in ten creates a business named by its number, the
 * rest read one that is there. RECORD gets a line for each: when it was due and how long it took from then
 * (ms, CLOCK_MONOTONIC), status (0: the connection broke, -1: no answer at all), R or W, number. Nothing is
 * sent twice. SIGTERM: no new ones, what is under way is waited for. */
#define _GNU_SOURCE /* strcasestr */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 1024, MOST_TOKENS = 4096, REST_MS = 12000, WRITE_EVERY = 10, READS_AMONG = 3 };

struct record {
    int64_t due_us;
    int32_t took_us;
    int16_t status;
    bool write;
};

struct client {
    int socket;    /* -1: none */
    bool asked;    /* an answer is due */
    bool sent;     /* the request has gone out */
    size_t number; /* of the request under way */
    char request[2048];
    size_t request_len;
    size_t got;
    char answer[8192];
};

static struct client clients[MOST_CONNECTIONS];
static struct client *rest[MOST_CONNECTIONS]; /* those who may ask */
static size_t n_rest;
static struct sockaddr_in to = {.sin_family = AF_INET};
static int poller;
static char *tokens[MOST_TOKENS];
static size_t n_tokens;
static struct record *records;
static size_t n_records, next_record; /* offered; begun */
static volatile sig_atomic_t enough;  /* somebody wants no more */

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

static void hang_up(struct client *client)
{
    if (client->socket >= 0)
        close(client->socket);
    client->socket = -1;
    client->got = 0;
}

static void answered(struct client *client, int status)
{
    struct record *record = &records[client->number];
    record->took_us = (int32_t)(now_us() - record->due_us);
    record->status = (int16_t)status;
    client->asked = false;
    rest[n_rest++] = client;
}

static bool dial(struct client *client)
{
    int one = 1;
    client->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->socket < 0)
        fail("cluster-load: socket");
    setsockopt(client->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = client};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, client->socket, &event) != 0)
        fail("cluster-load: epoll");
    return connect(client->socket, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS;
}

static void send_it(struct client *client)
{
    ssize_t n = send(client->socket, client->request, client->request_len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
        return; /* when it is connected */
    if (n != (ssize_t)client->request_len) {
        hang_up(client);
        answered(client, 0);
        return;
    }
    client->sent = true;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(poller, EPOLL_CTL_MOD, client->socket, &event);
}

static void ask(struct client *client, size_t number)
{
    const char *token = tokens[number % n_tokens];
    char body[128] = "";
    bool write = records[number].write;
    int n =
        write ? snprintf(body, sizeof(body),
                         "{\"business\":{\"name\":\"load-%zu\",\"description\":\"d\",\"tag\":\"t\"}}", number)
              : 0;
    client->request_len = (size_t)snprintf(
        client->request, sizeof(client->request),
        "%s /api/businesses%s%zu HTTP/1.1\r\nHost: busi\r\nAuthorization: Bearer %s\r\n"
        "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        write ? "POST" : "GET", write ? "?" : "/", write ? number : 1 + number % READS_AMONG, token, n, body);
    client->number = number;
    client->asked = true;
    client->sent = false;
    if (client->socket < 0 && !dial(client)) {
        hang_up(client);
        answered(client, 0);
        return;
    }
    send_it(client);
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
    *end = '\r';
    size_t whole = (size_t)(end + 4 - client->answer) + (length ? strtoul(length + 18, NULL, 10) : 0);
    if (client->got < whole)
        return;
    client->got = 0;
    int status = atoi(client->answer + 9);
    if (close_it)
        hang_up(client);
    answered(client, status);
}

static void hear(struct client *client, uint32_t events)
{
    if (client->socket < 0)
        return;
    if (client->asked && !client->sent && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        send_it(client);
    if (client->socket < 0 || !(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        return;
    ssize_t n = recv(client->socket, client->answer + client->got, sizeof(client->answer) - 1 - client->got,
                     MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        client->got += (size_t)n;
        look(client);
        return;
    }
    bool asked = client->asked;
    hang_up(client); /* resting: the server's idle limit */
    if (asked)
        answered(client, 0);
}

static void on_term(int signal)
{
    (void)signal;
    enough = 1;
}

static void run(int64_t rate, size_t total)
{
    struct epoll_event events[256];
    const int64_t begun_us = now_us();
    const size_t n = n_rest;
    int64_t end_us = begun_us + (int64_t)total * 1000000 / rate;
    while (now_us() < end_us + REST_MS * 1000) {
        if (enough && n_records < total) {
            total = n_records;
            end_us = now_us();
        }
        for (; n_records < total && begun_us + (int64_t)n_records * 1000000 / rate <= now_us(); n_records++)
            records[n_records] = (struct record){.due_us = begun_us + (int64_t)n_records * 1000000 / rate,
                                                 .status = -1,
                                                 .write = n_records % WRITE_EVERY == 0};
        while (n_rest > 0 && next_record < n_records)
            ask(rest[--n_rest], next_record++);
        if (next_record == total && n_rest == n)
            break;
        int ready = epoll_wait(poller, events, 256, 1);
        for (int i = 0; i < ready; i++)
            hear(events[i].data.ptr, events[i].events);
    }
}

static void read_tokens(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[2048];
    if (!file)
        fail(path);
    while (n_tokens < MOST_TOKENS && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        if (!*line || strlen(line) > 1500)
            fail("cluster-load: a token");
        tokens[n_tokens++] = strdup(line);
    }
    fclose(file);
    if (n_tokens == 0)
        fail("cluster-load: no token");
}

static void write_records(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        fail(path);
    for (size_t i = 0; i < n_records; i++)
        fprintf(file, "%.3f %.3f %d %c %zu\n", (double)records[i].due_us / 1000,
                (double)records[i].took_us / 1000, records[i].status, records[i].write ? 'W' : 'R', i);
    if (fclose(file) != 0)
        fail(path);
}

int main(int argc, char **argv)
{
    if (argc != 8 || atoi(argv[3]) < 1 || atoi(argv[3]) > MOST_CONNECTIONS || atoll(argv[4]) < 1) {
        fprintf(stderr, "usage: cluster-load ADDRESS PORT CONNECTIONS RATE SECONDS TOKENS RECORD\n");
        return 2;
    }
    to.sin_port = htons((uint16_t)atoi(argv[2]));
    if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        fail(argv[1]);
    poller = epoll_create1(EPOLL_CLOEXEC);
    read_tokens(argv[6]);
    signal(SIGTERM, on_term);
    size_t total = (size_t)(atoll(argv[4]) * atoll(argv[5]));
    records = calloc(total, sizeof(*records));
    if (!records)
        fail("cluster-load: memory");
    for (int i = 0; i < atoi(argv[3]); i++) {
        clients[i].socket = -1;
        rest[n_rest++] = &clients[i];
    }
    run(atoll(argv[4]), total);
    write_records(argv[7]);
    return 0;
}
