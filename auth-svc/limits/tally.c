#include "limits/tally.h"
#include "audit/audit.h"
#include <stdlib.h>

enum { TALLY_MS = 60000, TALLY_STORE_MS = 2000, TALLY_ARENA_BYTES = 16 * 1024 };

struct auth_limit_tally {
    struct auth *auth;            /* borrowed */
    struct busi_fiber *resting;   /* its fiber while it sleeps, NULL otherwise */
    bool stopping, stopped;       /* it shall end; it has */
    int64_t refused[AUTH_LIMITS]; /* since the last rows */
};

static void write_count(struct auth_limit_tally *tally, size_t limit)
{
    static const char *const limits[] = {
#define LIMIT(method) #method,
#include "limits/limits.def"
    };
    struct busi_call call;
    int64_t n = tally->refused[limit];
    busi_call_init(&call, TALLY_ARENA_BYTES);
    call.until_ms = busi_now_ms() + TALLY_STORE_MS;
    struct busi_str detail = busi_arena_printf(&call.arena, "%s %lld", limits[limit], (long long)n);
    enum busi_code code =
        auth_audit(tally->auth, &call,
                   &(struct auth_deed){.event = AUTH_AUDIT_limited, .failed = true, .detail = detail});
    if (code == BUSI_OK)
        tally->refused[limit] -= n; /* more may have come meanwhile */
    busi_call_fini(&call);
}

static void write_counts(struct auth_limit_tally *tally)
{
    for (size_t i = 0; i < AUTH_LIMITS; i++)
        if (tally->refused[i] > 0 && busi_pg_ready(tally->auth->pg))
            write_count(tally, i);
}

static void count(void *arg)
{
    struct auth_limit_tally *tally = arg;
    while (!tally->stopping) {
        int64_t until_ms = busi_now_ms() + TALLY_MS;
        tally->resting = busi_fiber_self();
        while (!tally->stopping && busi_now_ms() < until_ms)
            (void)busi_fiber_wait(until_ms);
        tally->resting = NULL;
        write_counts(tally);
    }
    tally->stopped = true;
}

struct auth_limit_tally *auth_limit_tally_new(struct auth *self, struct busi_fibers *fibers)
{
    struct auth_limit_tally *tally = calloc(1, sizeof(*tally));
    if (!tally)
        return NULL;
    tally->auth = self;
    if (!busi_fiber_start(fibers, count, tally))
        auth_limit_tally_free(&tally);
    return tally;
}

void auth_limit_tally_free(struct auth_limit_tally **tally)
{
    free(*tally);
    *tally = NULL;
}

void auth_limit_tally_add(struct auth_limit_tally *tally, enum auth_limit limit)
{
    tally->refused[limit]++;
}

void auth_limit_tally_stop(struct auth_limit_tally *tally)
{
    tally->stopping = true;
    if (tally->resting)
        busi_fiber_wake(tally->resting);
}

bool auth_limit_tally_stopped(const struct auth_limit_tally *tally)
{
    return tally->stopped;
}
