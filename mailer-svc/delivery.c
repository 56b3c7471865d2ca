#include "delivery.h"
#include "base/log.h"
#include "base/metrics.h"
#include "parcel.h"
#include "place.h"
#include "slow_domains.h"
#include "store/backoff.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    POLL_MS = 1000,
    CHECK_MS = 5000,         /* between looks at the folder and the queue's length */
    SWEEP_MS = 60000,        /* between sweeps that found less than they could take */
    REST_MS = 5000,          /* without mails; then connections are closed */
    POISON_ATTEMPTS = 8,     /* of a mail that cannot be rendered: another version may come */
    HELD_WAIT_S = 2,         /* longest pause of a mail while the route does not work */
    LATER_WAIT_S = 15 * 60,  /* and of a mail that was not taken */
    LEASE_MARGIN_MS = 10000, /* for marking what was delivered */
    ARENA_BYTES = 4 * 1024 * 1024,
};

/* One delivery after another. */
struct lane {
    struct delivery *delivery;
    int number;
    struct busi_fiber *fiber; /* NULL: has ended */
    bool idle;                /* waits for mails */
    bool rested;              /* keeps nothing between deliveries */
    int64_t worked_ms;        /* when it last had mails; busi_now_ms() scale */
};

struct delivery {
    struct delivery_options options;
    struct lane *lanes;        /* owned; options.route->lanes of them */
    struct busi_fiber *keeper; /* fiber that probes, looks and sweeps. NULL: has ended */
    bool stopping;
    bool stored; /* a mail, since the last claim was sent */
    bool route_ready;
    bool told;                   /* that it is not was logged */
    bool trying;                 /* a lane finds out whether the route works again */
    int64_t try_ms;              /* not before; busi_now_ms() scale */
    struct busi_backoff backoff; /* of try_ms */
    struct mail_place place;     /* claims of all lanes */
    struct slow_domains slow;    /* what only one lane at a time may serve */
    bool slow_served;            /* a lane does, or may after its claim */
};

/* A claim and what becomes of it. Too large for a fiber's stack. */
struct batch {
    struct delivery *delivery;
    int lane;
    struct mail_claim claim;
    bool may_be_slow;   /* has delivery.slow_served */
    int64_t claimed_ms; /* just before the claim; busi_now_ms() scale */
    struct mail_parcel parcels[MAIL_BATCH];
    size_t n;
    struct mail_parcel *fine[MAIL_BATCH]; /* those that could be rendered */
    size_t n_fine;
};

/* ---- claim and render ---- */

static int64_t lease_ms(const struct delivery *delivery)
{
    const struct mail_route *route = delivery->options.route;
    return route->begin_ms + route->take_ms + LEASE_MARGIN_MS;
}

/* Of any mail: for its lease, or until it is tried again. */
static int64_t longest_wait_ms(const struct delivery *delivery)
{
    int64_t lease = lease_ms(delivery), later = LATER_WAIT_S * 1000LL;
    return (lease > later ? lease : later) + LEASE_MARGIN_MS;
}

static void open_parcel(struct batch *batch, int row)
{
    struct mail_parcel *parcel = &batch->parcels[batch->n++];
    mail_parcel_open(parcel, &batch->claim, row, &batch->delivery->options.setup);
    if (!parcel->broken)
        batch->fine[batch->n_fine++] = parcel;
}

static bool has_slow(const struct batch *batch)
{
    for (size_t i = 0; i < batch->n_fine; i++)
        if (slow_domains_has(&batch->delivery->slow, batch->fine[i]->request.recipient, batch->claimed_ms))
            return true;
    return false;
}

static void claim(struct batch *batch)
{
    struct delivery *delivery = batch->delivery;
    const struct mail_route *route = delivery->options.route;
    char array[SLOW_DOMAINS_ARRAY_BYTES];
    struct mail_wish wish = {route->batch, lease_ms(delivery), BUSI_STR("{}"), 0};
    batch->claimed_ms = busi_now_ms();
    batch->claim.began_ms = busi_lease_ms();
    batch->claim.until_ms = batch->claim.began_ms + route->begin_ms + route->take_ms;
    delivery->stored = false;
    wish.but_for = slow_domains_array(&delivery->slow, batch->claimed_ms, array);
    bool some_slow = wish.but_for.len > strlen("{}");
    if (route->lanes == 1 || !delivery->slow_served) {
        batch->may_be_slow = delivery->slow_served = true;
        wish.but_for = BUSI_STR("{}");
    }
    /* mails of slow domains were passed by: who may take them looks at everything */
    if (!batch->may_be_slow || !some_slow)
        wish.from_us = mail_place_begin(&delivery->place, batch->claimed_ms);
    if (mail_queue_claim(&delivery->options.queue, &wish, &batch->claim.result) == BUSI_OK)
        for (int row = 0; row < batch->claim.result.rows && batch->n < MAIL_BATCH; row++)
            open_parcel(batch, row);
    if (batch->may_be_slow && !has_slow(batch))
        batch->may_be_slow = delivery->slow_served = false;
    if (!batch->may_be_slow)
        mail_place_end(&delivery->place, wish.from_us, batch->claim.last_us, batch->claimed_ms,
                       busi_now_ms());
}

/* ---- deliver ---- */

static void hold_all(struct batch *batch, const char *reason)
{
    for (size_t i = 0; i < batch->n_fine; i++) {
        batch->fine[i]->fate = MAIL_HELD;
        snprintf(batch->fine[i]->reason, sizeof(batch->fine[i]->reason), "%s", reason);
    }
}

static void deliver_on_thread(void *arg, void *state)
{
    struct batch *batch = arg;
    struct mail_route *route = batch->delivery->options.route;
    struct mail_parcel *useful[MAIL_BATCH];
    size_t n = mail_parcels_useful(batch->fine, batch->n_fine, useful);
    (void)state;
    /* a process that was stopped for longer than its lease must not act on it */
    if (busi_now_ms() > batch->claimed_ms + route->begin_ms)
        hold_all(batch, "the lease was over");
    else if (n > 0)
        route->deliver(route, batch->lane, useful, n);
}

/* A quarter of the longest patience with one mail is slow; while the route fails, it says nothing about
 * domains. */
static void note_slow(struct batch *batch, int64_t took_ms)
{
    struct delivery *delivery = batch->delivery;
    bool slow = took_ms >= delivery->options.route->take_ms / 8;
    for (size_t i = 0; i < batch->n_fine; i++)
        if (mail_parcel_was_tried(batch->fine[i]))
            slow_domains_note(&delivery->slow, batch->fine[i]->request.recipient, slow, busi_now_ms());
}

static void deliver_batch(struct batch *batch)
{
    struct delivery *delivery = batch->delivery;
    if (batch->n_fine == 0)
        return;
    int64_t began_ms = busi_now_ms();
    if (busi_offload_run(delivery->options.offload, deliver_on_thread, batch,
                         batch->claimed_ms + delivery->options.route->begin_ms, NULL) != BUSI_OK)
        hold_all(batch, "no thread was free");
    if (delivery->options.route->lanes > 1)
        note_slow(batch, busi_now_ms() - began_ms);
    if (batch->may_be_slow)
        delivery->slow_served = false;
}

/* ---- the route's health ---- */

static void tell_health(struct delivery *delivery, const char *why)
{
    if (why && !delivery->told)
        busi_log(BUSI_ERR, delivery->options.route->name, BUSI_C("why", why));
    else if (!why && delivery->told)
        busi_log(BUSI_INFO, delivery->options.route->name, BUSI_C("why", "works again"));
    delivery->told = why != NULL;
    delivery->route_ready = !why;
    busi_metric_set(BUSI_METRIC_mail_route_ready, !why);
}

static void route_works(struct delivery *delivery)
{
    if (delivery->route_ready)
        return;
    tell_health(delivery, NULL);
    delivery->backoff.pause_ms = 0;
    for (int i = 0; i < delivery->options.route->lanes; i++)
        if (delivery->lanes[i].idle)
            busi_fiber_wake(delivery->lanes[i].fiber);
}

static void route_fails(struct delivery *delivery, const char *why)
{
    tell_health(delivery, why);
    if (busi_now_ms() >= delivery->try_ms) /* once, if several lanes fail together */
        delivery->try_ms = busi_now_ms() + busi_backoff_next(&delivery->backoff);
}

static void judge_route(struct batch *batch)
{
    const char *why = NULL;
    bool tried = false;
    for (size_t i = 0; i < batch->n_fine; i++) {
        tried |= mail_parcel_was_tried(batch->fine[i]);
        if (batch->fine[i]->fate == MAIL_HELD)
            why = batch->fine[i]->reason;
    }
    if (why)
        route_fails(batch->delivery, why);
    else if (tried)
        route_works(batch->delivery);
}

/* ---- settle ---- */

static void mark_delivered(struct batch *batch, struct mail_parcel *const *done, size_t n)
{
    const struct delivery *delivery = batch->delivery;
    enum busi_code code =
        mail_queue_mark_delivered(&delivery->options.queue, done, n, batch->claimed_ms + lease_ms(delivery));
    for (size_t i = 0; i < n; i++)
        busi_log(BUSI_INFO, "mail_delivered", BUSI_I("mail_id", done[i]->mail.id),
                 BUSI_S("kind", done[i]->request.kind), BUSI_I("attempts", done[i]->attempts));
    if (code == BUSI_OK)
        busi_metric_add(BUSI_METRIC_mails_delivered, (int64_t)n);
    else /* goes out again when the lease ends, with the same Message-ID */
        busi_log(BUSI_WARN, "mails_not_marked", BUSI_I("mails", (int64_t)n),
                 BUSI_C("code", busi_code_name((int)code)));
}

static void settle(struct batch *batch)
{
    struct mail_parcel *done[MAIL_BATCH];
    size_t n_done = 0;
    for (size_t i = 0; i < batch->n_fine; i++)
        if (batch->fine[i]->fate == MAIL_DELIVERED)
            done[n_done++] = batch->fine[i];
    if (n_done > 0)
        mark_delivered(batch, done, n_done);
    for (size_t i = 0; i < batch->n; i++) {
        const struct mail_parcel *parcel = &batch->parcels[i];
        if (!parcel->broken && parcel->fate == MAIL_DELIVERED)
            continue;
        bool held = !parcel->broken && parcel->fate == MAIL_HELD;
        mail_queue_put_back(
            &batch->delivery->options.queue, parcel,
            &(struct mail_setback){.error = parcel->broken ? parcel->broken : parcel->reason,
                                   .for_good = !parcel->broken && parcel->fate == MAIL_NEVER,
                                   .expired = !parcel->broken && parcel->fate == MAIL_EXPIRED,
                                   .most_attempts = parcel->broken ? POISON_ATTEMPTS : INT64_MAX,
                                   .longest_wait_s = held ? HELD_WAIT_S : LATER_WAIT_S,
                                   .keep_trying_ms = batch->delivery->options.route->keep_trying_ms});
    }
}

/* ---- lanes ---- */

/* The others wait without asking the database: who finds something fetches one more. */
static void wake_one(struct delivery *delivery)
{
    for (int i = 0; i < delivery->options.route->lanes; i++) {
        struct lane *lane = &delivery->lanes[i];
        if (!lane->idle)
            continue;
        lane->idle = false;
        busi_fiber_wake(lane->fiber);
        return;
    }
}

/* True when there may be more. */
static bool deliver(struct lane *lane)
{
    struct delivery *delivery = lane->delivery;
    struct batch *batch = calloc(1, sizeof(*batch));
    if (!batch)
        return false;
    batch->delivery = delivery;
    batch->lane = lane->number;
    busi_arena_init(&batch->claim.arena, ARENA_BYTES);
    claim(batch);
    bool full = batch->n == delivery->options.route->batch;
    if (full && delivery->route_ready)
        wake_one(delivery);
    if (batch->n_fine > 0) {
        lane->worked_ms = busi_now_ms();
        lane->rested = false;
    }
    deliver_batch(batch);
    judge_route(batch);
    settle(batch);
    for (size_t i = 0; i < batch->n; i++)
        busi_buf_fini(&batch->parcels[i].text);
    busi_pg_clear(&batch->claim.result);
    busi_arena_fini(&batch->claim.arena);
    free(batch);
    return full || delivery->stored;
}

/* While the route does not work, one lane at a time finds out whether it does again. */
static bool work(struct lane *lane)
{
    struct delivery *delivery = lane->delivery;
    if (!busi_pg_ready(delivery->options.queue.pg))
        return false;
    if (delivery->route_ready)
        return deliver(lane);
    if (delivery->options.route->probe || delivery->trying || busi_now_ms() < delivery->try_ms)
        return false;
    delivery->trying = true;
    bool more = deliver(lane);
    delivery->trying = false;
    return more && delivery->route_ready;
}

static void rest_on_thread(void *arg, void *state)
{
    struct lane *lane = arg;
    (void)state;
    lane->delivery->options.route->rest(lane->delivery->options.route, lane->number);
}

static void rest(struct lane *lane)
{
    if (lane->rested || !lane->delivery->options.route->rest)
        return;
    lane->rested = busi_offload_run(lane->delivery->options.offload, rest_on_thread, lane,
                                    busi_now_ms() + CHECK_MS, NULL) == BUSI_OK;
}

/* The first lane looks by itself, too: mails become due, and other mailers store some. */
static void wait_for_mails(struct lane *lane)
{
    struct delivery *delivery = lane->delivery;
    int64_t now = busi_now_ms(), until = INT64_MAX;
    if (lane->number == 0)
        until = !delivery->route_ready && delivery->try_ms > now && delivery->try_ms < now + POLL_MS
                    ? delivery->try_ms
                    : now + POLL_MS;
    else if (!lane->rested)
        until = now + REST_MS;
    lane->idle = true;
    (void)busi_fiber_wait(until);
    lane->idle = false;
}

static void run_lane(void *arg)
{
    struct lane *lane = arg;
    struct delivery *delivery = lane->delivery;
    lane->fiber = busi_fiber_self();
    lane->rested = true;
    while (!delivery->stopping) {
        if (work(lane) || delivery->stopping)
            continue;
        if (busi_now_ms() >= lane->worked_ms + REST_MS)
            rest(lane);
        if (!delivery->stopping)
            wait_for_mails(lane);
    }
    rest(lane);
    lane->fiber = NULL;
}

/* ---- the keeper ---- */

struct probe {
    struct mail_route *route;
    bool first;
    const char *why; /* NULL: it works */
};

static void probe_on_thread(void *arg, void *state)
{
    struct probe *probe = arg;
    (void)state;
    probe->why = probe->route->probe(probe->route, probe->first);
}

static void check_route(struct delivery *delivery, bool first)
{
    struct probe probe = {delivery->options.route, first, NULL};
    if (!probe.route->probe)
        return;
    enum busi_code code =
        busi_offload_run(delivery->options.offload, probe_on_thread, &probe, busi_now_ms() + CHECK_MS, NULL);
    if (code != BUSI_OK)
        probe.why = busi_code_name((int)code);
    if (probe.why)
        tell_health(delivery, probe.why);
    else
        route_works(delivery);
}

static void run_keeper(void *arg)
{
    struct delivery *delivery = arg;
    const struct mail_queue *queue = &delivery->options.queue;
    int64_t check_ms = 0, sweep_ms = 0;
    delivery->keeper = busi_fiber_self();
    check_route(delivery, true);
    while (!delivery->stopping) {
        (void)busi_fiber_wait(busi_now_ms() + POLL_MS);
        if (delivery->stopping || (delivery->route_ready && busi_now_ms() < check_ms))
            continue;
        check_route(delivery, false);
        check_ms = busi_now_ms() + CHECK_MS;
        if (!busi_pg_ready(queue->pg))
            continue;
        while (mail_queue_expire(queue) && !delivery->stopping)
            continue;
        mail_queue_look(queue);
        if (busi_now_ms() >= sweep_ms && !mail_queue_sweep(queue, longest_wait_ms(delivery)))
            sweep_ms = busi_now_ms() + SWEEP_MS;
    }
    delivery->keeper = NULL;
}

/* ---- life ---- */

struct delivery *delivery_new(const struct delivery_options *options)
{
    struct delivery *delivery = calloc(1, sizeof(*delivery));
    if (!delivery)
        return NULL;
    delivery->options = *options;
    delivery->route_ready = !options->route->probe;
    delivery->lanes = calloc((size_t)options->route->lanes, sizeof(*delivery->lanes));
    if (!delivery->lanes) {
        free(delivery);
        return NULL;
    }
    for (int i = 0; i < options->route->lanes; i++)
        delivery->lanes[i] = (struct lane){.delivery = delivery, .number = i};
    return delivery;
}

bool delivery_start(struct delivery *delivery)
{
    struct busi_fibers *fibers = delivery->options.process->fibers;
    busi_metric_set(BUSI_METRIC_mail_route_ready, delivery->route_ready);
    for (int i = 0; i < delivery->options.route->lanes; i++)
        if (!busi_fiber_start(fibers, run_lane, &delivery->lanes[i]))
            return false;
    return busi_fiber_start(fibers, run_keeper, delivery);
}

void delivery_wake(struct delivery *delivery)
{
    delivery->stored = true;
    wake_one(delivery);
}

bool delivery_ready(const struct delivery *delivery)
{
    return delivery->route_ready || !delivery->options.route->probe;
}

void delivery_stop(struct delivery *delivery)
{
    delivery->stopping = true;
    delivery->options.route->leave(delivery->options.route);
    for (int i = 0; i < delivery->options.route->lanes; i++)
        if (delivery->lanes[i].fiber)
            busi_fiber_wake(delivery->lanes[i].fiber);
    if (delivery->keeper)
        busi_fiber_wake(delivery->keeper);
}

bool delivery_stopped(const struct delivery *delivery)
{
    for (int i = 0; i < delivery->options.route->lanes; i++)
        if (delivery->lanes[i].fiber)
            return false;
    return delivery->keeper == NULL;
}

void delivery_free(struct delivery **delivery)
{
    free((*delivery)->lanes);
    free(*delivery);
    *delivery = NULL;
}
