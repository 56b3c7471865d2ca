#include "loop/watches.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

enum { PAUSE_MS = 5 }; /* of a loop that cannot be woken */

void busi_watches_init(struct busi_watches *watches)
{
    *watches = (struct busi_watches){0};
}

void busi_watches_fini(struct busi_watches *watches)
{
    for (size_t i = 0; i < watches->n; i++)
        free(watches->at[i]);
    free(watches->at);
    free(watches->polls);
    busi_watches_init(watches);
}

static bool grow(struct busi_watches *watches)
{
    size_t room = watches->room ? 2 * watches->room : 16;
    struct busi_watch **at = realloc(watches->at, room * sizeof(struct busi_watch *));
    if (!at)
        return false;
    watches->at = at;
    struct pollfd *polls = realloc(watches->polls, room * sizeof(*polls));
    if (!polls)
        return false;
    watches->polls = polls;
    watches->room = room;
    return true;
}

static short poll_events(unsigned events)
{
    return (short)((events & BUSI_READABLE ? POLLIN : 0) | (events & BUSI_WRITABLE ? POLLOUT : 0));
}

struct busi_watch *busi_watches_add(struct busi_watches *watches, int fd, void *socket, unsigned events,
                                    busi_watch_fn *fn, void *arg)
{
    if (watches->n == watches->room && !grow(watches))
        return NULL;
    struct busi_watch *watch = malloc(sizeof(*watch));
    if (!watch)
        return NULL;
    *watch =
        (struct busi_watch){.watches = watches, .fn = fn, .arg = arg, .socket = socket, .index = watches->n};
    watches->at[watches->n] = watch;
    watches->polls[watches->n] = (struct pollfd){.fd = fd, .events = poll_events(events)};
    watches->n++;
    return watch;
}

int busi_watches_socket_fd(void *socket)
{
    int fd = -1;
    size_t size = sizeof(fd);
    return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

void busi_watch_events(struct busi_watch *watch, unsigned events)
{
    assert(!watch->socket);
    watch->watches->polls[watch->index].events = poll_events(events);
}

void busi_watch_free(struct busi_watch **watch)
{
    if (!*watch)
        return;
    struct busi_watches *watches = (*watch)->watches;
    watches->polls[(*watch)->index] = (struct pollfd){.fd = -1};
    (*watch)->fn = NULL;
    (*watch)->ready = false;
    watches->freed = true;
    *watch = NULL;
}

static void remove_freed(struct busi_watches *watches)
{
    size_t kept = 0;
    for (size_t i = 0; i < watches->n; i++) {
        struct busi_watch *watch = watches->at[i];
        if (!watch->fn) {
            free(watch);
            continue;
        }
        watch->index = kept;
        watches->at[kept] = watch;
        watches->polls[kept++] = watches->polls[i];
    }
    watches->n = kept;
    watches->freed = false;
}

/* ZMQ_FD only says that the state may have changed since ZMQ_EVENTS was last asked, and asking (like every
 * send and receive) takes that signal away. */
static bool socket_readable(struct busi_watches *watches, struct busi_watch *watch)
{
    int events = 0, rc;
    size_t size = sizeof(events);
    do
        rc = zmq_getsockopt(watch->socket, ZMQ_EVENTS, &events, &size);
    while (rc != 0 && errno == EINTR);
    if (rc != 0) { /* the context is gone and its descriptor signals for ever: look no more */
        watches->polls[watch->index].fd = -1;
        return false;
    }
    return events & ZMQ_POLLIN;
}

bool busi_watches_settle(struct busi_watches *watches)
{
    if (watches->freed)
        remove_freed(watches);
    bool some = false;
    for (size_t i = 0; i < watches->n; i++) {
        struct busi_watch *watch = watches->at[i];
        if (watch->socket && watches->polls[i].fd >= 0)
            some |= watch->ready = socket_readable(watches, watch);
    }
    return some;
}

/* They are more than the process may have by now (EINVAL), or there is no memory for so many. */
static void poll_each(struct busi_watches *watches, int timeout_ms)
{
    bool some = false;
    for (size_t i = 0; i < watches->n; i++) {
        if (poll(&watches->polls[i], 1, 0) < 0)
            watches->polls[i].revents = 0;
        some |= watches->polls[i].revents != 0;
    }
    int pause_ms = timeout_ms < 0 || timeout_ms > PAUSE_MS ? PAUSE_MS : timeout_ms;
    if (!some && pause_ms > 0)
        nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000L}, NULL);
}

void busi_watches_poll(struct busi_watches *watches, int timeout_ms)
{
    if (poll(watches->polls, watches->n, timeout_ms) >= 0)
        return;
    if (errno != EINTR) {
        poll_each(watches, timeout_ms);
        return;
    }
    for (size_t i = 0; i < watches->n; i++) /* what it left there is not defined */
        watches->polls[i].revents = 0;
}

unsigned busi_watches_events(struct busi_watches *watches, size_t index)
{
    struct busi_watch *watch = watches->at[index];
    short revents = watches->polls[index].revents;
    if (!watch->fn)
        return 0;
    if (watch->socket) {
        bool readable = watch->ready || (revents && socket_readable(watches, watch));
        return readable ? BUSI_READABLE : 0;
    }
    revents &= watches->polls[index].events | POLLHUP | POLLERR | POLLNVAL; /* wishes may have changed */
    return (revents & POLLIN ? BUSI_READABLE : 0u) | (revents & POLLOUT ? BUSI_WRITABLE : 0u) |
           (revents & (POLLHUP | POLLERR | POLLNVAL) ? BUSI_HUNG_UP : 0u);
}
