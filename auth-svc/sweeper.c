#include "sweeper.h"
#include "auth.h"
#include "base/log.h"

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
} sweeps[] = {
    {AUTH_GIVE_CODES, false, "short_names_given"},
    {AUTH_PURGE_SECRETS, false, "secrets_purged"},
    {AUTH_PURGE_MAIL_GAPS, false, "mail_gaps_purged"},
    {AUTH_PURGE_MAIL_REQUESTS, true, "mail_requests_dropped"},
    {AUTH_PURGE_OUTBOX, true, "mails_dropped"},
};
enum { SWEEPS = sizeof(sweeps) / sizeof(sweeps[0]) };

static bool work(void *state)
{
    struct auth_sweeper *sweeper = state;
    struct busi_pg_result result;
    if (busi_now_ms() < sweeper->due_ms || !busi_pg_ready(sweeper->pg))
        return false;
    size_t at = sweeper->next;
    enum busi_code code =
        busi_pg_run(sweeper->pg, sweeps[at].statement, NULL, busi_now_ms() + STEP_MS, &result);
    int64_t rows = code == BUSI_OK ? result.affected : 0;
    busi_pg_clear(&result);
    if (rows > 0)
        busi_log(sweeps[at].fault ? BUSI_WARN : BUSI_DEBUG, sweeps[at].event, BUSI_I("number", rows));
    if (rows >= FULL)
        return true;
    sweeper->next = (at + 1) % SWEEPS;
    if (sweeper->next == 0)
        sweeper->due_ms = busi_now_ms() + ROUND_MS;
    return sweeper->next != 0;
}

bool auth_sweeper_start(struct auth_sweeper *sweeper, struct busi_pg *pg, struct busi_fibers *fibers)
{
    *sweeper = (struct auth_sweeper){.pg = pg};
    return auth_relay_start(&sweeper->relay, fibers, work, sweeper);
}
