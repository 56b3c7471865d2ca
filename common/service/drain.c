#include "service/drain.h"
#include "base/clock.h"
#include "base/log.h"

/* SETTLE: calls sent before a client heard of the drain are still under way when the last known one is
 * answered. */
enum { LOOK_MS = 10, SETTLE_MS = 200 };

bool busi_drain_begun(const struct busi_drain *drain)
{
    return atomic_load_explicit(&drain->begun, memory_order_relaxed);
}

static int64_t in_flight(const struct busi_drain *drain)
{
    return drain->server ? (int64_t)busi_rpc_server_in_flight(drain->server) : 0;
}

static bool is_idle(const struct busi_drain *drain)
{
    return in_flight(drain) == 0 && (!drain->service->idle || drain->service->idle(drain->state));
}

static void look(void *arg)
{
    struct busi_drain *drain = arg;
    int64_t now = busi_now_ms();
    drain->timer = NULL;
    if (!is_idle(drain))
        drain->idle_since_ms = 0;
    else if (drain->idle_since_ms == 0)
        drain->idle_since_ms = now;
    bool settled = drain->idle_since_ms > 0 && now - drain->idle_since_ms >= SETTLE_MS;
    drain->overdue = drain->idle_since_ms == 0 && now >= drain->until_ms;
    if (drain->overdue)
        busi_log(BUSI_WARN, "drain_overdue", BUSI_I("in_flight", in_flight(drain)),
                 BUSI_I("waited_ms", drain->settings->drain_ms));
    else if (!settled && now < drain->until_ms)
        drain->timer = busi_loop_after(drain->loop, LOOK_MS, look, drain);
    if (!drain->timer)
        busi_loop_stop(drain->loop);
}

static void end_work(void *arg)
{
    struct busi_drain *drain = arg;
    drain->timer = NULL;
    drain->until_ms = busi_now_ms() + drain->settings->drain_ms;
    if (drain->service->drain)
        drain->service->drain(drain->state);
    look(drain);
}

bool busi_drain_begin(struct busi_drain *drain)
{
    atomic_store_explicit(&drain->begun, true, memory_order_relaxed);
    busi_log(BUSI_INFO, "draining", BUSI_I("in_flight", in_flight(drain)),
             BUSI_I("delay_ms", drain->settings->drain_delay_ms));
    if (drain->server) /* at once: callers look for others while this one still serves */
        busi_rpc_server_drain(drain->server);
    if (drain->service->leave)
        drain->service->leave(drain->state);
    drain->timer = busi_loop_after(drain->loop, drain->settings->drain_delay_ms, end_work, drain);
    if (!drain->timer)
        busi_loop_stop(drain->loop);
    return drain->timer != NULL;
}

void busi_drain_fini(struct busi_drain *drain)
{
    busi_timer_free(&drain->timer);
}
