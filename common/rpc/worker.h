/* One worker as its client sees it: a pipe of its own, the calls in flight on it, and what its rpc.Health
 * says twice a second. Loop thread only. */
#pragma once
#include "rpc/curve.h"
#include "rpc/pending.h"
#include "rpc/worker_state.h"

struct busi_worker {
    struct busi_worker *next;             /* its client's list of this target */
    struct busi_pendings *pool;           /* where answered calls are found and abandoned ones go; borrowed */
    void *link, *monitor;                 /* the pipe and what happens to it; owned */
    struct busi_watch *watch, *events;    /* of both */
    struct busi_pending *oldest, *newest; /* in flight, by the time they were sent */
    size_t in_flight;                     /* of them */
    uint64_t not_taken;                   /* id of the last call that could not be sent */
    uint32_t ipv4;                        /* network order */
    uint16_t port;                        /* host order */
    char endpoint[32];                    /* "tcp://10.0.0.7:5001" */
    bool up;                              /* past the handshake */
    bool heard;                           /* has answered a ping since it is up */
    bool ready;                           /* says its dependencies are there */
    bool draining;                        /* says it will stop */
    bool cancels;                         /* says it knows rpc.Cancel and rpc.Watch */
    bool retired;                   /* its name no longer has this address: closed when idle and not needed */
    uint64_t keys;                  /* ours it was opened with: busi_curve_renew() */
    bool next_key;                  /* was opened with the service's next key */
    int64_t down_ms;                /* since when it is not up: it was opened, or lost */
    int64_t orphan_ms;              /* since when nobody dials it again; 0: libzmq does, or it is up */
    bool refused;                   /* has refused us since it was last up; the log says it once */
    bool leaves;                    /* what busi_worker_leaves() will say */
    unsigned missed;                /* pings in a row without an answer */
    uint64_t ping;                  /* number of the last ping */
    uint64_t pong;                  /* last answered */
    int64_t ping_ms;                /* when the last ping was sent */
    int64_t watched_ms;             /* when it was last asked to tell of changes; 0: not since it is up */
    int64_t ticked_ms;              /* last busi_worker_tick() */
    int64_t heard_ms;               /* last reply of any kind */
    const char *service;            /* "auth"; for on_state */
    busi_worker_state_fn *on_state; /* NULL: nobody asks */
    void *on_state_arg;             /* for it */
    enum busi_worker_state told;    /* it */
};

struct busi_worker_options {
    struct busi_loop *loop;
    struct busi_pendings *pool;
    struct busi_curve *curve;       /* NULL: plain */
    struct busi_str key_file;       /* the service's certificate */
    bool next_key;                  /* its next one, if there is one: busi_curve_join() */
    int most_queued;                /* high-water mark */
    const char *service;            /* static, "auth" */
    busi_worker_state_fn *on_state; /* may be NULL */
    void *on_state_arg;
    uint32_t ipv4;
    uint16_t port;
};
[[nodiscard]] struct busi_worker *busi_worker_open(const struct busi_worker_options *options,
                                                   const char **error);
/* What is in flight is lost. */
void busi_worker_close(struct busi_worker **worker);

/* True: sent, and in flight until answered, lost or forgotten. False: the pipe is full or gone. */
[[nodiscard]] bool busi_worker_send(struct busi_worker *worker, struct busi_pending *pending);
/* A call whose caller has left: the worker is told, the slot is the caller's. Not in flight: nothing. */
void busi_worker_forget(struct busi_pending *pending);
/* One in flight whose caller shall leave: the worker and the caller are told. */
void busi_worker_cancel(struct busi_pending *pending);

/* Every ~100 ms: pings when due, notices who does not answer, forgets abandoned calls. */
void busi_worker_tick(struct busi_worker *worker, int64_t now_ms);
/* Answers pings now. */
bool busi_worker_alive(const struct busi_worker *worker);
/* 0 the best; those that answer late, say they are not ready, are about to stop or have lost their name come
 * after. */
enum { BUSI_WORKER_RANKS = 5 };
int busi_worker_rank(const struct busi_worker *worker, int64_t now_ms);
/* Did it go down, or say that it will, since the last question? */
bool busi_worker_leaves(struct busi_worker *worker);
