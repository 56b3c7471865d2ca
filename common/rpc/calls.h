/* The calls a server works on, and the link their answers leave by: a pool of them, found by who asks under
 * which id. Loop thread only. Private to the RPC server. */
#pragma once
#include "loop/fiber.h"
#include "rpc/envelope.h"
#include "rpc/link.h"

struct busi_histogram;
struct busi_unread;

/* One method a server answers. */
struct busi_served_method {
    enum busi_method_id id;
    const struct busi_method *method;
    struct busi_str wire;             /* method->wire */
    busi_handler *handler;            /* on a fiber, with the service's state; NULL: answered at once */
    busi_handler *at_once;            /* what every service has; its first argument is the call itself */
    struct busi_histogram *histogram; /* NULL: out of memory at start */
};

/* One call from its frame to its reply. */
struct busi_served {
    struct busi_served *next;                /* among the unused ones, or of its bucket */
    struct busi_calls *calls;                /* whose it is */
    const struct busi_served_method *method; /* whom it asks for; the server's */
    struct busi_peer peer;                   /* who asks */
    struct busi_frame frame;                 /* the request; head and texts point into it */
    struct busi_request_head head;           /* of the request */
    int64_t began_us;                        /* when it was read */
    int64_t until_ms;                        /* when its budget ends */
    void *state;                             /* of its handler */
    size_t large;                            /* bytes it has of calls->large */
    /* while that runs */
    struct busi_fiber *fiber; /* on which; NULL: it is held */
    struct busi_call *call;   /* what it was given */
    bool unwanted;            /* nobody waits for the answer any more */
    bool cut;                 /* and its handler was told so */
};

enum { BUSI_CALL_BUCKETS = 256, BUSI_CALLS_LARGE_MOST = 64 * 1024 * 1024 };
struct busi_calls {
    void *link;                                     /* owned; NULL: closed, answers go nowhere */
    struct busi_served *unused;                     /* list; owned */
    struct busi_served *running[BUSI_CALL_BUCKETS]; /* those with a handler that runs */
    struct busi_unread *unread;                     /* answers that are not taken yet; owned */
    size_t large;                                   /* bytes of requests that are large, not yet answered */
    size_t in_flight;                               /* not yet answered */
    void (*on_last)(void *arg);                     /* closed, and the last one was given back */
    void *arg;                                      /* for on_last */
};

/* NULL: out of memory. Its frame is empty. */
[[nodiscard]] struct busi_served *busi_calls_take(struct busi_calls *calls);
void busi_calls_give(struct busi_served *served); /* wipes the frame */
/* There is room for its request until it is answered: it is not large, or there are not too many of those. */
[[nodiscard]] bool busi_calls_has_room(struct busi_served *served);
/* Its client takes its answers. */
bool busi_calls_is_read(struct busi_served *served);
/* Sends buf's bytes. A client that is gone or does not read loses its reply (counted). name is the sender of
 * what is answered; absent: nobody's answer. */
void busi_calls_send(struct busi_calls *calls, const struct busi_peer *peer, struct busi_str name,
                     struct busi_buf *buf);
/* Between these it can be cancelled. */
void busi_calls_began(struct busi_served *served);
void busi_calls_ended(struct busi_served *served);
/* It waits, and can be cancelled. Later each that is held is begun (begin NULL: or not), but for those that
 * nobody wants any more. */
void busi_calls_hold(struct busi_served *served);
void busi_calls_release(struct busi_calls *calls, void (*begin)(void *arg, struct busi_served *served),
                        void *arg);
/* The time of all that has begun, and not committed itself, is over; it is answered. */
void busi_calls_cut(struct busi_calls *calls);

/* Nobody waits for it any more: what has not committed itself (busi_fiber_commit()) is told that its time is
 * over, the rest is done to its end; neither is answered. Only the client that made a call can cancel it. */
void busi_calls_cancel(struct busi_calls *calls, const struct busi_peer *peer, uint64_t id);
/* Cancels the calls of clients that have gone. Each is sent a notice to see whether it is still there. */
void busi_calls_cancel_orphans(struct busi_calls *calls, bool draining);

/* Closes the link; calls under way go on. on_last is called now, or later. */
void busi_calls_close(struct busi_calls *calls);
/* After on_last. */
void busi_calls_fini(struct busi_calls *calls);
