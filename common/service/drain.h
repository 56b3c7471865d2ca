/* From the first SIGTERM to the loop's stop: not ready and callers told at once, a pause for balancers and
 * callers to find others, no new work, wait until nothing is in flight. Loop thread only, but for
 * busi_drain_begun(). */
#pragma once
#include "service/service.h"
#include <stdatomic.h>

struct busi_drain {
    const struct busi_service *service;
    const struct busi_settings *settings;
    struct busi_loop *loop;
    struct busi_rpc_server *server; /* NULL: none */
    void *state;                    /* the service's */
    atomic_bool begun;              /* SIGTERM came */
    bool overdue;                   /* stopped with work still in flight */
    int64_t until_ms;               /* stop then at the latest; busi_now_ms() scale */
    int64_t idle_since_ms;          /* 0: not idle at the last look */
    struct busi_timer *timer;       /* owned; of the next step */
};

/* drain is zeroed but for its first five fields. False: no memory for the timer, the loop is being stopped.
 */
[[nodiscard]] bool busi_drain_begin(struct busi_drain *drain);
bool busi_drain_begun(const struct busi_drain *drain); /* any thread */
void busi_drain_fini(struct busi_drain *drain);
