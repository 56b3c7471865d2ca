#include "queue.h"
#include "base/log.h"
#include "base/metrics.h"
#include "statements.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    NUMBER_BYTES = 24,
    ARRAY_BYTES = MAIL_BATCH * NUMBER_BYTES + 4,
    MARK_AGAIN_MS = 250,
    SWEEP_ROWS = 500, /* at once: a sweep must not hold up the queue */
};

static const char expired_why[] = "its link has expired";

static struct busi_str number(char text[NUMBER_BYTES], int64_t n)
{
    return (struct busi_str){text, (size_t)snprintf(text, NUMBER_BYTES, "%" PRId64, n)};
}

static enum busi_code run(const struct mail_queue *queue, size_t statement, const struct busi_str *params,
                          struct busi_pg_result *result)
{
    return busi_pg_run(queue->pg, statement, params, busi_now_ms() + queue->settings->statement_timeout_ms,
                       result);
}

enum busi_code mail_queue_claim(const struct mail_queue *queue, const struct mail_wish *wish,
                                struct busi_pg_result *result)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES], c[NUMBER_BYTES];
    return run(queue, MAIL_SQL_claim,
               (struct busi_str[]){number(a, (int64_t)wish->most), number(b, wish->lease_ms), wish->but_for,
                                   number(c, wish->from_us)},
               result);
}

static void append(char array[ARRAY_BYTES], size_t *len, int64_t n)
{
    *len += (size_t)snprintf(array + *len, ARRAY_BYTES - *len, "%c%" PRId64, *len == 0 ? '{' : ',', n);
}

enum busi_code mail_queue_mark_delivered(const struct mail_queue *queue, struct mail_parcel *const *parcels,
                                         size_t n, int64_t until_ms)
{
    char ids[ARRAY_BYTES], tokens[ARRAY_BYTES];
    struct busi_str params[] = {{ids, 0}, {tokens, 0}};
    for (size_t i = 0; i < n; i++) {
        append(ids, &params[0].len, parcels[i]->mail.id);
        append(tokens, &params[1].len, parcels[i]->attempts);
    }
    ids[params[0].len++] = '}';
    tokens[params[1].len++] = '}';
    for (;;) {
        struct busi_pg_result result = {0};
        enum busi_code code = run(queue, MAIL_SQL_mark_delivered, params, &result);
        busi_pg_clear(&result);
        if (code == BUSI_OK || busi_now_ms() + MARK_AGAIN_MS >= until_ms)
            return code;
        busi_fiber_sleep(MARK_AGAIN_MS);
    }
}

static void tell_dead(int64_t id, struct busi_str kind, int64_t attempts, const char *why)
{
    busi_metric_add(BUSI_METRIC_mails_dead, 1);
    busi_log(BUSI_ERR, "mail_dead_letter", BUSI_I("mail_id", id), BUSI_S("kind", kind),
             BUSI_I("attempts", attempts), BUSI_C("why", why));
}

void mail_queue_put_back(const struct mail_queue *queue, const struct mail_parcel *parcel,
                         const struct mail_setback *setback)
{
    char texts[5][NUMBER_BYTES];
    struct busi_pg_result result = {0};
    const char *error = setback->expired ? expired_why : setback->error;
    struct busi_str params[] = {number(texts[0], parcel->mail.id),
                                number(texts[1], parcel->attempts),
                                busi_str_of(error),
                                setback->for_good || setback->expired ? BUSI_STR("t") : BUSI_STR("f"),
                                number(texts[2], setback->most_attempts),
                                number(texts[3], setback->longest_wait_s),
                                number(texts[4], setback->keep_trying_ms)};
    enum busi_code code = run(queue, MAIL_SQL_put_back, params, &result);
    bool dead = code == BUSI_OK && busi_str_eq(busi_pg_value(&result, 0, 0), BUSI_STR("failed"));
    busi_pg_clear(&result);
    if (dead) {
        tell_dead(parcel->mail.id, parcel->request.kind, parcel->attempts, error);
        busi_metric_add(BUSI_METRIC_mails_expired, setback->expired);
        return;
    }
    busi_metric_add(BUSI_METRIC_mails_put_back, 1);
    busi_log(BUSI_WARN, "mail_not_delivered", BUSI_I("mail_id", parcel->mail.id),
             BUSI_S("kind", parcel->request.kind), BUSI_I("attempts", parcel->attempts),
             BUSI_C("why", error));
}

bool mail_queue_expire(const struct mail_queue *queue)
{
    enum { ID, ATTEMPTS, KIND };
    char most[NUMBER_BYTES];
    struct busi_pg_result result = {0};
    struct busi_str params[] = {number(most, SWEEP_ROWS), busi_str_of(expired_why)};
    enum busi_code code = run(queue, MAIL_SQL_expire, params, &result);
    for (int row = 0; code == BUSI_OK && row < result.rows; row++)
        tell_dead(busi_pg_int(&result, row, ID), busi_pg_value(&result, row, KIND),
                  busi_pg_int(&result, row, ATTEMPTS), expired_why);
    bool full = code == BUSI_OK && result.rows >= SWEEP_ROWS;
    busi_metric_add(BUSI_METRIC_mails_expired, code == BUSI_OK ? result.rows : 0);
    busi_pg_clear(&result);
    return full;
}

void mail_queue_look(const struct mail_queue *queue)
{
    struct busi_pg_result result = {0};
    if (run(queue, MAIL_SQL_look_at_queue, NULL, &result) == BUSI_OK) {
        busi_metric_set(BUSI_METRIC_mail_queue, busi_pg_int(&result, 0, 0));
        busi_metric_set(BUSI_METRIC_mail_queue_age, busi_pg_int(&result, 0, 1));
        busi_metric_set(BUSI_METRIC_mail_dead_letters, busi_pg_int(&result, 0, 2));
    }
    busi_pg_clear(&result);
}

/* One of the statements with a time and a number. */
static bool sweep(const struct mail_queue *queue, size_t statement, int64_t ms)
{
    char a[NUMBER_BYTES], b[NUMBER_BYTES];
    struct busi_pg_result result = {0};
    enum busi_code code =
        run(queue, statement, (struct busi_str[]){number(a, ms), number(b, SWEEP_ROWS)}, &result);
    bool full = code == BUSI_OK && result.affected >= SWEEP_ROWS;
    busi_pg_clear(&result);
    return full;
}

bool mail_queue_sweep(const struct mail_queue *queue, int64_t longest_wait_ms)
{
    bool more = sweep(queue, MAIL_SQL_sweep_delivered, queue->settings->mail_keep_ms);
    more |= sweep(queue, MAIL_SQL_recall, longest_wait_ms);
    return sweep(queue, MAIL_SQL_sweep_failed, queue->settings->mail_dead_keep_ms) || more;
}
