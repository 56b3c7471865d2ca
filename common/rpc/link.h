/* A thin skin over libzmq's sockets and messages: every option of every socket is set here, received
 * messages are one frame each, sent and received bytes are wiped. A link belongs to one thread; frames may
 * be handed between threads. */
#pragma once
#include "base/buf.h"
#include <stdalign.h>

/* One message. Init before use, wipe after; moving is struct-free: busi_frame_move(). */
struct busi_frame {
    alignas(void *) unsigned char opaque[64]; /* zmq_msg_t */
};
void busi_frame_init(struct busi_frame *frame);
/* Who wants to know when libzmq is done with a frame's bytes: has copied them into a socket, or dropped them.
 */
struct busi_frame_note {
    size_t len;                                 /* of them */
    void (*done)(struct busi_frame_note *note); /* any thread */
};
/* Takes buf's memory (buf is then empty); it is wiped when libzmq is done with it, and note, which may be
 * NULL, is told. False: out of memory, buf is unchanged and nobody is told. */
[[nodiscard]] bool busi_frame_take(struct busi_frame *frame, struct busi_buf *buf,
                                   struct busi_frame_note *note);
struct busi_str busi_frame_bytes(struct busi_frame *frame);
/* The name of the certificate whose owner sent it; absent without CURVE. Lives as long as the frame. */
struct busi_str busi_frame_sender(struct busi_frame *frame);
void busi_frame_move(struct busi_frame *to, struct busi_frame *from);
/* Overwrites the bytes and releases them; the frame is empty then. */
void busi_frame_wipe(struct busi_frame *frame);

enum busi_link_kind { BUSI_LINK_CLIENT, BUSI_LINK_SERVER }; /* DEALER, ROUTER */
/* most_queued messages per peer and direction, frames of at most max_bytes. NULL: no more descriptors. The
 * result is the ZeroMQ socket itself, for busi_loop_socket() and busi_curve_*(). */
[[nodiscard]] void *busi_link_open(enum busi_link_kind kind, int most_queued, size_t max_bytes);
void busi_link_close(void **link); /* NULL is fine; unsent messages are dropped */
[[nodiscard]] bool busi_link_connect(void *link, const char *endpoint);
/* The endpoint really bound is written to bound. */
[[nodiscard]] bool busi_link_bind(void *link, const char *endpoint, char *bound, size_t room);

/* Never waits. True: frame is taken. False: no peer or its pipe is full, frame is unchanged. */
[[nodiscard]] bool busi_link_send(void *link, struct busi_frame *frame);

/* Which client of a server link. */
struct busi_peer {
    uint8_t len;
    char id[255]; /* ZeroMQ routing id, made up by the server unless the client set one */
};
bool busi_peer_same(const struct busi_peer *a, const struct busi_peer *b);
enum busi_sent {
    BUSI_SENT,
    BUSI_SENT_NOT,
    BUSI_SENT_TO_NOBODY
}; /* NOT: its pipe is full; NOBODY: it is gone */
[[nodiscard]] enum busi_sent busi_link_send_to(void *link, const struct busi_peer *peer,
                                               struct busi_frame *frame);

/* GARBAGE: a message of a wrong number of frames came and was dropped. Never waits. */
enum busi_received { BUSI_RECEIVED_NOTHING, BUSI_RECEIVED, BUSI_RECEIVED_GARBAGE };
enum busi_received busi_link_receive(void *link, struct busi_frame *frame);
enum busi_received busi_link_receive_from(void *link, struct busi_peer *peer, struct busi_frame *frame);

/* What happens to a link's connections, as a socket of its own. NULL: no more descriptors. Close the monitor
 * (busi_link_close) after the link. */
enum busi_link_event {
    BUSI_LINK_QUIET,   /* nothing more at present */
    BUSI_LINK_CAME,    /* somebody has been accepted, and has the handshake before him */
    BUSI_LINK_UP,      /* a peer has passed the handshake */
    BUSI_LINK_DOWN,    /* a peer is gone, or went during the handshake */
    BUSI_LINK_RETRIES, /* it is dialled again; never after it broke the protocol */
    BUSI_LINK_REFUSED, /* a peer failed the handshake */
    BUSI_LINK_OTHER
};
[[nodiscard]] void *busi_link_monitor(void *link);
/* fd: of CAME and DOWN, the connection's descriptor; may be NULL. */
enum busi_link_event busi_link_event(void *monitor, int *fd);
/* Waits at most ms for the monitor (or link) to become readable; for self-tests and tests, not for loops. */
bool busi_link_wait(void *link, int ms);
