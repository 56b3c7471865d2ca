#define _GNU_SOURCE /* accept4 */
#include "proxy_link.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 64 << 10, MOST_MS = 3600 * 1000 };

/* Bytes that arrived together, and when they may go on. */
struct chunk {
    struct chunk *next;
    int64_t due_us;
    size_t len;
    size_t sent;
    uint8_t bytes[];
};

/* One direction of a connection. */
struct pipe {
    struct chunk *first;
    struct chunk *last;
    size_t held;           /* memory of the chunks */
    int64_t due_us;        /* of the newest chunk */
    int64_t free_us;       /* the rate allows the next bytes then */
    int64_t after[EVENTS]; /* bytes to go until it happens, or NEVER */
    bool ended;            /* the sender has said its last */
    bool holed;            /* something was swallowed: whatever came later would be wrong */
    bool swallow;          /* nothing goes on any more */
    bool shut;             /* the receiver knows of the end */
    bool blocked;          /* the receiver's buffers are full */
};

struct end {
    struct watch watch;
    struct connection *connection;
};

struct connection {
    struct connection *next;
    struct link *link;
    struct end ends[DIRECTIONS];   /* [UP]: who connected; [DOWN]: the target */
    struct pipe pipes[DIRECTIONS]; /* [UP] reads ends[UP] and writes ends[DOWN] */
    bool connecting;               /* to the target */
    bool dead;                     /* buried when this round is over */
};

static struct link *links;
static size_t n_connections;

static struct faults *faults_of(struct connection *connection, enum direction direction)
{
    return &connection->link->faults[direction];
}

/* ---- an end of it ---- */

static void forget(struct pipe *pipe)
{
    while (pipe->first) {
        struct chunk *chunk = pipe->first;
        pipe->first = chunk->next;
        free(chunk);
    }
    pipe->last = NULL;
    pipe->held = 0;
}

static void hang_up(struct connection *connection, bool reset)
{
    static uint8_t rest[READ_BYTES];
    struct linger at_once = {.l_onoff = 1};
    if (connection->dead)
        return;
    connection->dead = true;
    for (int i = 0; i < DIRECTIONS; i++) {
        struct watch *watch = &connection->ends[i].watch;
        forget(&connection->pipes[i]);
        watch_for(watch, 0);
        if (reset)
            setsockopt(watch->socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        else /* what is unread would make a reset of it */
            while (recv(watch->socket, rest, sizeof(rest), MSG_DONTWAIT) > 0)
                ;
        close(watch->socket);
    }
}

/* A side is gone without a word. Where words of it are swallowed, so is this. */
static void lose(struct connection *connection, enum direction side)
{
    struct pipe *from = &connection->pipes[side], *to = &connection->pipes[!side];
    if (!faults_of(connection, side)->drop) {
        hang_up(connection, true);
        return;
    }
    from->ended = from->holed = true;
    to->swallow = true;
    forget(to);
}

static void happen(struct connection *connection, enum direction direction, enum event event)
{
    struct pipe *pipe = &connection->pipes[direction];
    connection->link->hits++;
    pipe->after[event] = NEVER;
    if (event == HALFCLOSE) {
        forget(pipe);
        pipe->swallow = pipe->shut = true;
        shutdown(connection->ends[!direction].watch.socket, SHUT_WR);
    } else
        hang_up(connection, event == RST);
}

/* ---- bytes on their way ---- */

static void flip(struct connection *connection, enum direction direction, uint8_t *bytes, size_t len)
{
    const int64_t every = faults_of(connection, direction)->after[CORRUPT];
    int64_t *left = &connection->pipes[direction].after[CORRUPT];
    for (size_t i = 0; i < len && *left != NEVER; i++)
        if (--*left == 0) {
            bytes[i] ^= (uint8_t)(1 << (rand() & 7));
            connection->link->hits++;
            *left = every;
        }
}

static void hold(struct connection *connection, enum direction direction, const uint8_t *bytes, size_t len)
{
    const struct faults *faults = faults_of(connection, direction);
    struct pipe *pipe = &connection->pipes[direction];
    struct chunk *chunk = malloc(sizeof(*chunk) + len);
    if (!chunk)
        abort();
    int64_t due_us = now_us() + faults->delay_ms * 1000;
    if (faults->jitter_ms)
        due_us += rand() % (faults->jitter_ms * 1000 + 1);
    pipe->due_us = due_us > pipe->due_us ? due_us : pipe->due_us;
    *chunk = (struct chunk){.due_us = pipe->due_us, .len = len};
    memcpy(chunk->bytes, bytes, len);
    if (pipe->first)
        pipe->last->next = chunk;
    else
        pipe->first = chunk;
    pipe->last = chunk;
    pipe->held += sizeof(*chunk) + len;
    connection->link->hits += faults->big && len >= (size_t)faults->big;
    flip(connection, direction, chunk->bytes, len);
}

static void hear(struct connection *connection, enum direction side)
{
    static uint8_t bytes[READ_BYTES];
    struct pipe *pipe = &connection->pipes[side];
    ssize_t n = recv(connection->ends[side].watch.socket, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN)
        lose(connection, side);
    if (n < 0)
        return;
    if (faults_of(connection, side)->drop)
        pipe->holed = true;
    else if (pipe->holed)
        hang_up(connection, true); /* as from a host that knows nothing of it */
    else if (n > 0 && !pipe->swallow)
        hold(connection, side, bytes, (size_t)n);
    if (n == 0)
        pipe->ended = true;
}

/* How many bytes of `chunk` may go now; 0 and `wake_us`: later. */
static size_t allowed(const struct pipe *pipe, const struct faults *faults, const struct chunk *chunk,
                      int64_t *wake_us)
{
    const int64_t due_us = faults->rate && pipe->free_us > chunk->due_us ? pipe->free_us : chunk->due_us;
    int64_t n = (int64_t)(chunk->len - chunk->sent);
    if (due_us > now_us()) {
        *wake_us = due_us < *wake_us ? due_us : *wake_us;
        return 0;
    }
    if (faults->rate && n > faults->rate / 20 + 1)
        n = faults->rate / 20 + 1;
    for (int event = 0; event < CORRUPT; event++)
        if (pipe->after[event] != NEVER && n > pipe->after[event])
            n = pipe->after[event];
    return (size_t)n;
}

static void moved(struct connection *connection, enum direction direction, size_t n)
{
    const struct faults *faults = faults_of(connection, direction);
    struct pipe *pipe = &connection->pipes[direction];
    struct chunk *chunk = pipe->first;
    connection->link->bytes[direction] += n;
    if (faults->rate) {
        const int64_t now = now_us();
        pipe->free_us = (pipe->free_us > now ? pipe->free_us : now) + (int64_t)n * 1000000 / faults->rate;
    }
    for (int event = 0; event < CORRUPT; event++)
        if (pipe->after[event] != NEVER)
            pipe->after[event] -= (int64_t)n;
    chunk->sent += n;
    if (chunk->sent < chunk->len)
        return;
    pipe->first = chunk->next;
    pipe->held -= sizeof(*chunk) + chunk->len;
    free(chunk);
}

/* Sends on a piece of what is due. False: there is none. */
static bool move_some(struct connection *connection, enum direction direction, int64_t *wake_us)
{
    struct pipe *pipe = &connection->pipes[direction];
    for (int event = 0; event < CORRUPT && !connection->dead; event++)
        if (pipe->after[event] == 0)
            happen(connection, direction, (enum event)event);
    if (connection->dead || !pipe->first)
        return false;
    size_t n = allowed(pipe, faults_of(connection, direction), pipe->first, wake_us);
    if (n == 0)
        return false;
    ssize_t sent = send(connection->ends[!direction].watch.socket, pipe->first->bytes + pipe->first->sent, n,
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    pipe->blocked = sent < 0 && errno == EAGAIN;
    if (sent < 0 && !pipe->blocked)
        lose(connection, !direction);
    if (sent < 0)
        return false;
    moved(connection, direction, (size_t)sent);
    return true;
}

/* What is lost for its size comes again and is lost again, and what is behind it is not heard before it. */
static bool stuck(const struct faults *faults, const struct pipe *pipe)
{
    return faults->stall || (faults->big && pipe->first && pipe->first->len >= (size_t)faults->big);
}

static void move(struct connection *connection, enum direction direction, int64_t *wake_us)
{
    const struct faults *faults = faults_of(connection, direction);
    struct pipe *pipe = &connection->pipes[direction];
    if (connection->connecting)
        return;
    while (!stuck(faults, pipe) && move_some(connection, direction, wake_us))
        ;
    if (connection->dead || faults->stall || !pipe->ended || pipe->first || faults->drop)
        return;
    if (pipe->holed)
        hang_up(connection, true);
    else if (!pipe->shut) {
        shutdown(connection->ends[!direction].watch.socket, SHUT_WR);
        pipe->shut = true;
    }
}

static void watch_ends(struct connection *connection)
{
    for (int side = 0; side < DIRECTIONS; side++) {
        const struct pipe *from = &connection->pipes[side], *to = &connection->pipes[!side];
        const bool waits = side == DOWN && connection->connecting;
        const bool reads =
            !waits && !from->ended && !faults_of(connection, side)->stall && from->held < MOST_HELD;
        watch_for(&connection->ends[side].watch,
                  (reads ? EPOLLIN : 0) | (waits || to->blocked ? EPOLLOUT : 0));
    }
}

/* ---- connections ---- */

static void on_end(struct watch *watch, uint32_t events)
{
    struct end *end = (struct end *)watch;
    struct connection *connection = end->connection;
    const enum direction side = end == &connection->ends[UP] ? UP : DOWN;
    int error = 0;
    socklen_t len = sizeof(error);
    if (connection->dead)
        return;
    if (side == DOWN && connection->connecting) {
        getsockopt(watch->socket, SOL_SOCKET, SO_ERROR, &error, &len);
        connection->connecting = false;
        if (error)
            hang_up(connection, true);
        return;
    }
    connection->pipes[!side].blocked = false;
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        hear(connection, side);
}

/* An end of a connection; -1 and closed when it is none. */
static int prepared(int socket)
{
    int one = 1;
    if (socket >= 0)
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return socket;
}

static void on_listener(struct watch *watch, uint32_t events)
{
    struct link *link = (struct link *)watch;
    (void)events;
    int near = prepared(accept4(watch->socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (near < 0)
        return;
    int far = prepared(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    struct connection *connection = n_connections < MOST_CONNECTIONS ? calloc(1, sizeof(*connection)) : NULL;
    if (far < 0 || !connection) {
        if (far >= 0)
            close(far);
        close(near);
        free(connection);
        return;
    }
    connection->link = link;
    const int sockets[DIRECTIONS] = {near, far};
    for (int i = 0; i < DIRECTIONS; i++) {
        connection->ends[i] =
            (struct end){.watch = {.on = on_end, .socket = sockets[i]}, .connection = connection};
        memcpy(connection->pipes[i].after, link->faults[i].after, sizeof(link->faults[i].after));
    }
    connection->next = link->connections;
    link->connections = connection;
    link->accepted++;
    n_connections++;
    connection->connecting = true;
    if (connect(far, (const struct sockaddr *)&link->target, sizeof(link->target)) != 0 &&
        errno != EINPROGRESS)
        hang_up(connection, true);
}

int64_t links_move(void)
{
    int64_t wake_us = INT64_MAX;
    for (struct link *link = links; link; link = link->next)
        for (struct connection **at = &link->connections; *at;) {
            struct connection *connection = *at;
            const struct pipe *pipes = connection->pipes;
            for (int i = 0; i < DIRECTIONS && !connection->dead; i++)
                move(connection, (enum direction)i, &wake_us);
            if (!connection->dead && pipes[UP].ended && pipes[DOWN].ended &&
                ((pipes[UP].shut && pipes[DOWN].shut) || (link->faults[UP].drop && link->faults[DOWN].drop)))
                hang_up(connection, false);
            if (!connection->dead) {
                watch_ends(connection);
                at = &connection->next;
                continue;
            }
            *at = connection->next;
            free(connection);
            n_connections--;
        }
    return wake_us;
}

/* ---- links ---- */

static const char *listen_on(struct link *link)
{
    int one = 1;
    socklen_t len = sizeof(link->here);
    int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0)
        return strerror(errno);
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(socket_, (const struct sockaddr *)&link->here, sizeof(link->here)) != 0 ||
        listen(socket_, 512) != 0 || getsockname(socket_, (struct sockaddr *)&link->here, &len) != 0) {
        const char *why = strerror(errno);
        close(socket_);
        return why;
    }
    link->listener = (struct watch){.on = on_listener, .socket = socket_};
    watch_for(&link->listener, EPOLLIN);
    return NULL;
}

static const struct faults none = {.after = {NEVER, NEVER, NEVER, NEVER}};

struct link *link_open(const char *name, const struct sockaddr_in *here, const struct sockaddr_in *target,
                       const char **error)
{
    struct link *link = calloc(1, sizeof(*link));
    if (!link)
        abort();
    strncpy(link->name, name, NAME_MAX_LEN);
    link->target = *target;
    link->here = *here;
    link->faults[UP] = link->faults[DOWN] = none;
    if ((*error = listen_on(link))) {
        free(link);
        return NULL;
    }
    link->next = links;
    return links = link;
}

struct link *link_find(const char *name)
{
    struct link *link = links;
    while (link && strcmp(link->name, name) != 0)
        link = link->next;
    return link;
}

void links_close(void)
{
    for (struct link *link = links; link; link = link->next) {
        for (struct connection *c = link->connections; c; c = c->next)
            hang_up(c, false);
        if (link->listener.socket >= 0)
            close(link->listener.socket);
    }
    (void)links_move();
    while (links) {
        struct link *link = links;
        links = link->next;
        free(link);
    }
}

const char *link_set(struct link *link, enum direction direction, const char *fault, const char *value)
{
    struct faults *faults = &link->faults[direction];
    const struct {
        const char *name;
        int64_t *where;
        int64_t least, most;
        enum event event; /* EVENTS: none */
    } rows[] = {{"delay", &faults->delay_ms, 0, MOST_MS, EVENTS},
                {"jitter", &faults->jitter_ms, 0, MOST_MS / 4, EVENTS},
                {"rate", &faults->rate, 0, INT32_MAX, EVENTS},
                {"drop", &faults->drop, 0, 1, EVENTS},
                {"stall", &faults->stall, 0, 1, EVENTS},
                {"big", &faults->big, 0, INT32_MAX, EVENTS},
                {"cut", &faults->after[CUT], 0, INT32_MAX, CUT},
                {"rst", &faults->after[RST], 0, INT32_MAX, RST},
                {"halfclose", &faults->after[HALFCLOSE], 0, INT32_MAX, HALFCLOSE},
                {"corrupt", &faults->after[CORRUPT], 1, INT32_MAX, CORRUPT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        char *end;
        if (strcmp(rows[i].name, fault) != 0)
            continue;
        const long long number = strtoll(value, &end, 10);
        if (end == value || *end || number < rows[i].least || number > rows[i].most)
            return "not a number that may be";
        *rows[i].where = number;
        for (struct connection *c = link->connections; c && rows[i].event != EVENTS; c = c->next)
            c->pipes[direction].after[rows[i].event] = number;
        return NULL;
    }
    return "no such fault";
}

void link_clear(struct link *link)
{
    link->faults[UP] = link->faults[DOWN] = none;
    for (struct connection *connection = link->connections; connection; connection = connection->next)
        for (int i = 0; i < DIRECTIONS; i++) {
            memcpy(connection->pipes[i].after, none.after, sizeof(none.after));
            connection->pipes[i].free_us = 0;
        }
}

void link_reset(struct link *link)
{
    for (struct connection *connection = link->connections; connection; connection = connection->next)
        hang_up(connection, true);
}

const char *link_refuse(struct link *link, bool refuse)
{
    if (refuse == (link->listener.socket < 0))
        return NULL;
    if (!refuse)
        return listen_on(link);
    watch_for(&link->listener, 0);
    close(link->listener.socket);
    link->listener.socket = -1;
    return NULL;
}

size_t link_connections(const struct link *link)
{
    size_t n = 0;
    for (const struct connection *connection = link->connections; connection; connection = connection->next)
        n += !connection->dead;
    return n;
}
