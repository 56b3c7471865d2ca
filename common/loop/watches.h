/* What the loop waits for: file descriptors and ZeroMQ sockets. Private to common/loop; others use loop.h.
 * Loop thread only. */
#pragma once
#include "loop/loop.h"
#include <poll.h>
#include <stddef.h>

struct busi_watch {
    struct busi_watches *watches; /* where it lives */
    busi_watch_fn *fn;            /* what to run; NULL once freed */
    void *arg;                    /* for fn */
    void *socket;                 /* ZeroMQ socket, borrowed; NULL: a file descriptor */
    size_t index;                 /* place in both arrays */
    bool ready;                   /* socket: known to be readable */
};

struct busi_watches {
    struct busi_watch **at; /* owned */
    struct pollfd *polls;   /* parallel to at; fd -1 once freed */
    size_t n;               /* in use */
    size_t room;            /* of both arrays */
    bool freed;             /* some wait to be removed: indices stay valid during a turn */
};

void busi_watches_init(struct busi_watches *watches);
void busi_watches_fini(struct busi_watches *watches);
/* socket NULL: a file descriptor. NULL: out of memory. */
[[nodiscard]] struct busi_watch *busi_watches_add(struct busi_watches *watches, int fd, void *socket,
                                                  unsigned events, busi_watch_fn *fn, void *arg);
/* ZMQ_FD of a socket; -1 on error. */
int busi_watches_socket_fd(void *socket);
/* Before each poll: forgets the freed ones and asks every socket. True: some socket is readable, do not
 * sleep. */
bool busi_watches_settle(struct busi_watches *watches);
void busi_watches_poll(struct busi_watches *watches, int timeout_ms);
/* After the poll: what to tell the watch at index; 0 nothing. */
unsigned busi_watches_events(struct busi_watches *watches, size_t index);
