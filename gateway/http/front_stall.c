/* How long what is read now may have waited: a process that was stopped, or starved, finds in its sockets
 * what came meanwhile as if it had just been sent. The loop tends the front, so the front knows when it did
 * not. */
#include "base/log.h"
#include "http/front_state.h"

enum {
    STALL_MS = 1000, /* not tended for so long: it stood still */
    STALE_MS = 1000  /* how long after it what is read may be from before: a crowd takes its time */
};

void front_tended(struct http_front *front)
{
    int64_t now_ms = busi_now_ms(), before_ms = atomic_load(&front->tended_ms);
    if (before_ms > 0 && now_ms - before_ms >= STALL_MS) {
        atomic_store(&front->stalled_ms, now_ms - before_ms);
        atomic_store(&front->stale_until_ms, now_ms + STALE_MS);
        busi_log(BUSI_WARN, "front_stalled", BUSI_I("ms", now_ms - before_ms));
    }
    atomic_store(&front->tended_ms, now_ms); /* last: whoever sees it sees the others, too */
}

int64_t front_waited_ms(const struct http_front *front)
{
    int64_t now_ms = busi_now_ms(), tended_ms = atomic_load(&front->tended_ms);
    if (tended_ms > 0 && now_ms - tended_ms >= STALL_MS)
        return now_ms - tended_ms;
    return now_ms < atomic_load(&front->stale_until_ms) ? atomic_load(&front->stalled_ms) : 0;
}
