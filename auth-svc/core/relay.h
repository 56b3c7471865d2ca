/* A fiber that works until nothing is left to do, then rests until it is woken or a second has passed. Loop
 * thread only. */
#pragma once
#include "loop/fiber.h"

struct auth_relay {
    bool (*work)(void *state);  /* does some of the work; true: there may be more */
    void *state;                /* of work */
    struct busi_fiber *resting; /* the fiber while it waits for work, NULL otherwise */
    bool more;                  /* woken while it worked */
    bool running;               /* the fiber has not ended */
    bool stopping;              /* it shall, at the next occasion */
};
/* relay stays where it is while it runs. False: no fiber is left. */
[[nodiscard]] bool auth_relay_start(struct auth_relay *relay, struct busi_fibers *fibers,
                                    bool (*work)(void *state), void *state);
/* There is work. */
void auth_relay_wake(struct auth_relay *relay);
/* Ends the fiber after the work in hand; relay->running says when it has. */
void auth_relay_stop(struct auth_relay *relay);
