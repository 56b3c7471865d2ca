#include "core/sweeper.h"
#include "base/log.h"
#include "core/auth.h"
#include <stddef.h>
#include <stdio.h>

enum {
    ROUND_MS = 60000,
    STEP_MS = 5000, /* longest for one batch */
    FULL = 500      /* so many rows and more: there may be more */
};

/* What is swept, and whether somebody should know: mails that were never taken are a fault. */
static const struct {
    enum auth_statement statement;
    bool fault;
    const char *event;
    size_t keep; /* where in the settings is for how many ms, its parameter; 0: it has none */
} sweeps[] = {
    {AUTH_GIVE_CODES, false, "short_names_given", 0},
    {AUTH_RELEASE_USERS, false, "users_released", 0},
    {AUTH_PURGE_SECRETS, false, "secrets_purged", 0},
    {AUTH_PURGE_MAIL_GAPS, false, "mail_gaps_purged", 0},
    {AUTH_RECALL_MAILS, true, "mails_recalled", 0},
    {AUTH_RECALL_EVENTS, true, "events_recalled", 0},
    {AUTH_PURGE_MAIL_REQUESTS, true, "mail_requests_dropped", 0},
    {AUTH_PURGE_OUTBOX, true, "mails_dropped", 0},
    {AUTH_PURGE_REVOCATIONS, false, "revocations_purged", 0},
    {AUTH_PURGE_EVENTS, true, "events_dropped", offsetof(struct busi_settings, hook_keep_ms)},
    {AUTH_PURGE_LOG, false, "log_entries_purged", offsetof(struct busi_settings, log_entries_keep_ms)},
    {AUTH_EXPIRE_AUDIT, false, "audit_expired", offsetof(struct busi_settings, audit_keep_ms)},
};
enum { SWEEPS = sizeof(sweeps) / sizeof(sweeps[0]) };

static int64_t keep_ms(const struct busi_settings *settings, size_t keep)
{
    int64_t ms;
    memcpy(&ms, (const char *)settings + keep, sizeof(ms));
    return ms;
}

size_t auth_sweeps(void)
{
    return SWEEPS;
}

const char *auth_sweep_name(size_t at)
{
    return sweeps[at].event;
}

int64_t auth_sweep(struct busi_pg *pg, const struct busi_settings *settings, size_t at, bool *more)
{
    struct busi_pg_result result;
    char text[24];
    struct busi_str keep = {text, 0};
    if (sweeps[at].keep)
        keep.len =
            (size_t)snprintf(text, sizeof(text), "%lld", (long long)keep_ms(settings, sweeps[at].keep));
    enum busi_code code = busi_pg_run(pg, sweeps[at].statement, &keep, busi_now_ms() + STEP_MS, &result);
    int64_t rows = code != BUSI_OK ? -1 : result.rows > 0 ? busi_pg_int(&result, 0, 0) : result.affected;
    busi_pg_clear(&result);
    *more = rows >= FULL;
    return rows;
}

static bool work(void *state)
{
    struct auth_sweeper *sweeper = state;
    bool more;
    if (busi_now_ms() < sweeper->due_ms || !busi_pg_ready(sweeper->pg))
        return false;
    size_t at = sweeper->next;
    int64_t rows = auth_sweep(sweeper->pg, sweeper->settings, at, &more);
    if (rows > 0)
        busi_log(sweeps[at].fault ? BUSI_WARN : BUSI_DEBUG, sweeps[at].event, BUSI_I("number", rows));
    if (more)
        return true;
    sweeper->next = (at + 1) % SWEEPS;
    if (sweeper->next == 0)
        sweeper->due_ms = busi_now_ms() + ROUND_MS;
    return sweeper->next != 0;
}

bool auth_sweeper_start(struct auth_sweeper *sweeper, struct busi_pg *pg, struct busi_fibers *fibers,
                        const struct busi_settings *settings)
{
    *sweeper = (struct auth_sweeper){.pg = pg, .settings = settings};
    return auth_relay_start(&sweeper->relay, fibers, work, sweeper);
}
