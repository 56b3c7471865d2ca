#include "rpc/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "rpc/envelope.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PER_TURN = 512,      /* replies read before others get their turn */
    PING_MS = 500,       /* pause between pings */
    DEAD_AFTER = 3,      /* missed in a row */
    SLOW_MS = 1000,      /* oldest call in flight for so long, and nothing heard for QUIET_MS: suspect */
    OWN_STALL_MS = 400,  /* our own loop stood still: what it did not hear is not the worker's fault */
    QUIET_MS = 500,      /* no reply of any kind */
    MOVE_AFTER_MS = 250, /* a suspect's idempotent calls older than this are tried elsewhere */
    DESERTED_MS = 200,   /* for calls in flight so long it is asked whether their clients are still there */
    MOST_DESERTED = 128, /* of them, each tick */
    CANCEL_BUDGET_MS = 1000,
    WATCH_MS = 20000,  /* a watch lasts so long */
    REWATCH_MS = 10000 /* and is made anew after that */
};

/* What is no call has 0 in the bits of its id where calls have their slot. */
enum kind { PING, WATCH, CANCEL };
enum { NUMBER_SHIFT = 16, KIND_SHIFT = 61 };

/* ---- calls in flight ---- */

static void link_in(struct busi_worker *worker, struct busi_pending *pending, uint64_t id)
{
    pending->in_flight_id = id;
    pending->worker = worker;
    pending->newer = NULL;
    pending->older = worker->newest;
    if (worker->newest)
        worker->newest->newer = pending;
    else
        worker->oldest = pending;
    worker->newest = pending;
    worker->in_flight++;
    busi_metric_add(BUSI_METRIC_rpc_in_flight, 1);
}

static void link_out(struct busi_pending *pending)
{
    struct busi_worker *worker = pending->worker;
    if (pending->older)
        pending->older->newer = pending->newer;
    else
        worker->oldest = pending->newer;
    if (pending->newer)
        pending->newer->older = pending->older;
    else
        worker->newest = pending->older;
    pending->in_flight_id = 0;
    pending->worker = NULL;
    worker->in_flight--;
    busi_metric_add(BUSI_METRIC_rpc_in_flight, -1);
}

static uint64_t note_id(enum kind kind, uint64_t number)
{
    return (uint64_t)kind << KIND_SHIFT | number << NUMBER_SHIFT;
}

/* What is no call: nobody waits for the answer. */
static void send_note(struct busi_worker *worker, uint64_t id, enum busi_method_id method, int64_t budget_ms,
                      const void *in)
{
    struct busi_buf buf;
    struct busi_frame frame;
    const struct busi_method *row = busi_method_get(method);
    busi_buf_init(&buf, BUSI_RPC_MAX_REQUEST);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = busi_str_of(row->wire), .id = id, .budget_ms = budget_ms},
        row->request(), in);
    if (!buf.failed && busi_frame_take(&frame, &buf, NULL)) {
        (void)busi_link_send(worker->link, &frame); /* not sent is not answered */
        busi_frame_wipe(&frame);
    }
    busi_buf_fini(&buf);
}

/* Its caller has left, or asks another worker: this one need not go on. */
static void let_go(struct busi_pending *pending)
{
    struct busi_worker *worker = pending->worker;
    if (worker->cancels && worker->up)
        send_note(worker, note_id(CANCEL, 1), BUSI_METHOD_rpc_cancel, CANCEL_BUDGET_MS,
                  &(struct busi_cancel_request){.id = (int64_t)pending->in_flight_id});
}

static void finish(struct busi_worker *worker, struct busi_pending *pending, enum busi_verdict verdict)
{
    link_out(pending);
    if (!busi_pending_finish(pending, verdict))
        busi_pending_give(worker->pool, pending);
}

bool busi_worker_send(struct busi_worker *worker, struct busi_pending *pending)
{
    const uint64_t id = busi_pending_id(pending);
    if (!busi_link_send(worker->link, &pending->frame)) {
        worker->not_taken = id;
        return false;
    }
    pending->sent_ms = busi_now_ms();
    link_in(worker, pending, id);
    return true;
}

void busi_worker_forget(struct busi_pending *pending)
{
    if (pending->in_flight_id == 0)
        return;
    let_go(pending);
    link_out(pending);
}

void busi_worker_cancel(struct busi_pending *pending)
{
    let_go(pending);
    finish(pending->worker, pending, BUSI_CALLED_OFF);
}

static void lose_all(struct busi_worker *worker)
{
    while (worker->oldest)
        finish(worker, worker->oldest, BUSI_LOST);
}

/* It may wake up: then it shall do none of this, their callers have been told that it is not done. */
static void let_go_all(struct busi_worker *worker)
{
    for (struct busi_pending *pending = worker->oldest; pending; pending = pending->newer)
        let_go(pending);
    lose_all(worker);
}

/* Those that may be sent again have a better chance elsewhere than with one who does not answer. */
static void lose_movable(struct busi_worker *worker, int64_t now_ms)
{
    for (struct busi_pending *pending = worker->oldest, *newer; pending; pending = newer) {
        newer = pending->newer;
        if (now_ms - pending->sent_ms < MOVE_AFTER_MS)
            return;
        if (!pending->idempotent)
            continue;
        let_go(pending);
        finish(worker, pending, BUSI_LOST);
    }
}

static void drop_abandoned(struct busi_worker *worker)
{
    for (struct busi_pending *pending = worker->oldest, *newer; pending; pending = newer) {
        newer = pending->newer;
        if (!busi_pending_abandoned(pending))
            continue;
        busi_worker_forget(pending);
        busi_pending_give(worker->pool, pending);
    }
}

/* A descriptor may be another's by now, when its call has been abandoned: then it is not cancelled, either.
 */
static void cancel_deserted(struct busi_worker *worker, int64_t now_ms)
{
    struct pollfd files[MOST_DESERTED];
    struct busi_pending *whose[MOST_DESERTED];
    nfds_t n = 0;
    for (struct busi_pending *pending = worker->oldest;
         pending && n < MOST_DESERTED && now_ms - pending->sent_ms >= DESERTED_MS; pending = pending->newer) {
        if (pending->client_fd == 0)
            continue;
        files[n] = (struct pollfd){.fd = pending->client_fd};
        whose[n++] = pending;
    }
    if (n == 0 || poll(files, n, 0) <= 0)
        return;
    for (nfds_t i = 0; i < n; i++)
        if (files[i].revents & (POLLHUP | POLLERR))
            busi_worker_cancel(whose[i]);
}

/* ---- health ---- */

static void note_state(const struct busi_worker *worker, const char *event)
{
    busi_log(BUSI_INFO, event, BUSI_C("worker", worker->endpoint),
             BUSI_I("in_flight", (int64_t)worker->in_flight));
}

static void ping(struct busi_worker *worker, int64_t now_ms)
{
    worker->ping++;
    worker->ping_ms = now_ms;
    send_note(worker, note_id(PING, worker->ping), BUSI_METHOD_rpc_health, PING_MS * DEAD_AFTER,
              &(struct busi_empty){0});
}

/* So that a change is heard of before the next ping. */
static void watch(struct busi_worker *worker, int64_t now_ms)
{
    if (!worker->cancels || (worker->watched_ms != 0 && now_ms - worker->watched_ms < REWATCH_MS))
        return;
    worker->watched_ms = now_ms;
    send_note(worker, note_id(WATCH, 1), BUSI_METHOD_rpc_watch, WATCH_MS, &(struct busi_empty){0});
}

/* Who takes its place has a name already, or will have in a moment. */
static void set_draining(struct busi_worker *worker, bool draining)
{
    worker->leaves |= draining && !worker->draining;
    worker->draining = draining;
}

static void tell(struct busi_worker *worker, enum busi_worker_state state)
{
    if (state == worker->told)
        return;
    worker->told = state;
    if (worker->on_state)
        worker->on_state(worker->on_state_arg, worker->service, worker->endpoint + strlen("tcp://"), state);
}

static enum busi_worker_state state_of(const struct busi_worker *worker)
{
    if (!busi_worker_alive(worker))
        return BUSI_WORKER_GONE;
    if (worker->draining)
        return BUSI_WORKER_DRAINING;
    return worker->ready ? BUSI_WORKER_SERVING : BUSI_WORKER_NOT_READY;
}

static void take_health(struct busi_worker *worker, const struct busi_reply_head *head)
{
    struct busi_health_reply health = {0};
    struct busi_reader reader;
    struct busi_arena arena;
    const char *bad;
    busi_arena_init(&arena, 1024); /* the message has no lists */
    busi_reader_init(&reader, head->body.ptr, head->body.len);
    bool fine =
        head->code == BUSI_OK && busi_decode(&reader, busi_desc_health_reply(), &health, &arena, &bad);
    busi_arena_fini(&arena);
    if (!fine) {
        busi_metric_add(BUSI_METRIC_rpc_malformed, 1);
        return;
    }
    if (!worker->heard)
        note_state(worker, "worker_up");
    worker->heard = true;
    worker->missed = 0;
    worker->ready = health.ready;
    worker->cancels = health.cancels;
    set_draining(worker, health.draining);
}

static void take_note(struct busi_worker *worker, const struct busi_reply_head *head)
{
    enum kind kind = (enum kind)(head->id >> KIND_SHIFT);
    if (kind == PING)
        worker->pong = head->id >> NUMBER_SHIFT;
    if (kind == PING || kind == WATCH)
        take_health(worker, head);
}

static void go_down(struct busi_worker *worker)
{
    if (worker->up) { /* a handshake that fails goes down, too */
        note_state(worker, "worker_down");
        worker->down_ms = busi_now_ms();
    }
    worker->leaves |= worker->up;
    worker->up = worker->heard = worker->draining = worker->cancels = false;
    worker->missed = 0;
    worker->watched_ms = 0;
    lose_all(worker);
}

static void check_pings(struct busi_worker *worker, int64_t now_ms)
{
    if (now_ms - worker->ping_ms < PING_MS)
        return;
    if (worker->pong != worker->ping)
        worker->missed++;
    if (worker->missed == DEAD_AFTER && worker->heard) {
        note_state(worker, "worker_silent");
        worker->heard = false;
        let_go_all(worker);
    } else if (worker->missed > 0 && now_ms - worker->heard_ms > QUIET_MS) { /* else it is only far away */
        lose_movable(worker, now_ms);
    }
    ping(worker, now_ms);
}

void busi_worker_tick(struct busi_worker *worker, int64_t now_ms)
{
    drop_abandoned(worker);
    cancel_deserted(worker, now_ms);
    if (now_ms - worker->ticked_ms > OWN_STALL_MS)
        worker->ping_ms = now_ms;
    worker->ticked_ms = now_ms;
    if (worker->up) {
        check_pings(worker, now_ms);
        watch(worker, now_ms);
    }
    tell(worker, state_of(worker));
}

bool busi_worker_alive(const struct busi_worker *worker)
{
    return worker->up && worker->heard;
}

int busi_worker_rank(const struct busi_worker *worker, int64_t now_ms)
{
    if (worker->retired)
        return 4;
    if (worker->draining)
        return 3;
    bool slow =
        worker->oldest && now_ms - worker->oldest->sent_ms > SLOW_MS && now_ms - worker->heard_ms > QUIET_MS;
    if (worker->missed > 0 || slow)
        return 2;
    return worker->ready ? 0 : 1;
}

bool busi_worker_leaves(struct busi_worker *worker)
{
    bool leaves = worker->leaves;
    worker->leaves = false;
    return leaves;
}

/* ---- what comes in ---- */

static void take_reply(struct busi_worker *worker, struct busi_frame *frame)
{
    struct busi_reply_head head;
    const char *bad;
    if (!busi_reply_decode(busi_frame_bytes(frame), &head, &bad)) {
        busi_metric_add(BUSI_METRIC_rpc_malformed, 1);
        busi_log(BUSI_WARN, "reply_malformed", BUSI_C("worker", worker->endpoint), BUSI_C("why", bad));
        return;
    }
    if (head.id == 0) {
        set_draining(worker, head.draining);
        return;
    }
    if ((head.id & UINT16_MAX) == 0) {
        take_note(worker, &head);
        return;
    }
    struct busi_pending *pending = busi_pending_find(worker->pool, head.id);
    if (!pending || pending->worker != worker) { /* one worker cannot answer for another */
        busi_metric_add(BUSI_METRIC_rpc_late, 1);
        return;
    }
    if (busi_pending_abandoned(pending))
        busi_metric_add(BUSI_METRIC_rpc_late, 1);
    busi_frame_move(&pending->frame, frame);
    finish(worker, pending, BUSI_REPLIED);
}

static void read_some(struct busi_worker *worker)
{
    struct busi_frame frame;
    busi_frame_init(&frame);
    enum busi_received received = BUSI_RECEIVED;
    for (int i = 0; i < PER_TURN && received != BUSI_RECEIVED_NOTHING; i++) {
        received = busi_link_receive(worker->link, &frame);
        if (received == BUSI_RECEIVED)
            take_reply(worker, &frame);
        else if (received == BUSI_RECEIVED_GARBAGE)
            busi_metric_add(BUSI_METRIC_rpc_malformed, 1);
        if (i == 0 && received == BUSI_RECEIVED)
            worker->heard_ms = busi_now_ms();
    }
    busi_frame_wipe(&frame);
    tell(worker, state_of(worker));
}

static void on_readable(void *arg, unsigned events)
{
    (void)events;
    read_some(arg);
}

static void on_event(void *arg, unsigned events)
{
    struct busi_worker *worker = arg;
    (void)events;
    for (enum busi_link_event event = busi_link_event(worker->monitor, NULL); event != BUSI_LINK_QUIET;
         event = busi_link_event(worker->monitor, NULL)) {
        if (event == BUSI_LINK_UP) {
            worker->up = true;
            worker->refused = false;
            worker->orphan_ms = 0;
            ping(worker, busi_now_ms());
        } else if (event == BUSI_LINK_DOWN) {
            read_some(worker); /* answers that came before it went */
            go_down(worker);
            worker->orphan_ms = busi_now_ms();
            tell(worker, BUSI_WORKER_GONE);
        } else if (event == BUSI_LINK_RETRIES) {
            worker->orphan_ms = 0;
        } else if (event == BUSI_LINK_REFUSED && !worker->refused) {
            worker->refused = true;
            busi_log(BUSI_WARN, "worker_refused_us", BUSI_C("worker", worker->endpoint),
                     BUSI_C("why", "our key is not in its allow folder, or the certificate is not its own"));
        }
    }
}

/* ---- life ---- */

static bool connect_link(struct busi_worker *worker, const struct busi_worker_options *options,
                         const char **error)
{
    *error = "no more sockets";
    worker->link = busi_link_open(BUSI_LINK_CLIENT, options->most_queued, BUSI_RPC_MAX_REPLY);
    if (!worker->link)
        return false;
    if (options->curve &&
        !busi_curve_join(options->curve, worker->link, options->key_file, options->next_key, error))
        return false;
    *error = "no more sockets";
    worker->monitor = busi_link_monitor(worker->link);
    if (!worker->monitor)
        return false;
    worker->watch = busi_loop_socket(options->loop, worker->link, on_readable, worker);
    worker->events = busi_loop_socket(options->loop, worker->monitor, on_event, worker);
    return worker->watch && worker->events && busi_link_connect(worker->link, worker->endpoint);
}

struct busi_worker *busi_worker_open(const struct busi_worker_options *options, const char **error)
{
    struct busi_worker *worker = calloc(1, sizeof *worker);
    *error = "out of memory";
    if (!worker)
        return NULL;
    worker->pool = options->pool;
    worker->service = options->service;
    worker->on_state = options->on_state;
    worker->on_state_arg = options->on_state_arg;
    worker->next_key = options->next_key;
    worker->keys = options->curve ? busi_curve_renew(options->curve) : 0;
    worker->down_ms = busi_now_ms();
    worker->ipv4 = options->ipv4;
    worker->port = options->port;
    char address[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &options->ipv4, address, sizeof address);
    snprintf(worker->endpoint, sizeof worker->endpoint, "tcp://%s:%u", address, (unsigned)options->port);
    if (connect_link(worker, options, error)) {
        *error = NULL;
        return worker;
    }
    busi_worker_close(&worker);
    return NULL;
}

void busi_worker_close(struct busi_worker **worker)
{
    if (!*worker)
        return;
    lose_all(*worker);
    tell(*worker, BUSI_WORKER_GONE);
    busi_watch_free(&(*worker)->watch);
    busi_watch_free(&(*worker)->events);
    busi_link_close(&(*worker)->link);
    busi_link_close(&(*worker)->monitor);
    free(*worker);
    *worker = NULL;
}
