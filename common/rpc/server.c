#include "rpc/server.h"
#include "base/log.h"
#include "base/metrics.h"
#include "rpc/about.h"
#include "rpc/crowd.h"
#include "rpc/server_call.h"
#include "rpc/unread.h"
#include <pthread.h>
#include <stdlib.h>

enum {
    PER_TURN = 256,     /* requests read before others get their turn */
    MOST_QUEUED = 1024, /* per client and direction: a gateway's calls, and as many cancelled */
    MOST_METHODS = 256,
    LOOK_MS = 100,      /* how often the loop proves that it runs */
    MOST_DEAF = 40,     /* looks without a turn of the thread that lets clients in */
    STALL_MS = 300,     /* it did not run for so long: what waits may be old */
    GIVEN_UP_MS = 1400, /* and for so long: its callers may have turned to others */
    RETRY_MS = 1000,    /* for who has asked for too much, or whose certificate may be put right */
    COMPLAIN_MS = 1000, /* least pause between log lines a stranger can cause */
    STALE_MS = 100      /* how long what comes in after a stall may be from before */
};

struct busi_rpc_server {
    struct busi_rpc_server_options options; /* borrowed pointers */
    char endpoint[128];                     /* really bound */
    struct busi_loop *loop;                 /* borrowed */
    struct busi_calls calls;                /* with the link */
    struct busi_about about;                /* answers rpc.* */
    void *monitor;                          /* what happens to the link's connections; owned */
    struct busi_watch *watch, *events;      /* of both */
    struct busi_connections connections;    /* of the link */
    struct busi_timer *look;                /* every LOOK_MS */
    struct busi_served_method *methods;     /* owned; endpoints and rpc.* */
    size_t n_methods;                       /* of them */
    uint64_t curve_turns;                   /* busi_curve_turns() of the last look */
    int deaf_looks;                         /* looks since that has grown */
    int64_t complained_ms;                  /* last log line about a stranger */
    int64_t looked_ms;                      /* when the loop last ran */
    int64_t turn_us, slept_us;              /* when its turn began, and how long it had slept until then */
    int64_t busy_us;                        /* how long it was busy with the turn before */
    int64_t stalled_ms;                     /* how long it stood still before stale_until_ms */
    int64_t stale_until_ms;                 /* until then what is read may have waited stalled_ms */
    bool holds;                             /* what is read until then */
    bool somebody_left;                     /* a connection has ended since the last look */
};

/* ---- what comes in ---- */

static const struct busi_served_method *find_method(const struct busi_rpc_server *server,
                                                    struct busi_str wire)
{
    for (size_t i = 0; i < server->n_methods; i++)
        if (busi_str_eq(server->methods[i].wire, wire))
            return &server->methods[i];
    return NULL;
}

/* What is read may have come when the loop had just begun its turn before, and has waited since; and when it
 * stood still (stopped, or the machine was), for as long. Budgets, which say what was left when they were
 * sent, have shrunk by that. Not of what is answered at once: to call something off is not too late before
 * that has begun. */
static int64_t budget_end(const struct busi_rpc_server *server, const struct busi_served *served,
                          int64_t now_us)
{
    int64_t now_ms = now_us / 1000, waited_ms = 0;
    if (served->method && served->method->handler) {
        waited_ms = (server->busy_us + now_us - server->turn_us) / 1000;
        if (now_ms < server->stale_until_ms && server->stalled_ms > waited_ms)
            waited_ms = server->stalled_ms;
    }
    return now_ms + served->head.budget_ms - waited_ms;
}

/* What every service has is everybody's. Without CURVE nobody is known by name. */
static bool may_call(const struct busi_rpc_server *server, struct busi_served *served)
{
    return !served->method->handler || !server->options.curve ||
           busi_curve_may(server->options.curve, busi_frame_sender(&served->frame), served->method->id);
}

static void begin(void *arg, struct busi_served *served)
{
    const struct busi_rpc_server *server = arg;
    busi_served_start(served, server->options.fibers, server->options.state);
}

/* NULL: it may be begun. What is small and answered at once always is. */
static const char *too_much(struct busi_served *served)
{
    if (!served->method->handler && served->method->id != BUSI_METHOD_rpc_describe)
        return NULL;
    if (!busi_calls_is_read(served))
        return "read the answers that are on their way first";
    return busi_calls_has_room(served) ? NULL : "too many large requests at once";
}

static void shed(struct busi_served *served, const char *why)
{
    busi_metric_add(BUSI_METRIC_rpc_shed, 1);
    busi_served_refuse(served, BUSI_RESOURCE_EXHAUSTED, why, RETRY_MS);
}

static void take_call(struct busi_rpc_server *server, struct busi_served *served, int64_t now_us)
{
    static const struct busi_served_method none = {.wire = {"unknown", 7}};
    int64_t now_ms = now_us / 1000;
    const char *why;
    served->began_us = now_us;
    served->method = find_method(server, served->head.method);
    served->until_ms = budget_end(server, served, now_us);
    if (served->until_ms <= now_ms) {
        busi_metric_add(BUSI_METRIC_rpc_expired, 1);
        busi_calls_give(served);
    } else if (!served->method) {
        served->method = &none;
        busi_served_refuse(served, BUSI_UNIMPLEMENTED,
                           "no such method here; rpc.Describe has those there are", 0);
    } else if (!may_call(server, served)) {
        busi_metric_add(BUSI_METRIC_rpc_denied, 1);
        busi_served_refuse(served, BUSI_PERMISSION_DENIED,
                           "this client's certificate does not name the method", RETRY_MS);
    } else if ((why = too_much(served)) != NULL) {
        shed(served, why);
    } else if (served->method->handler && server->holds) {
        busi_calls_hold(served);
    } else if (served->method->handler) {
        begin(server, served);
    } else {
        busi_served_at_once(served, &server->about);
    }
}

/* The metrics count all; the log says it now and then. caller may be absent. */
static void complain(struct busi_rpc_server *server, const char *event, const char *why,
                     struct busi_str caller)
{
    int64_t now_ms = busi_now_ms();
    if (now_ms - server->complained_ms < COMPLAIN_MS)
        return;
    server->complained_ms = now_ms;
    busi_log(BUSI_WARN, event, BUSI_C("why", why), BUSI_S("caller", caller));
}

static void note_malformed(struct busi_rpc_server *server, const char *why, struct busi_str caller)
{
    busi_metric_add(BUSI_METRIC_rpc_malformed, 1);
    complain(server, "rpc_malformed", why, caller);
}

/* Who wrote it is told what is wrong, if it can be told for which call. */
static void take_malformed(struct busi_rpc_server *server, struct busi_served *served, const char *why)
{
    note_malformed(server, why, busi_frame_sender(&served->frame));
    if (served->head.id != 0)
        busi_served_reject(served, why);
    else
        busi_calls_give(served);
}

/* False: nothing more is there. */
static bool receive(struct busi_rpc_server *server)
{
    const char *bad;
    struct busi_served *served = busi_calls_take(&server->calls);
    if (!served)
        return false;
    enum busi_received received = busi_link_receive_from(server->calls.link, &served->peer, &served->frame);
    if (received == BUSI_RECEIVED) {
        if (busi_request_decode(busi_frame_bytes(&served->frame), &served->head, &bad))
            take_call(server, served, busi_now_us());
        else
            take_malformed(server, served, bad);
        return true;
    }
    if (received == BUSI_RECEIVED_GARBAGE)
        note_malformed(server, "envelope: not one frame", (struct busi_str){0});
    busi_calls_give(served);
    return received != BUSI_RECEIVED_NOTHING;
}

/* A caller that heard nothing for long has made its call at another worker, and perhaps others since, which
 * an old one must not undo. So after a long stall nothing goes on that has not written yet; and what comes is
 * not begun before those that were called off, and those whose callers have left, are known. */
static void look(struct busi_rpc_server *server)
{
    int64_t now_ms = busi_now_ms(), gap_ms = now_ms - server->looked_ms;
    server->looked_ms = now_ms;
    if (gap_ms < STALL_MS)
        return;
    server->stalled_ms = gap_ms;
    server->stale_until_ms = now_ms + STALE_MS;
    busi_log(BUSI_WARN, "loop_stalled", BUSI_I("ms", gap_ms));
    if (gap_ms < GIVEN_UP_MS)
        return;
    server->holds = true;
    busi_calls_cut(&server->calls);
}

/* Each turn begins with it: before a fiber goes on that waits for something that has come meanwhile. */
static void on_turn(void *arg)
{
    struct busi_rpc_server *server = arg;
    int64_t now_us = busi_now_us(), slept_us = busi_loop_slept_us(server->loop);
    server->busy_us = now_us - server->turn_us - (slept_us - server->slept_us);
    server->turn_us = now_us;
    server->slept_us = slept_us;
    look(server);
}

static void let_go(struct busi_rpc_server *server)
{
    if (!server->holds || busi_now_ms() < server->stale_until_ms)
        return;
    server->holds = false;
    busi_calls_release(&server->calls, begin, server);
}

/* Looks are counted, not time: when the whole process stood still that thread is not to blame. */
static void listen_for_curve(struct busi_rpc_server *server)
{
    uint64_t turns = server->options.curve ? busi_curve_turns(server->options.curve) : 0;
    bool deaf = server->deaf_looks >= MOST_DEAF;
    server->deaf_looks = !server->options.curve || turns != server->curve_turns ? 0 : server->deaf_looks + 1;
    server->curve_turns = turns;
    if (server->deaf_looks == MOST_DEAF)
        busi_log(BUSI_ERR, "curve_silent", BUSI_C("why", "no client can be let in"));
    else if (deaf && server->deaf_looks == 0)
        busi_log(BUSI_INFO, "curve_answers");
    if (deaf != (server->deaf_looks >= MOST_DEAF))
        busi_metric_add(BUSI_METRIC_curve_silent, deaf ? -1 : 1);
}

static void tell_crowd(const struct busi_rpc_server *server)
{
    size_t most = server->options.most_connections;
    busi_curve_crowd(server->options.curve, busi_connections_old(&server->connections, busi_now_ms()),
                     most > 0 ? most : BUSI_CROWD_MOST);
}

static void on_look(void *arg)
{
    struct busi_rpc_server *server = arg;
    listen_for_curve(server);
    if (server->options.curve)
        tell_crowd(server);
    busi_about_look(&server->about);
    if (server->somebody_left) /* the link knows who, by now */
        busi_calls_cancel_orphans(&server->calls, server->about.draining);
    server->somebody_left = false;
    let_go(server);
}

static void on_readable(void *arg, unsigned events)
{
    struct busi_rpc_server *server = arg;
    (void)events;
    look(server);
    for (int i = 0; i < PER_TURN; i++)
        if (!receive(server))
            return;
}

static void on_event(void *arg, unsigned events)
{
    struct busi_rpc_server *server = arg;
    (void)events;
    int fd = -1;
    for (enum busi_link_event event = busi_link_event(server->monitor, &fd); event != BUSI_LINK_QUIET;
         event = busi_link_event(server->monitor, &fd)) {
        if (event == BUSI_LINK_CAME)
            busi_connections_came(&server->connections, fd, busi_now_ms());
        else if (event == BUSI_LINK_DOWN)
            busi_connections_went(&server->connections, fd);
        if (event == BUSI_LINK_REFUSED)
            complain(server, "peer_refused", "failed the handshake", (struct busi_str){0});
        server->somebody_left |= event == BUSI_LINK_DOWN;
    }
}

void busi_rpc_server_drain(struct busi_rpc_server *server)
{
    busi_about_drain(&server->about);
}

/* ---- life ---- */

static struct busi_histogram *histograms[BUSI_METHODS];

static void make_histograms(void)
{
    for (int i = 0; i < BUSI_METHODS; i++) {
        histograms[i] = busi_histogram_new("busi_rpc_server_duration_seconds", "Calls answered", "method",
                                           busi_method_get((enum busi_method_id)i)->wire);
        if (histograms[i])
            busi_histogram_code_names(histograms[i], busi_code_name);
    }
}

static void add_method(struct busi_rpc_server *server, const struct busi_endpoint *endpoint, bool at_once)
{
    const struct busi_method *method = busi_method_get(endpoint->method);
    server->methods[server->n_methods++] =
        (struct busi_served_method){.id = endpoint->method,
                                    .method = method,
                                    .wire = busi_str_of(method->wire),
                                    .handler = at_once ? NULL : endpoint->handler,
                                    .at_once = at_once ? endpoint->handler : NULL,
                                    .histogram = histograms[endpoint->method]};
}

/* A moment after a long stall it is not: callers would come at once, and what is read then passes for old. */
static bool is_ready(void *arg)
{
    const struct busi_rpc_server *server = arg;
    return busi_rpc_server_ready(server) && !server->holds;
}

static bool add_methods(struct busi_rpc_server *server)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_histograms);
    size_t n = server->options.n_endpoints, all = n + busi_about_n_endpoints;
    server->methods = all <= MOST_METHODS ? calloc(all, sizeof *server->methods) : NULL;
    if (!server->methods)
        return false;
    for (size_t i = 0; i < n; i++)
        add_method(server, &server->options.endpoints[i], false);
    for (size_t i = 0; i < busi_about_n_endpoints; i++)
        add_method(server, &busi_about_endpoints[i], true);
    server->about = (struct busi_about){.service = server->options.service,
                                        .ready = is_ready,
                                        .server = server,
                                        .calls = &server->calls,
                                        .endpoints = server->options.endpoints,
                                        .n_endpoints = n};
    return true;
}

/* Its owner has freed it, and the last call is over. */
static void destroy(void *arg)
{
    struct busi_rpc_server *server = arg;
    busi_calls_fini(&server->calls);
    busi_peers_fini(&server->about.peers);
    busi_connections_fini(&server->connections);
    free(server->methods);
    free(server);
}

static const char *start(struct busi_rpc_server *server)
{
    char endpoint[128];
    struct busi_str bind = server->options.bind;
    if (bind.len >= sizeof endpoint)
        return "the endpoint is too long";
    memcpy(endpoint, bind.ptr, bind.len);
    endpoint[bind.len] = 0;
    server->calls.link = busi_link_open(BUSI_LINK_SERVER, MOST_QUEUED, BUSI_RPC_MAX_REQUEST);
    server->monitor = server->calls.link ? busi_link_monitor(server->calls.link) : NULL;
    if (!server->monitor)
        return "no more sockets";
    if (server->options.curve && !busi_curve_serve(server->options.curve, server->calls.link))
        return "CURVE: no allow-list, or the key was not accepted";
    if (!busi_link_bind(server->calls.link, endpoint, server->endpoint, sizeof server->endpoint))
        return "the endpoint cannot be bound";
    server->looked_ms = busi_now_ms();
    server->turn_us = busi_now_us();
    server->slept_us = busi_loop_slept_us(server->loop);
    busi_loop_at_turn_begin(server->loop, on_turn, server);
    server->look = busi_loop_every(server->loop, LOOK_MS, on_look, server);
    server->watch = busi_loop_socket(server->loop, server->calls.link, on_readable, server);
    server->events = busi_loop_socket(server->loop, server->monitor, on_event, server);
    return server->look && server->watch && server->events ? NULL : "out of memory";
}

struct busi_rpc_server *busi_rpc_server_new(struct busi_loop *loop,
                                            const struct busi_rpc_server_options *options, const char **error)
{
    struct busi_rpc_server *server = calloc(1, sizeof *server);
    *error = "out of memory";
    if (!server)
        return NULL;
    server->loop = loop;
    server->options = *options;
    server->calls.on_last = destroy;
    server->calls.arg = server;
    server->calls.unread = busi_unread_new();
    if (server->calls.unread && add_methods(server))
        *error = start(server);
    if (*error)
        busi_rpc_server_free(&server);
    return server;
}

struct busi_str busi_rpc_server_endpoint(const struct busi_rpc_server *server)
{
    return busi_str_of(server->endpoint);
}

bool busi_rpc_server_ready(const struct busi_rpc_server *server)
{
    const struct busi_rpc_server_options *o = &server->options;
    return server->deaf_looks < MOST_DEAF && (!o->ready || o->ready(o->state));
}

size_t busi_rpc_server_in_flight(const struct busi_rpc_server *server)
{
    return server->calls.in_flight;
}

void busi_rpc_server_free(struct busi_rpc_server **server)
{
    struct busi_rpc_server *gone = *server;
    if (!gone)
        return;
    busi_loop_at_turn_begin(gone->loop, NULL, NULL);
    busi_calls_release(&gone->calls, NULL, NULL);
    busi_timer_free(&gone->look);
    busi_watch_free(&gone->watch);
    busi_watch_free(&gone->events);
    void *monitor = gone->monitor;
    busi_calls_close(&gone->calls); /* frees it, if nothing is in flight */
    busi_link_close(&monitor);
    *server = NULL;
}
