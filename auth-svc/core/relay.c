#include "core/relay.h"
#include "base/clock.h"

enum { POLL_MS = 1000 }; /* for work of processes that died, and after failures */

static void rest(struct auth_relay *relay)
{
    /* A wake that comes while the fiber waits for a reply must not be taken for that reply. */
    relay->resting = busi_fiber_self();
    (void)busi_fiber_wait(busi_now_ms() + POLL_MS);
    relay->resting = NULL;
}

static void run(void *arg)
{
    struct auth_relay *relay = arg;
    while (!relay->stopping) {
        relay->more = false;
        bool again = relay->work(relay->state);
        if (!again && !relay->more && !relay->stopping)
            rest(relay);
    }
    relay->running = false;
}

bool auth_relay_start(struct auth_relay *relay, struct busi_fibers *fibers, bool (*work)(void *state),
                      void *state)
{
    *relay = (struct auth_relay){.work = work, .state = state, .running = true};
    relay->running = busi_fiber_start(fibers, run, relay);
    return relay->running;
}

void auth_relay_wake(struct auth_relay *relay)
{
    relay->more = true;
    if (relay->resting)
        busi_fiber_wake(relay->resting);
}

void auth_relay_stop(struct auth_relay *relay)
{
    relay->stopping = true;
    auth_relay_wake(relay);
}
