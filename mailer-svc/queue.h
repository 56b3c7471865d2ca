/* The table of mails as a queue: claim, settle, look, sweep. Fibers only; every call has the statement
 * timeout. */
#pragma once
#include "base/clock.h"
#include "route.h"
#include "store/pg.h"

struct mail_queue {
    struct busi_pg *pg;
    const struct busi_settings *settings;
};

struct mail_wish {
    size_t most;
    int64_t lease_ms;
    struct busi_str but_for; /* domains, as an SQL array */
    int64_t from_us;         /* mail_place_begin() */
};
/* Rows as STATEMENT(claim); OK with none when nothing is due. Clear the result in every case. */
enum busi_code mail_queue_claim(const struct mail_queue *queue, const struct mail_wish *wish,
                                struct busi_pg_result *result);
/* Until it is done or until_ms: what was delivered and is not marked goes out again. At most MAIL_BATCH. */
enum busi_code mail_queue_mark_delivered(const struct mail_queue *queue, struct mail_parcel *const *parcels,
                                         size_t n, int64_t until_ms);

struct mail_setback {
    const char *error;
    bool for_good;
    bool expired; /* error is not asked */
    int64_t most_attempts;
    int64_t longest_wait_s;
    int64_t keep_trying_ms; /* since the first attempt */
};
/* Logged, and counted. When this fails, the end of the lease puts it back. */
void mail_queue_put_back(const struct mail_queue *queue, const struct mail_parcel *parcel,
                         const struct mail_setback *setback);
/* Makes dead letters of some that nobody could use any more; true: there may be more. */
bool mail_queue_expire(const struct mail_queue *queue);
/* Sets the gauges. */
void mail_queue_look(const struct mail_queue *queue);
/* Deletes some rows that were kept long enough, and makes those due that wait for longer than any does; true:
 * there may be more. */
bool mail_queue_sweep(const struct mail_queue *queue, int64_t longest_wait_ms);
