#include "rpc/link.h"
#include "base/memory.h"
#include "rpc/context.h"
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum {
    HEARTBEAT_MS = 500,
    HEARTBEAT_TIMEOUT_MS = 1500, /* a frozen peer is found after about 2 s */
    HANDSHAKE_MS = 2000,
    CONNECT_MS = 2000,
    UNREAD_MS = 5000, /* heartbeats wait behind what a peer does not read; TCP itself must notice */
    RECONNECT_MS = 100,
    RECONNECT_MAX_MS = 500, /* a restarted worker is back at once */
    CURVE_OVERHEAD = 64,    /* MAXMSGSIZE counts the encrypted frame */
    BACKLOG = 512
};

static_assert(sizeof(struct busi_frame) == sizeof(zmq_msg_t));

static zmq_msg_t *msg(struct busi_frame *frame)
{
    return (zmq_msg_t *)(void *)frame->opaque;
}

void busi_frame_init(struct busi_frame *frame)
{
    zmq_msg_init(msg(frame));
}

/* libzmq has copied (or dropped) the bytes; hint is how many they are. Any thread. */
static void wipe_sent(void *data, void *hint)
{
    struct busi_buf buf = {.ptr = data, .len = (size_t)hint};
    busi_buf_fini(&buf);
}

static void wipe_noted(void *data, void *hint)
{
    struct busi_frame_note *note = hint;
    wipe_sent(data, (void *)note->len);
    note->done(note);
}

bool busi_frame_take(struct busi_frame *frame, struct busi_buf *buf, struct busi_frame_note *note)
{
    if (note)
        note->len = buf->len;
    if (!buf->ptr || zmq_msg_init_data(msg(frame), buf->ptr, buf->len, note ? wipe_noted : wipe_sent,
                                       note ? (void *)note : (void *)buf->len) != 0) {
        if (buf->ptr)
            busi_memory_refused();
        zmq_msg_init(msg(frame));
        return false;
    }
    busi_buf_init(buf, buf->most);
    return true;
}

struct busi_str busi_frame_bytes(struct busi_frame *frame)
{
    return (struct busi_str){zmq_msg_data(msg(frame)), zmq_msg_size(msg(frame))};
}

struct busi_str busi_frame_sender(struct busi_frame *frame)
{
    return busi_str_of(zmq_msg_gets(msg(frame), "User-Id"));
}

void busi_frame_move(struct busi_frame *to, struct busi_frame *from)
{
    zmq_msg_move(msg(to), msg(from));
}

void busi_frame_wipe(struct busi_frame *frame)
{
    size_t size = zmq_msg_size(msg(frame));
    if (size > 0)
        explicit_bzero(zmq_msg_data(msg(frame)), size);
    zmq_msg_close(msg(frame));
    zmq_msg_init(msg(frame));
}

static bool set_int(void *link, int option, int value)
{
    return zmq_setsockopt(link, option, &value, sizeof value) == 0;
}

static bool set_options(void *link, enum busi_link_kind kind, int most_queued, size_t max_bytes)
{
    int64_t most = (int64_t)(max_bytes + CURVE_OVERHEAD);
    bool fine = zmq_setsockopt(link, ZMQ_MAXMSGSIZE, &most, sizeof most) == 0;
    fine = fine && set_int(link, ZMQ_LINGER, 0) && set_int(link, ZMQ_SNDHWM, most_queued) &&
           set_int(link, ZMQ_RCVHWM, most_queued) && set_int(link, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
           set_int(link, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
           set_int(link, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) && set_int(link, ZMQ_TCP_KEEPALIVE, 1) &&
           set_int(link, ZMQ_TCP_MAXRT, UNREAD_MS);
    /* a ZAP domain makes libzmq 4.3.4 refuse ZMTP 1 and 2, whose peers can abort the process (errno_assert in
     * zmtp_engine.cpp:446) by leaving early; also without CURVE */
    if (kind == BUSI_LINK_SERVER)
        return fine && zmq_setsockopt(link, ZMQ_ZAP_DOMAIN, "busi", 4) == 0 &&
               set_int(link, ZMQ_ROUTER_MANDATORY, 1) && set_int(link, ZMQ_BACKLOG, BACKLOG);
    return fine && set_int(link, ZMQ_IMMEDIATE, 1) && set_int(link, ZMQ_CONNECT_TIMEOUT, CONNECT_MS) &&
           set_int(link, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
           set_int(link, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
}

void *busi_link_open(enum busi_link_kind kind, int most_queued, size_t max_bytes)
{
    void *context = busi_zmq_context();
    void *link = context ? zmq_socket(context, kind == BUSI_LINK_SERVER ? ZMQ_ROUTER : ZMQ_DEALER) : NULL;
    if (link && !set_options(link, kind, most_queued, max_bytes))
        busi_link_close(&link);
    return link;
}

void busi_link_close(void **link)
{
    if (*link) {
        /* else the I/O thread may tell of the end of a connection when the monitor is already gone, and wait
         * for ever for somebody to take it */
        zmq_socket_monitor(*link, NULL, 0);
        set_int(*link, ZMQ_LINGER, 0);
        zmq_close(*link);
    }
    *link = NULL;
}

bool busi_link_connect(void *link, const char *endpoint)
{
    return zmq_connect(link, endpoint) == 0;
}

bool busi_link_bind(void *link, const char *endpoint, char *bound, size_t room)
{
    return zmq_bind(link, endpoint) == 0 && zmq_getsockopt(link, ZMQ_LAST_ENDPOINT, bound, &room) == 0;
}

static bool send_part(void *link, struct busi_frame *frame, int flags)
{
    int rc;
    do
        rc = zmq_msg_send(msg(frame), link, ZMQ_DONTWAIT | flags);
    while (rc < 0 && errno == EINTR);
    return rc >= 0;
}

bool busi_link_send(void *link, struct busi_frame *frame)
{
    return send_part(link, frame, 0);
}

bool busi_peer_same(const struct busi_peer *a, const struct busi_peer *b)
{
    return a->len == b->len && memcmp(a->id, b->id, a->len) == 0;
}

enum busi_sent busi_link_send_to(void *link, const struct busi_peer *peer, struct busi_frame *frame)
{
    int rc;
    do
        rc = zmq_send(link, peer->id, peer->len, ZMQ_DONTWAIT | ZMQ_SNDMORE);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return errno == EHOSTUNREACH ? BUSI_SENT_TO_NOBODY : BUSI_SENT_NOT;
    return send_part(link, frame, 0) ? BUSI_SENT : BUSI_SENT_NOT;
}

static bool receive_part(void *link, struct busi_frame *frame)
{
    int rc;
    do
        rc = zmq_msg_recv(msg(frame), link, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    return rc >= 0;
}

/* The rest of a message that has too many frames. */
static void drop_rest(void *link, struct busi_frame *frame)
{
    while (zmq_msg_more(msg(frame)) && receive_part(link, frame))
        ;
    busi_frame_wipe(frame);
}

enum busi_received busi_link_receive(void *link, struct busi_frame *frame)
{
    if (!receive_part(link, frame))
        return BUSI_RECEIVED_NOTHING;
    if (!zmq_msg_more(msg(frame)))
        return BUSI_RECEIVED;
    drop_rest(link, frame);
    return BUSI_RECEIVED_GARBAGE;
}

enum busi_received busi_link_receive_from(void *link, struct busi_peer *peer, struct busi_frame *frame)
{
    if (!receive_part(link, frame))
        return BUSI_RECEIVED_NOTHING;
    struct busi_str id = busi_frame_bytes(frame);
    bool fine = id.len > 0 && id.len <= sizeof peer->id && zmq_msg_more(msg(frame));
    if (fine) {
        peer->len = (uint8_t)id.len;
        memcpy(peer->id, id.ptr, id.len);
        fine = receive_part(link, frame) && !zmq_msg_more(msg(frame));
    }
    if (fine)
        return BUSI_RECEIVED;
    drop_rest(link, frame);
    return BUSI_RECEIVED_GARBAGE;
}

void *busi_link_monitor(void *link)
{
    static atomic_uint made; /* names of inproc endpoints, nothing more */
    char endpoint[48];
    snprintf(endpoint, sizeof endpoint, "inproc://busi-monitor-%u", atomic_fetch_add(&made, 1));
    /* not HANDSHAKE_FAILED_PROTOCOL: telling of it overwrites the errno by which libzmq 4.3.4 knows what to
     * do, so that it keeps a connection with a message that cannot be opened, reads no more of it, and aborts
     * when it goes before a heartbeat is due (stream_engine_base.cpp:331) */
    int events = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |
                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                 ZMQ_EVENT_CONNECT_RETRIED;
    if (zmq_socket_monitor(link, endpoint, events) != 0)
        return NULL;
    void *monitor = zmq_socket(busi_zmq_context(), ZMQ_PAIR);
    /* no high-water mark: the I/O thread would stand still when nobody reads */
    bool fine = monitor && set_int(monitor, ZMQ_RCVHWM, 0) && zmq_connect(monitor, endpoint) == 0;
    if (!fine)
        busi_link_close(&monitor);
    return monitor;
}

static enum busi_link_event event_of(uint16_t number)
{
    switch (number) {
    case ZMQ_EVENT_ACCEPTED:
        return BUSI_LINK_CAME;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return BUSI_LINK_UP;
    case ZMQ_EVENT_DISCONNECTED:
        return BUSI_LINK_DOWN;
    case ZMQ_EVENT_CONNECT_RETRIED:
        return BUSI_LINK_RETRIES;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return BUSI_LINK_REFUSED;
    default:
        return BUSI_LINK_OTHER;
    }
}

enum busi_link_event busi_link_event(void *monitor, int *fd)
{
    struct busi_frame frame;
    busi_frame_init(&frame);
    enum busi_link_event event = BUSI_LINK_QUIET;
    if (receive_part(monitor, &frame)) {
        uint16_t number = 0;
        struct busi_str bytes = busi_frame_bytes(&frame);
        if (bytes.len >= sizeof number)
            memcpy(&number, bytes.ptr, sizeof number);
        if (fd && bytes.len >= sizeof number + sizeof *fd)
            memcpy(fd, bytes.ptr + sizeof number, sizeof *fd);
        event = event_of(number);
        while (zmq_msg_more(msg(&frame)) && receive_part(monitor, &frame)) /* the address */
            ;
    }
    zmq_msg_close(msg(&frame));
    return event;
}

bool busi_link_wait(void *link, int ms)
{
    zmq_pollitem_t item = {.socket = link, .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, ms) > 0;
}
