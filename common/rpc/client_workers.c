#include "rpc/client_workers.h"
#include "base/log.h"
#include "rpc/endpoints.h"
#include "rpc/resolver.h"
#include <stdlib.h>

enum {
    PINGS_MOST = 8, /* per worker, beside max_in_flight and urgent ones */
    MOST_TARGETS = 8,
    TICK_MS = 100,     /* health, abandoned calls, new addresses */
    HURRY_TICK_MS = 5, /* the same at the start, until every target has a worker */
    HURRY_MS = 2000,   /* how long the start lasts at most */
    KEYS_MS = 1000,    /* our key file is looked at */
    REOPEN_MS = 1500,  /* a pipe that was refused is tried with the keys there are then */
    ORPHAN_MS = 300,   /* so is one that libzmq does not dial again */
    LOST_MS = 3000,    /* one that is down for longer is opened again */
    AGAIN_MS = 1000,   /* one for which there was no socket or no memory is tried again */
};

/* One "host:port" of a target. */
struct name {
    struct busi_host_port at;   /* in busi_client_workers.text */
    struct busi_target *target; /* whose */
    struct busi_addresses last; /* of the host */
};

struct busi_client_workers {
    struct busi_loop *loop;         /* borrowed */
    struct busi_curve *curve;       /* borrowed; NULL: plain */
    struct busi_pendings *pool;     /* borrowed */
    size_t max_in_flight;           /* per worker */
    busi_worker_state_fn *on_state; /* of the options */
    void *on_state_arg;
    struct busi_target targets[MOST_TARGETS];
    size_t n_targets; /* of them */
    struct name names[BUSI_MOST_ENDPOINTS];
    size_t n_names;                 /* of them, of all targets */
    struct busi_arena text;         /* copies of the options' texts */
    struct busi_resolver *resolver; /* finds the addresses of names */
    struct busi_timer *tick;        /* every TICK_MS */
    int64_t began_ms;               /* when it was made */
    int64_t again_ms;               /* when what could not be opened is tried again; 0: there is none */
    uint64_t keys;                  /* our own: busi_curve_renew() */
    int64_t keys_ms;                /* when their file was looked at */
};

struct busi_target *busi_client_workers_target(struct busi_client_workers *all, const char *service)
{
    for (size_t i = 0; i < all->n_targets; i++)
        if (strcmp(all->targets[i].service, service) == 0)
            return &all->targets[i];
    /* rpc.* methods are every service's: the first target is as good as any */
    return strcmp(service, "rpc") == 0 && all->n_targets > 0 ? &all->targets[0] : NULL;
}

bool busi_client_workers_ready(const struct busi_client_workers *all)
{
    for (size_t i = 0; i < all->n_targets; i++)
        if (atomic_load_explicit(&all->targets[i].alive, memory_order_relaxed) == 0)
            return false;
    return all->n_targets > 0;
}

/* ---- following the names ---- */

/* Those at this place are wanted: one, or two while keys change. False: there is none. */
static bool keep_worker(struct busi_target *target, uint32_t ipv4, uint16_t port)
{
    bool found = false;
    for (struct busi_worker *worker = target->workers; worker; worker = worker->next)
        if (worker->ipv4 == ipv4 && worker->port == port) {
            worker->retired = false;
            found = true;
        }
    return found;
}

/* Each call may be followed by its cancelling. */
static int most_queued(const struct busi_client_workers *all)
{
    return 2 * ((int)all->max_in_flight + BUSI_URGENT_MOST) + PINGS_MOST;
}

/* NULL, and said why in the log: could not. */
static struct busi_worker *open_worker(struct busi_client_workers *all, const struct busi_target *target,
                                       uint32_t ipv4, uint16_t port, bool next_key)
{
    const char *error;
    struct busi_worker *worker =
        busi_worker_open(&(struct busi_worker_options){.loop = all->loop,
                                                       .pool = all->pool,
                                                       .curve = all->curve,
                                                       .key_file = target->key_file,
                                                       .next_key = next_key,
                                                       .most_queued = most_queued(all),
                                                       .service = target->service,
                                                       .on_state = all->on_state,
                                                       .on_state_arg = all->on_state_arg,
                                                       .ipv4 = ipv4,
                                                       .port = port},
                         &error);
    if (!worker)
        busi_log(BUSI_ERR, "worker_not_opened", BUSI_C("callee", target->service), BUSI_C("why", error),
                 BUSI_S("certificate", target->key_file));
    return worker;
}

/* False: it could not be opened. */
static bool add_worker(struct busi_client_workers *all, const struct name *name, uint32_t ipv4)
{
    if (keep_worker(name->target, ipv4, name->at.port))
        return true;
    struct busi_worker *worker = open_worker(all, name->target, ipv4, name->at.port, false);
    if (!worker)
        return false;
    worker->next = name->target->workers;
    name->target->workers = worker;
    return true;
}

static void follow_names(struct busi_client_workers *all, int64_t now_ms)
{
    bool changed = all->again_ms > 0 && now_ms >= all->again_ms;
    for (size_t i = 0; i < all->n_names; i++)
        changed |= busi_resolver_take(all->resolver, i, &all->names[i].last);
    if (!changed)
        return;
    all->again_ms = 0;
    for (size_t i = 0; i < all->n_targets; i++)
        for (struct busi_worker *worker = all->targets[i].workers; worker; worker = worker->next)
            worker->retired = true;
    for (size_t i = 0; i < all->n_names; i++)
        for (size_t j = 0; j < all->names[i].last.n; j++)
            if (!add_worker(all, &all->names[i], all->names[i].last.ipv4[j]))
                all->again_ms = now_ms + AGAIN_MS;
}

/* ---- following the keys ---- */

static bool is_lost(const struct busi_worker *worker, int64_t now_ms)
{
    if (!worker->refused && worker->orphan_ms && now_ms - worker->orphan_ms >= ORPHAN_MS)
        return true;
    return now_ms - worker->down_ms >= (worker->refused ? REOPEN_MS : LOST_MS);
}

/* A pipe keeps the keys it was opened with, also when it connects again. One that could not be had for a
 * while is opened again, with the keys there are now and, when it was refused, by turns with either of the
 * service's. libzmq connects again after a lost connection, but not after one that broke its protocol, as by
 * a flipped bit: session_base_t::engine_error(). */
static void reopen(struct busi_client_workers *all, struct busi_target *target, struct busi_worker **at,
                   int64_t now_ms)
{
    struct busi_worker *worker = *at, *fresh;
    if (worker->up || worker->retired || worker->in_flight > 0 || !is_lost(worker, now_ms))
        return;
    fresh = open_worker(all, target, worker->ipv4, worker->port, worker->next_key != worker->refused);
    if (!fresh)
        return;
    fresh->refused = worker->refused; /* the log has said it */
    fresh->next = worker->next;
    *at = fresh;
    busi_worker_close(&worker);
}

/* Its successor at the same place, opened with our new keys; NULL: there is none yet. */
static struct busi_worker *successor(const struct busi_target *target, const struct busi_worker *old)
{
    for (struct busi_worker *worker = target->workers; worker; worker = worker->next)
        if (worker != old && worker->ipv4 == old->ipv4 && worker->port == old->port && !worker->retired &&
            worker->keys > old->keys)
            return worker;
    return NULL;
}

/* A pipe opened with keys that are ours no longer goes on until one with the new ones is there. */
static void succeed(struct busi_client_workers *all, struct busi_target *target)
{
    for (struct busi_worker *worker = target->workers, *other; worker; worker = worker->next) {
        if (worker->retired || worker->keys >= all->keys)
            continue;
        other = successor(target, worker);
        if (other) {
            worker->retired = busi_worker_alive(other);
            continue;
        }
        other = open_worker(all, target, worker->ipv4, worker->port, worker->next_key);
        if (!other)
            continue;
        other->next = target->workers;
        target->workers = other;
    }
}

static void follow_keys(struct busi_client_workers *all, int64_t now_ms)
{
    if (now_ms - all->keys_ms < KEYS_MS)
        return;
    all->keys_ms = now_ms;
    if (all->curve)
        all->keys = busi_curve_renew(all->curve);
    for (size_t i = 0; i < all->n_targets; i++)
        succeed(all, &all->targets[i]);
}

/* Somebody is there whom the names mean. */
static bool has_named(const struct busi_target *target)
{
    for (const struct busi_worker *worker = target->workers; worker; worker = worker->next)
        if (!worker->retired && busi_worker_alive(worker))
            return true;
    return false;
}

/* One that has lost its name is closed when it is idle, but not before another can take its calls: better
 * yesterday's workers than none. */
static void tick_target(struct busi_client_workers *all, struct busi_target *target, int64_t now_ms)
{
    size_t alive = 0;
    const bool named = has_named(target);
    for (struct busi_worker **at = &target->workers; *at;) {
        reopen(all, target, at, now_ms);
        struct busi_worker *worker = *at;
        busi_worker_tick(worker, now_ms);
        if (busi_worker_leaves(worker))
            busi_resolver_hurry(all->resolver);
        if (worker->retired && worker->in_flight == 0 && (named || !worker->up)) {
            if (successor(target, worker)) /* it is no worker that goes, just its old keys */
                worker->on_state = NULL;
            *at = worker->next;
            busi_worker_close(&worker);
            continue;
        }
        alive += busi_worker_alive(worker);
        at = &worker->next;
    }
    atomic_store_explicit(&target->alive, alive, memory_order_relaxed);
}

static void on_tick(void *arg)
{
    struct busi_client_workers *all = arg;
    int64_t now_ms = busi_now_ms();
    follow_names(all, now_ms);
    follow_keys(all, now_ms);
    for (size_t i = 0; i < all->n_targets; i++)
        tick_target(all, &all->targets[i], now_ms);
    bool hurry = now_ms - all->began_ms < HURRY_MS && !busi_client_workers_ready(all);
    busi_timer_set(all->tick, now_ms + (hurry ? HURRY_TICK_MS : TICK_MS));
}

/* ---- making and freeing ---- */

static bool add_names(struct busi_client_workers *all, struct busi_target *target, struct busi_str endpoints)
{
    size_t before = all->n_names;
    while (endpoints.len > 0) {
        struct name *name = &all->names[all->n_names];
        if (all->n_names == BUSI_MOST_ENDPOINTS || !busi_endpoints_take(&endpoints, &name->at))
            return false;
        name->target = target;
        all->n_names++;
    }
    return all->n_names > before;
}

static const char *add_targets(struct busi_client_workers *all, const struct busi_rpc_client_options *options)
{
    if (options->n_targets > MOST_TARGETS)
        return "too many services";
    for (size_t i = 0; i < options->n_targets; i++) {
        const struct busi_rpc_target *from = &options->targets[i];
        struct busi_target *target = &all->targets[all->n_targets++];
        target->service = from->service;
        struct busi_str endpoints = busi_arena_dup(&all->text, from->endpoints);
        target->key_file = busi_arena_dup(&all->text, from->key_file);
        if (!add_names(all, target, endpoints))
            return "endpoints: not host:port,host:port";
    }
    return NULL;
}

static const char *start(struct busi_client_workers *all)
{
    struct busi_str hosts[BUSI_MOST_ENDPOINTS];
    for (size_t i = 0; i < all->n_names; i++)
        hosts[i] = all->names[i].at.host;
    all->resolver = busi_resolver_new(hosts, all->n_names);
    all->tick = busi_loop_timer(all->loop, on_tick, all);
    if (!all->resolver || !all->tick)
        return "out of memory or threads";
    all->began_ms = busi_now_ms();
    busi_timer_set(all->tick, all->began_ms);
    return NULL;
}

struct busi_client_workers *busi_client_workers_new(struct busi_loop *loop,
                                                    const struct busi_rpc_client_options *options,
                                                    struct busi_pendings *pool, const char **error)
{
    *error = "out of memory";
    struct busi_client_workers *all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->loop = loop;
    all->curve = options->curve;
    all->pool = pool;
    all->max_in_flight = options->max_in_flight;
    all->on_state = options->on_state;
    all->on_state_arg = options->on_state_arg;
    busi_arena_init(&all->text, 65536);
    *error = add_targets(all, options);
    if (!*error)
        *error = start(all);
    if (*error) {
        busi_client_workers_close(all);
        busi_client_workers_free(&all);
    }
    return all;
}

void busi_client_workers_close(struct busi_client_workers *all)
{
    busi_timer_free(&all->tick);
    busi_resolver_free(&all->resolver);
    for (size_t i = 0; i < all->n_targets; i++)
        while (all->targets[i].workers) {
            struct busi_worker *worker = all->targets[i].workers;
            all->targets[i].workers = worker->next;
            busi_worker_close(&worker);
        }
}

void busi_client_workers_free(struct busi_client_workers **workers)
{
    struct busi_client_workers *all = *workers;
    if (!all)
        return;
    busi_arena_fini(&all->text);
    free(all);
    *workers = NULL;
}
