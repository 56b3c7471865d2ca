#include "delivery.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "mail_folder.h"
#include "rpc/call.h"
#include "statements.h"
#include "wire/codec.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    BATCH = 16,              /* mails claimed at once */
    LEASE_MS = 60000,        /* a mail of a mailer that died is another's after this */
    LEASE_MARGIN_MS = 15000, /* nothing is begun in the last part of a lease */
    POLL_MS = 1000,
    CHECK_MS = 5000, /* between looks at the folder and the queue's length */
    POISON_ATTEMPTS = 8,
    ARENA_BYTES = 4 * 1024 * 1024,
};

struct delivery {
    struct delivery_options options;
    struct busi_fiber *fiber; /* NULL: has ended */
    bool stopping;
    bool folder_ready;
    int64_t check_ms; /* next look at folder and queue; busi_now_ms() scale */
};

/* A claimed mail on its way. */
struct parcel {
    struct mail mail;
    struct busi_enqueue_mail_request request; /* decoded; points into the result */
    int64_t attempts;                         /* the fencing token */
    const char *error;                        /* why it cannot be rendered, static */
    char name[MAIL_NAME_BYTES];               /* of its file */
    struct busi_buf text;                     /* rendered */
};

struct batch {
    struct delivery *delivery;
    struct busi_arena arena;      /* of the decoded requests and parameters */
    struct busi_pg_result result; /* of the claim */
    int64_t claimed_ms;           /* just before the claim; busi_now_ms() scale */
    struct parcel parcels[BATCH];
    size_t n;
    struct mail_file files[BATCH]; /* one for each parcel without an error */
    size_t n_files;
};

static int64_t statement_deadline(const struct delivery *delivery)
{
    return busi_now_ms() + delivery->options.process->settings->statement_timeout_ms;
}

/* ---- claim and render ---- */

static void open_parcel(struct batch *batch, int row)
{
    struct parcel *parcel = &batch->parcels[batch->n++];
    struct busi_str bytes = busi_pg_value(&batch->result, row, 3);
    struct busi_reader reader;
    const char *bad = NULL;
    parcel->mail.id = busi_pg_int(&batch->result, row, 0);
    parcel->attempts = busi_pg_int(&batch->result, row, 1);
    parcel->mail.created_us = busi_pg_int(&batch->result, row, 2);
    parcel->mail.request = &parcel->request;
    busi_buf_init(&parcel->text, MAIL_MAX_BYTES);
    busi_reader_init(&reader, bytes.ptr, bytes.len);
    if (!busi_decode(&reader, busi_desc_enqueue_mail_request(), &parcel->request, &batch->arena, &bad))
        parcel->error = "what was stored cannot be read";
    else
        parcel->error = mail_render(&parcel->text, &parcel->mail, &batch->delivery->options.setup);
    if (parcel->error)
        return;
    mail_file_name(parcel->name, &parcel->mail);
    batch->files[batch->n_files++] =
        (struct mail_file){.name = parcel->name, .bytes = {parcel->text.ptr, parcel->text.len}};
}

static bool claim(struct batch *batch)
{
    struct delivery *delivery = batch->delivery;
    struct busi_str params[] = {busi_arena_int(&batch->arena, BATCH),
                                busi_arena_int(&batch->arena, LEASE_MS)};
    batch->claimed_ms = busi_now_ms();
    enum busi_code code = busi_pg_run(delivery->options.pg, MAIL_SQL_claim, params,
                                      statement_deadline(delivery), &batch->result);
    if (code != BUSI_OK)
        return false;
    for (int row = 0; row < batch->result.rows && batch->n < BATCH; row++)
        open_parcel(batch, row);
    return batch->n > 0;
}

/* ---- write ---- */

static void write_files(void *arg, void *state)
{
    struct batch *batch = arg;
    (void)state;
    /* a process that was stopped for longer than its lease must not act on it */
    if (busi_now_ms() > batch->claimed_ms + LEASE_MS - LEASE_MARGIN_MS)
        for (size_t i = 0; i < batch->n_files; i++)
            batch->files[i].error = ETIMEDOUT;
    else
        mail_folder_write(batch->delivery->options.process->settings->mail_folder.ptr, batch->files,
                          batch->n_files);
}

static void write_batch(struct batch *batch)
{
    if (batch->n_files == 0)
        return;
    enum busi_code code = busi_offload_run(batch->delivery->options.offload, write_files, batch,
                                           batch->claimed_ms + LEASE_MS - LEASE_MARGIN_MS, NULL);
    for (size_t i = 0; i < batch->n_files; i++)
        if (code != BUSI_OK)
            batch->files[i].error = EAGAIN;
}

/* ---- settle ---- */

static void put_back(struct batch *batch, const struct parcel *parcel, const char *error,
                     int64_t most_attempts)
{
    struct delivery *delivery = batch->delivery;
    struct busi_pg_result result = {0};
    struct busi_str params[] = {busi_arena_int(&batch->arena, parcel->mail.id),
                                busi_arena_int(&batch->arena, parcel->attempts), busi_str_of(error),
                                busi_arena_int(&batch->arena, most_attempts)};
    busi_log(BUSI_WARN, "mail_not_delivered", BUSI_I("mail_id", parcel->mail.id),
             BUSI_I("attempts", parcel->attempts), BUSI_C("why", error));
    /* when this fails, the end of the lease puts it back */
    (void)!busi_pg_run(delivery->options.pg, MAIL_SQL_put_back, params, statement_deadline(delivery),
                       &result);
    busi_pg_clear(&result);
}

static void mark_delivered(struct batch *batch, struct busi_buf *ids, struct busi_buf *tokens, int64_t n)
{
    struct delivery *delivery = batch->delivery;
    struct busi_pg_result result = {0};
    struct busi_str params[] = {{ids->ptr, ids->len}, {tokens->ptr, tokens->len}};
    enum busi_code code = busi_pg_run(delivery->options.pg, MAIL_SQL_mark_delivered, params,
                                      statement_deadline(delivery), &result);
    busi_pg_clear(&result);
    if (code == BUSI_OK)
        busi_metric_add(BUSI_METRIC_mails_delivered, n);
    else /* written again under the same name when the lease ends: still one mail */
        busi_log(BUSI_WARN, "mails_not_marked", BUSI_I("mails", n), BUSI_C("code", busi_code_name(code)));
}

/* Outcomes of the files: delivered ones in one statement, the others back into the queue. */
static void settle_written(struct batch *batch)
{
    struct busi_buf ids, tokens;
    int64_t n = 0;
    busi_buf_init(&ids, 4096);
    busi_buf_init(&tokens, 4096);
    for (size_t i = 0, file = 0; i < batch->n; i++) {
        const struct parcel *parcel = &batch->parcels[i];
        if (parcel->error)
            continue;
        int error = batch->files[file++].error;
        if (error != 0) {
            batch->delivery->folder_ready = false;
            put_back(batch, parcel, strerror(error), INT64_MAX);
            continue;
        }
        busi_buf_printf(&ids, "%c%" PRId64, n == 0 ? '{' : ',', parcel->mail.id);
        busi_buf_printf(&tokens, "%c%" PRId64, n == 0 ? '{' : ',', parcel->attempts);
        n++;
        busi_log(BUSI_INFO, "mail_delivered", BUSI_I("mail_id", parcel->mail.id),
                 BUSI_S("kind", parcel->request.kind), BUSI_I("attempts", parcel->attempts));
    }
    busi_buf_char(&ids, '}');
    busi_buf_char(&tokens, '}');
    if (n > 0)
        mark_delivered(batch, &ids, &tokens, n);
    busi_buf_fini(&ids);
    busi_buf_fini(&tokens);
}

static void settle(struct batch *batch)
{
    settle_written(batch);
    for (size_t i = 0; i < batch->n; i++)
        if (batch->parcels[i].error)
            put_back(batch, &batch->parcels[i], batch->parcels[i].error, POISON_ATTEMPTS);
}

/* True when the batch was full: there may be more. The batch is too large for a fiber's stack. */
static bool deliver(struct delivery *delivery)
{
    struct batch *batch = calloc(1, sizeof(*batch));
    if (!batch)
        return false;
    batch->delivery = delivery;
    busi_arena_init(&batch->arena, ARENA_BYTES);
    if (claim(batch)) {
        write_batch(batch);
        settle(batch);
    }
    bool full = batch->n == BATCH;
    for (size_t i = 0; i < batch->n; i++)
        busi_buf_fini(&batch->parcels[i].text);
    busi_pg_clear(&batch->result);
    busi_arena_fini(&batch->arena);
    free(batch);
    return full;
}

/* ---- the fiber ---- */

struct probe {
    const char *folder;
    bool clean; /* once, at start */
    int error;
};

static void run_probe(void *arg, void *state)
{
    struct probe *probe = arg;
    (void)state;
    if (probe->clean)
        mail_folder_clean(probe->folder);
    probe->error = mail_folder_probe(probe->folder);
}

static void check_folder(struct delivery *delivery, bool clean)
{
    struct probe probe = {delivery->options.process->settings->mail_folder.ptr, clean, 0};
    enum busi_code code =
        busi_offload_run(delivery->options.offload, run_probe, &probe, busi_now_ms() + CHECK_MS, NULL);
    bool ready = code == BUSI_OK && probe.error == 0;
    if (!ready && (delivery->folder_ready || clean))
        busi_log(BUSI_ERR, "mail_folder",
                 BUSI_C("why", probe.error != 0 ? strerror(probe.error) : busi_code_name(code)));
    delivery->folder_ready = ready;
}

static void count_queue(struct delivery *delivery)
{
    struct busi_pg_result result = {0};
    if (busi_pg_run(delivery->options.pg, MAIL_SQL_count_queued, NULL, statement_deadline(delivery),
                    &result) == BUSI_OK)
        busi_metric_set(BUSI_METRIC_mail_queue, busi_pg_int(&result, 0, 0));
    busi_pg_clear(&result);
}

static void check(struct delivery *delivery)
{
    if (delivery->folder_ready && busi_now_ms() < delivery->check_ms)
        return;
    check_folder(delivery, false);
    delivery->check_ms = busi_now_ms() + CHECK_MS;
    if (busi_pg_ready(delivery->options.pg))
        count_queue(delivery);
}

static void run(void *arg)
{
    struct delivery *delivery = arg;
    delivery->fiber = busi_fiber_self();
    check_folder(delivery, true);
    while (!delivery->stopping) {
        bool more = false;
        check(delivery);
        if (delivery->folder_ready && busi_pg_ready(delivery->options.pg))
            more = deliver(delivery);
        if (!more)
            (void)busi_fiber_wait(busi_now_ms() + POLL_MS);
    }
    delivery->fiber = NULL;
}

struct delivery *delivery_new(const struct delivery_options *options)
{
    struct delivery *delivery = calloc(1, sizeof(*delivery));
    if (!delivery)
        return NULL;
    delivery->options = *options;
    if (!busi_fiber_start(options->process->fibers, run, delivery)) {
        free(delivery);
        return NULL;
    }
    return delivery;
}

void delivery_wake(struct delivery *delivery)
{
    if (delivery->fiber)
        busi_fiber_wake(delivery->fiber);
}

bool delivery_folder_ready(const struct delivery *delivery)
{
    return delivery->folder_ready;
}

void delivery_stop(struct delivery *delivery)
{
    delivery->stopping = true;
    delivery_wake(delivery);
}

bool delivery_stopped(const struct delivery *delivery)
{
    return delivery->fiber == NULL;
}

void delivery_free(struct delivery **delivery)
{
    free(*delivery);
    *delivery = NULL;
}
