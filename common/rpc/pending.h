/* The calls of a client that wait for their answers: a fixed pool of slots, taken and given back by any
 * thread without a lock or an allocation, and the hand-over between the loop that gets the answer and the
 * fiber or thread that waits for it. */
#pragma once
#include "loop/fiber.h"
#include "rpc/link.h"
#include <stdatomic.h>

struct busi_target;
struct busi_worker;

enum busi_verdict {
    BUSI_REPLIED,   /* frame is the answer */
    BUSI_LOST,      /* sent, and no answer will come: it may have been done or not */
    BUSI_NO_WORKER, /* never sent: nobody is there */
    BUSI_ALL_FULL,  /* never sent: every worker has as much as it may have */
    BUSI_CALLED_OFF /* its caller does not want the answer any more */
};

struct busi_pending {
    struct busi_post post;       /* its way to the loop */
    void *client;                /* for post */
    _Atomic(uint32_t) state;     /* enum state in pending.c; also the futex */
    _Atomic(uint32_t) next_free; /* in the free list: number + 1 */
    uint32_t number;             /* place in the pool */
    uint64_t generation;         /* how often taken */
    struct busi_fiber *fiber;    /* waits for it; NULL: a thread does */
    struct busi_target *target;  /* whom to ask: client_workers.h */
    struct busi_frame frame;     /* the request until it is sent, then the answer */
    int64_t until_ms;            /* nobody waits longer */
    bool idempotent;             /* may be sent twice */
    bool urgent;                 /* room is made for it */
    int client_fd;               /* for whom it is: struct busi_call */
    enum busi_verdict verdict;   /* valid when done */
    /* the loop's, while in flight */
    uint64_t in_flight_id;              /* 0: not in flight */
    struct busi_worker *worker;         /* whom it was sent to */
    struct busi_pending *older, *newer; /* of the same worker */
    int64_t sent_ms;                    /* when */
};

struct busi_pendings;
[[nodiscard]] struct busi_pendings *busi_pendings_new(uint32_t most); /* below 65535 */
void busi_pendings_free(struct busi_pendings **pool);                 /* none is out */

/* Any thread. NULL: all are out. The frame is empty. */
struct busi_pending *busi_pending_take(struct busi_pendings *pool);
void busi_pending_give(struct busi_pendings *pool, struct busi_pending *pending); /* wipes the frame */
/* Never 0, never the id of an earlier call; its low 16 bits are never 0 (pings have those). */
uint64_t busi_pending_id(const struct busi_pending *pending);
/* Loop thread: the call in flight under this id, or NULL. */
struct busi_pending *busi_pending_find(struct busi_pendings *pool, uint64_t id);

/* The waiting side. True: done, verdict is valid. False: until_ms passed; a thread then leaves the slot to
 * the loop, a fiber still owns it. */
[[nodiscard]] bool busi_pending_wait(struct busi_pending *pending);
/* Loop thread: true when handed over to whom waits. False: nobody waits any more, give it back. */
[[nodiscard]] bool busi_pending_finish(struct busi_pending *pending, enum busi_verdict verdict);
bool busi_pending_abandoned(const struct busi_pending *pending);
