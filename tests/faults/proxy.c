/* fault-proxy: TCP links on one machine that a test makes slow, thin, wrong or broken, by words at a Unix
 * socket. */
#include "proxy_link.h"
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONTROLLERS = 16, MOST_LINE = 512, MOST_WORDS = 16, MOST_EVENTS = 256, LONGEST_WAIT_MS = 1000 };

static const char help[] =
    "usage: fault-proxy --control PATH [--seed N] [--until-eof]\n"
    "\n"
    "Carries TCP connections on and spoils them as it is told at the Unix socket PATH: a line a command, a "
    "line an answer,\n"
    "which begins with 'ok' or 'error'. --seed: of jitter and of the bits that are flipped. --until-eof: "
    "ends when standard\n"
    "input does, so that no proxy outlives who started it.\n"
    "\n"
    "  open NAME [ADDRESS:]PORT ADDRESS:PORT  listen on PORT (0: any, the answer says which) of 127.0.0.1 or "
    "another address,\n"
    "      and carry on to the other\n"
    "  set NAME up|down|both FAULT=VALUE...  up is from who connects. All connections, those that are there "
    "from now on:\n"
    "      delay=MS jitter=MS       later, by up to so much more; nothing overtakes\n"
    "      rate=BYTES               a second, for each connection\n"
    "      drop=0|1                 a black hole: what comes is swallowed, ends too. A connection that lost "
    "bytes by it is\n"
    "                               reset at its next word when this is over\n"
    "      stall=0|1                nothing moves; it will when this is over\n"
    "      big=BYTES                what comes in a piece of so many bytes or more is stuck, with all behind "
    "it, "
    "until this is over\n"
    "      cut=BYTES rst=BYTES      so many more bytes, then closed; then reset\n"
    "      halfclose=BYTES          so many more bytes, then the end, and this direction is swallowed\n"
    "      corrupt=BYTES            after each so many bytes a bit is flipped\n"
    "  clear NAME                   no faults; connections that live go on\n"
    "  reset NAME                   reset every connection now\n"
    "  refuse NAME 0|1              new connections are refused\n"
    "  stats NAME                   connections=, accepted=, up=, down= (bytes), hits= (what happened after "
    "so many bytes)\n";

struct controller {
    struct watch watch; /* socket -1: free */
    char line[MOST_LINE];
    size_t len;
};

static int poller;
static struct controller controllers[MOST_CONTROLLERS];
static volatile sig_atomic_t enough;

/* ---- what proxy_link.c needs, too ---- */

int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void watch_for(struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (events == watch->events)
        return;
    int what = !events ? EPOLL_CTL_DEL : watch->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(poller, what, watch->socket, &event) != 0)
        abort();
    watch->events = events;
}

/* ---- commands: NULL and an answer in `ok`, or why not ---- */

struct answer {
    char text[256];
};

static const char *whole_number(const char *word, long long most, long long *number)
{
    char *end;
    *number = strtoll(word, &end, 10);
    return end == word || *end || *number < 0 || *number > most ? "not a number that may be" : NULL;
}

/* [ADDRESS:]PORT; without an address it stays what it was. False: it is none. */
static bool place_of(char *word, struct sockaddr_in *place)
{
    long long port;
    char *colon = strchr(word, ':');
    if (colon)
        *colon = 0;
    if (whole_number(colon ? colon + 1 : word, 65535, &port) ||
        (colon && inet_pton(AF_INET, word, &place->sin_addr) != 1))
        return false;
    place->sin_port = htons((uint16_t)port);
    return true;
}

static const char *open_link(char **words, size_t n, struct answer *answer)
{
    const char *error = NULL;
    if (n != 4 || strlen(words[1]) > NAME_MAX_LEN || !strchr(words[3], ':'))
        return "open NAME [ADDRESS:]PORT ADDRESS:PORT";
    if (link_find(words[1]))
        return "there is one of this name";
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                       target = {.sin_family = AF_INET};
    if (!place_of(words[2], &here) || !place_of(words[3], &target) || target.sin_port == 0)
        return "not an address or a port";
    const struct link *link = link_open(words[1], &here, &target, &error);
    if (link)
        snprintf(answer->text, sizeof(answer->text), " %d", ntohs(link->here.sin_port));
    return error;
}

static const char *set_faults(struct link *link, char **words, size_t n)
{
    const char *error = n < 4 ? "set NAME up|down|both FAULT=VALUE..." : NULL;
    const bool both = !error && strcmp(words[2], "both") == 0, up = !error && strcmp(words[2], "up") == 0;
    if (!error && !both && !up && strcmp(words[2], "down") != 0)
        return "up, down or both";
    for (size_t i = 3; i < n && !error; i++) {
        char *value = strchr(words[i], '=');
        if (!value)
            return "FAULT=VALUE";
        *value++ = 0;
        if (both || up)
            error = link_set(link, UP, words[i], value);
        if (!error && !up)
            error = link_set(link, DOWN, words[i], value);
    }
    return error;
}

static const char *command(char **words, size_t n, struct answer *answer)
{
    if (n < 2)
        return "a command and the name of a link";
    if (strcmp(words[0], "open") == 0)
        return open_link(words, n, answer);
    struct link *link = link_find(words[1]);
    if (!link)
        return "no such link";
    if (strcmp(words[0], "set") == 0)
        return set_faults(link, words, n);
    if (strcmp(words[0], "refuse") == 0) {
        long long yes = 0;
        return n != 3 || whole_number(words[2], 1, &yes) ? "refuse NAME 0|1" : link_refuse(link, yes);
    }
    if (n != 2)
        return "too many words";
    if (strcmp(words[0], "clear") == 0)
        link_clear(link);
    else if (strcmp(words[0], "reset") == 0)
        link_reset(link);
    else if (strcmp(words[0], "stats") == 0)
        snprintf(answer->text, sizeof(answer->text),
                 " connections=%zu accepted=%llu up=%llu down=%llu hits=%llu", link_connections(link),
                 (unsigned long long)link->accepted, (unsigned long long)link->bytes[UP],
                 (unsigned long long)link->bytes[DOWN], (unsigned long long)link->hits);
    else
        return "no such command";
    return NULL;
}

/* ---- who gives them ---- */

static void dismiss(struct controller *controller)
{
    watch_for(&controller->watch, 0);
    close(controller->watch.socket);
    controller->watch.socket = -1;
}

static void obey(struct controller *controller, char *line)
{
    char *words[MOST_WORDS], *rest = NULL;
    size_t n = 0;
    for (char *word = strtok_r(line, " \r", &rest); word && n < MOST_WORDS;
         word = strtok_r(NULL, " \r", &rest))
        words[n++] = word;
    struct answer answer = {0};
    const char *error = command(words, n, &answer);
    char text[sizeof(answer) + 16];
    int len = error ? snprintf(text, sizeof(text), "error %s\n", error)
                    : snprintf(text, sizeof(text), "ok%s\n", answer.text);
    if (send(controller->watch.socket, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL) != len)
        dismiss(controller);
}

static void on_controller(struct watch *watch, uint32_t events)
{
    struct controller *controller = (struct controller *)watch;
    (void)events;
    if (watch->socket < 0)
        return;
    ssize_t n = recv(watch->socket, controller->line + controller->len,
                     sizeof(controller->line) - controller->len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    controller->len += n > 0 ? (size_t)n : 0;
    for (char *end; watch->socket >= 0 && (end = memchr(controller->line, '\n', controller->len));) {
        const size_t used = (size_t)(end + 1 - controller->line);
        *end = 0;
        obey(controller, controller->line);
        memmove(controller->line, end + 1, controller->len -= used);
    }
    if (watch->socket >= 0 && (n <= 0 || controller->len == sizeof(controller->line)))
        dismiss(controller);
}

static void on_control(struct watch *watch, uint32_t events)
{
    (void)events;
    int near = accept(watch->socket, NULL, NULL);
    struct controller *controller = controllers;
    while (controller < controllers + MOST_CONTROLLERS && controller->watch.socket >= 0)
        controller++;
    if (near < 0)
        return;
    if (controller == controllers + MOST_CONTROLLERS) {
        close(near);
        return;
    }
    *controller = (struct controller){.watch = {.on = on_controller, .socket = near}};
    watch_for(&controller->watch, EPOLLIN);
}

static void on_stdin(struct watch *watch, uint32_t events)
{
    char rest[64];
    (void)events;
    if (read(watch->socket, rest, sizeof(rest)) <= 0)
        enough = 1;
}

static void on_signal(int signal)
{
    (void)signal;
    enough = 1;
}

/* ---- the program ---- */

static void fail(const char *what)
{
    fprintf(stderr, "fault-proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void run(void)
{
    struct epoll_event events[MOST_EVENTS];
    while (!enough) {
        const int64_t wake_us = links_move();
        int64_t wait_ms = wake_us == INT64_MAX ? LONGEST_WAIT_MS : (wake_us - now_us() + 999) / 1000;
        wait_ms = wait_ms < 0 ? 0 : wait_ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : wait_ms;
        const int n = epoll_wait(poller, events, MOST_EVENTS, (int)wait_ms);
        for (int i = 0; i < n; i++) {
            struct watch *watch = events[i].data.ptr;
            watch->on(watch, events[i].events);
        }
    }
}

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(at.sun_path)) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(at.sun_path, path);
    unlink(path);
    int control = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (control < 0 || bind(control, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(control, MOST_CONTROLLERS) != 0)
        fail(path);
    return control;
}

static void prepare(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    errno = EMFILE; /* of too low a maximum */
    if (files.rlim_max < 3 * MOST_CONNECTIONS || setrlimit(RLIMIT_NOFILE, &files) != 0)
        fail("RLIMIT_NOFILE");
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    for (size_t i = 0; i < MOST_CONTROLLERS; i++)
        controllers[i].watch.socket = -1;
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        fail("epoll");
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    bool until_eof = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--control") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            srand((unsigned)strtoul(argv[++i], NULL, 10));
        else if (strcmp(argv[i], "--until-eof") == 0)
            until_eof = true;
        else {
            const bool asked = strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0;
            fputs(help, asked ? stdout : stderr);
            return asked ? 0 : 2;
        }
    }
    if (!path) {
        fputs(help, stderr);
        return 2;
    }
    prepare();
    struct watch control = {.on = on_control, .socket = listen_at(path)},
                 input = {.on = on_stdin, .socket = STDIN_FILENO};
    watch_for(&control, EPOLLIN);
    if (until_eof)
        watch_for(&input, EPOLLIN);
    run();
    links_close();
    for (size_t i = 0; i < MOST_CONTROLLERS; i++)
        if (controllers[i].watch.socket >= 0)
            close(controllers[i].watch.socket);
    close(control.socket);
    close(poller);
    unlink(path);
    return 0;
}
