#define _GNU_SOURCE /* memrchr */
#include "rpc/client.h"
#include "base/log.h"
#include "base/metrics.h"
#include "rpc/client_call.h"
#include "rpc/resolver.h"
#include "rpc/worker.h"
#include <assert.h>
#include <stdlib.h>

enum {
    URGENT_MOST = 8,    /* per worker, beside max_in_flight */
    PINGS_MOST = 8,     /* likewise */
    MOST_CALLS = 16384, /* waiting at once, over all workers */
    MOST_TARGETS = 8,
    MOST_NAMES = 64,   /* over all targets */
    TICK_MS = 100,     /* health, abandoned calls, new addresses */
    HURRY_TICK_MS = 5, /* the same at the start, until every target has a worker */
    HURRY_MS = 2000,   /* how long the start lasts at most */
    KEYS_MS = 1000,    /* our key file is looked at */
    REOPEN_MS = 1500,  /* a pipe that could not be had is tried with the keys there are then */
};

/* One "host:port" of a target. */
struct name {
    struct busi_str host;       /* in busi_rpc_client.names_text */
    uint16_t port;              /* host order */
    struct target *target;      /* whose */
    struct busi_addresses last; /* of the host */
};

struct target {
    const char *service;         /* "auth"; static */
    struct busi_str key_file;    /* in busi_rpc_client.text */
    struct busi_worker *workers; /* owned */
    atomic_size_t alive;         /* workers that answer, for busi_rpc_client_ready() */
};

struct busi_rpc_client {
    struct busi_loop *loop;   /* borrowed */
    struct busi_curve *curve; /* borrowed; NULL: plain */
    size_t max_in_flight;     /* per worker */
    struct target targets[MOST_TARGETS];
    size_t n_targets;               /* of them */
    struct name names[MOST_NAMES];  /* of all targets */
    size_t n_names;                 /* of them */
    struct busi_arena text;         /* copies of the options' texts */
    struct busi_resolver *resolver; /* finds the addresses of names */
    struct busi_pendings *pool;     /* calls waiting */
    struct busi_timer *tick;        /* every TICK_MS */
    int64_t began_ms;               /* when it was made */
    uint64_t random;                /* state of the choice between two */
    uint64_t keys;                  /* our own: busi_curve_renew() */
    int64_t keys_ms;                /* when their file was looked at */
    bool closed;                    /* owner has left; calls fail */
    atomic_size_t users;            /* owner, calls under way, posts under way; the last one frees */
    atomic_int tokens;              /* retry budget, in tenths */
};

/* ---- life of the struct ---- */

static void leave(struct busi_rpc_client *client)
{
    if (atomic_fetch_sub(&client->users, 1) > 1)
        return;
    busi_pendings_free(&client->pool);
    busi_arena_fini(&client->text);
    free(client);
}

/* ---- choosing a worker ---- */

static uint32_t random_below(struct busi_rpc_client *client, uint32_t n)
{
    /* xorshift64: nobody gains by guessing it */
    client->random ^= client->random << 13;
    client->random ^= client->random >> 7;
    client->random ^= client->random << 17;
    return (uint32_t)((client->random >> 32) * n >> 32);
}

/* The less loaded of two of the best rank that has room. */
static struct busi_worker *choose(struct busi_rpc_client *client, struct target *target, size_t room,
                                  enum busi_verdict *verdict)
{
    struct busi_worker *best[BUSI_MOST_ADDRESSES];
    uint32_t n = 0;
    int best_rank = BUSI_WORKER_RANKS;
    int64_t now_ms = busi_now_ms();
    *verdict = BUSI_NO_WORKER;
    for (struct busi_worker *worker = target->workers; worker; worker = worker->next) {
        if (!busi_worker_alive(worker))
            continue;
        if (worker->in_flight >= room) {
            *verdict = BUSI_ALL_FULL;
            continue;
        }
        int rank = busi_worker_rank(worker, now_ms);
        if (rank < best_rank) {
            best_rank = rank;
            n = 0;
        }
        if (rank == best_rank && n < BUSI_MOST_ADDRESSES)
            best[n++] = worker;
    }
    if (n <= 1)
        return n == 1 ? best[0] : NULL;
    uint32_t a = random_below(client, n), b = random_below(client, n - 1);
    b += b >= a;
    return best[a]->in_flight <= best[b]->in_flight ? best[a] : best[b];
}

static void submit(struct busi_rpc_client *client, struct busi_pending *pending)
{
    enum busi_verdict verdict = BUSI_NO_WORKER;
    size_t room = client->max_in_flight + (pending->urgent ? URGENT_MOST : 0);
    /* a pipe that takes nothing belongs to a worker we are about to hear the end of: another one then */
    for (int i = 0; i < 3 && !client->closed; i++) {
        struct busi_worker *worker = choose(client, pending->target, room, &verdict);
        if (!worker)
            break;
        if (busi_worker_send(worker, pending))
            return;
        verdict = BUSI_NO_WORKER;
    }
    if (!busi_pending_finish(pending, verdict))
        busi_pending_give(client->pool, pending);
}

static void on_posted(void *arg)
{
    struct busi_pending *pending = arg;
    struct busi_rpc_client *client = pending->client;
    if (busi_pending_abandoned(pending))
        busi_pending_give(client->pool, pending);
    else
        submit(client, pending);
    leave(client);
}

/* ---- what client_call.c uses ---- */

struct busi_pendings *busi_rpc_client_pool(struct busi_rpc_client *client)
{
    return client->pool;
}

void *busi_rpc_client_target(struct busi_rpc_client *client, const char *service)
{
    for (size_t i = 0; i < client->n_targets; i++)
        if (strcmp(client->targets[i].service, service) == 0)
            return &client->targets[i];
    /* rpc.* methods are every service's: the first target is as good as any */
    return strcmp(service, "rpc") == 0 && client->n_targets > 0 ? &client->targets[0] : NULL;
}

void busi_rpc_client_enter(struct busi_rpc_client *client)
{
    atomic_fetch_add_explicit(&client->users, 1, memory_order_relaxed);
}

void busi_rpc_client_leave(struct busi_rpc_client *client)
{
    leave(client);
}

void busi_rpc_client_submit(struct busi_rpc_client *client, struct busi_pending *pending)
{
    if (pending->fiber) {
        submit(client, pending);
        return;
    }
    busi_rpc_client_enter(client);
    pending->client = client;
    pending->post = (struct busi_post){.fn = on_posted, .arg = pending};
    busi_loop_post_node(client->loop, &pending->post);
}

/* A retry costs ten calls: when everything fails, retries add a tenth to the load and no more. */
enum { TOKENS_MOST = 1000, TOKENS_PER_RETRY = 10 };

void busi_rpc_client_earn(struct busi_rpc_client *client)
{
    if (atomic_load_explicit(&client->tokens, memory_order_relaxed) < TOKENS_MOST)
        atomic_fetch_add_explicit(&client->tokens, 1, memory_order_relaxed);
}

bool busi_rpc_client_may_retry(struct busi_rpc_client *client)
{
    int tokens = atomic_load_explicit(&client->tokens, memory_order_relaxed);
    do
        if (tokens < TOKENS_PER_RETRY)
            return false;
    while (!atomic_compare_exchange_weak_explicit(&client->tokens, &tokens, tokens - TOKENS_PER_RETRY,
                                                  memory_order_relaxed, memory_order_relaxed));
    return true;
}

bool busi_rpc_client_ready(const struct busi_rpc_client *client)
{
    for (size_t i = 0; i < client->n_targets; i++)
        if (atomic_load_explicit(&client->targets[i].alive, memory_order_relaxed) == 0)
            return false;
    return client->n_targets > 0;
}

/* ---- workers follow the names ---- */

/* Those at this place are wanted: one, or two while keys change. False: there is none. */
static bool keep_worker(struct target *target, uint32_t ipv4, uint16_t port)
{
    bool found = false;
    for (struct busi_worker *worker = target->workers; worker; worker = worker->next)
        if (worker->ipv4 == ipv4 && worker->port == port) {
            worker->retired = false;
            found = true;
        }
    return found;
}

/* NULL, and said why in the log: could not. */
static struct busi_worker *open_worker(struct busi_rpc_client *client, const struct target *target,
                                       uint32_t ipv4, uint16_t port, bool next_key)
{
    const char *error;
    struct busi_worker *worker = busi_worker_open(
        &(struct busi_worker_options){.loop = client->loop,
                                      .pool = client->pool,
                                      .curve = client->curve,
                                      .key_file = target->key_file,
                                      .next_key = next_key,
                                      .most_queued = (int)client->max_in_flight + URGENT_MOST + PINGS_MOST,
                                      .ipv4 = ipv4,
                                      .port = port},
        &error);
    if (!worker)
        busi_log(BUSI_ERR, "worker_not_opened", BUSI_C("service", target->service), BUSI_C("why", error));
    return worker;
}

static void add_worker(struct busi_rpc_client *client, const struct name *name, uint32_t ipv4)
{
    if (keep_worker(name->target, ipv4, name->port))
        return;
    struct busi_worker *worker = open_worker(client, name->target, ipv4, name->port, false);
    if (!worker)
        return;
    worker->next = name->target->workers;
    name->target->workers = worker;
}

static void follow_names(struct busi_rpc_client *client)
{
    bool changed = false;
    for (size_t i = 0; i < client->n_names; i++)
        changed |= busi_resolver_take(client->resolver, i, &client->names[i].last);
    if (!changed)
        return;
    for (size_t i = 0; i < client->n_targets; i++)
        for (struct busi_worker *worker = client->targets[i].workers; worker; worker = worker->next)
            worker->retired = true;
    for (size_t i = 0; i < client->n_names; i++)
        for (size_t j = 0; j < client->names[i].last.n; j++)
            add_worker(client, &client->names[i], client->names[i].last.ipv4[j]);
}

/* ---- workers follow the keys ---- */

/* A pipe keeps the keys it was opened with, also when it connects again. One that could not be had for a
 * while is opened again, with the keys there are now and by turns with either of the service's. */
static void reopen(struct busi_rpc_client *client, struct target *target, struct busi_worker **at,
                   int64_t now_ms)
{
    struct busi_worker *worker = *at, *fresh;
    if (!client->curve || worker->up || worker->retired || worker->in_flight > 0 || !worker->refused ||
        now_ms - worker->opened_ms < REOPEN_MS)
        return;
    fresh = open_worker(client, target, worker->ipv4, worker->port, !worker->next_key);
    if (!fresh)
        return;
    fresh->refused = true; /* the log has said it */
    fresh->next = worker->next;
    *at = fresh;
    busi_worker_close(&worker);
}

/* Its successor at the same place, opened with our new keys; NULL: there is none yet. */
static struct busi_worker *successor(const struct target *target, const struct busi_worker *old)
{
    for (struct busi_worker *worker = target->workers; worker; worker = worker->next)
        if (worker != old && worker->ipv4 == old->ipv4 && worker->port == old->port && !worker->retired &&
            worker->keys > old->keys)
            return worker;
    return NULL;
}

/* A pipe opened with keys that are ours no longer goes on until one with the new ones is there. */
static void succeed(struct busi_rpc_client *client, struct target *target)
{
    for (struct busi_worker *worker = target->workers, *other; worker; worker = worker->next) {
        if (worker->retired || worker->keys >= client->keys)
            continue;
        other = successor(target, worker);
        if (other) {
            worker->retired = busi_worker_alive(other);
            continue;
        }
        other = open_worker(client, target, worker->ipv4, worker->port, worker->next_key);
        if (!other)
            continue;
        other->next = target->workers;
        target->workers = other;
    }
}

static void follow_keys(struct busi_rpc_client *client, int64_t now_ms)
{
    if (!client->curve || now_ms - client->keys_ms < KEYS_MS)
        return;
    client->keys_ms = now_ms;
    client->keys = busi_curve_renew(client->curve);
    for (size_t i = 0; i < client->n_targets; i++) {
        struct target *target = &client->targets[i];
        for (struct busi_worker **at = &target->workers; *at; at = &(*at)->next)
            reopen(client, target, at, now_ms);
        succeed(client, target);
    }
}

/* Somebody is there whom the names mean. */
static bool has_named(const struct target *target)
{
    for (const struct busi_worker *worker = target->workers; worker; worker = worker->next)
        if (!worker->retired && busi_worker_alive(worker))
            return true;
    return false;
}

/* One that has lost its name is closed when it is idle, but not before another can take its calls: better
 * yesterday's workers than none. */
static void tick_target(struct busi_rpc_client *client, struct target *target, int64_t now_ms)
{
    size_t alive = 0;
    const bool named = has_named(target);
    for (struct busi_worker **at = &target->workers; *at;) {
        struct busi_worker *worker = *at;
        busi_worker_tick(worker, now_ms);
        if (busi_worker_leaves(worker))
            busi_resolver_hurry(client->resolver);
        if (worker->retired && worker->in_flight == 0 && (named || !worker->up)) {
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
    struct busi_rpc_client *client = arg;
    int64_t now_ms = busi_now_ms();
    follow_names(client);
    follow_keys(client, now_ms);
    for (size_t i = 0; i < client->n_targets; i++)
        tick_target(client, &client->targets[i], now_ms);
    bool hurry = now_ms - client->began_ms < HURRY_MS && !busi_rpc_client_ready(client);
    busi_timer_set(client->tick, now_ms + (hurry ? HURRY_TICK_MS : TICK_MS));
}

/* ---- making and freeing ---- */

/* "host:port" without its spaces. */
static bool parse_name(struct busi_str text, struct name *name)
{
    while (text.len > 0 && text.ptr[0] == ' ')
        text = (struct busi_str){text.ptr + 1, text.len - 1};
    while (text.len > 0 && text.ptr[text.len - 1] == ' ')
        text.len--;
    const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
    if (!colon)
        return false;
    name->host = (struct busi_str){text.ptr, (size_t)(colon - text.ptr)};
    int64_t port;
    struct busi_str digits = {colon + 1, text.len - name->host.len - 1};
    if (!busi_str_int(digits, &port) || port < 1 || port > UINT16_MAX)
        return false;
    name->port = (uint16_t)port;
    return name->host.len > 0 && name->host.len <= 255 && !memchr(name->host.ptr, ':', name->host.len) &&
           !memchr(name->host.ptr, ' ', name->host.len);
}

/* Takes the first of the list. False: there is none, or it makes no sense. */
static bool next_name(struct busi_str *list, struct name *name)
{
    const char *comma = list->len ? memchr(list->ptr, ',', list->len) : NULL;
    size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
    if (!parse_name((struct busi_str){list->ptr, len}, name))
        return false;
    len += comma != NULL;
    *list = (struct busi_str){list->ptr + len, list->len - len};
    return true;
}

bool busi_rpc_endpoints_valid(struct busi_str endpoints)
{
    struct name name;
    size_t n = 0;
    while (endpoints.len > 0)
        if (n++ == MOST_NAMES || !next_name(&endpoints, &name))
            return false;
    return n > 0;
}

static bool add_names(struct busi_rpc_client *client, struct target *target, struct busi_str endpoints)
{
    size_t before = client->n_names;
    while (endpoints.len > 0) {
        struct name *name = &client->names[client->n_names];
        if (client->n_names == MOST_NAMES || !next_name(&endpoints, name))
            return false;
        name->target = target;
        client->n_names++;
    }
    return client->n_names > before;
}

static const char *add_targets(struct busi_rpc_client *client, const struct busi_rpc_client_options *options)
{
    if (options->n_targets > MOST_TARGETS)
        return "too many services";
    for (size_t i = 0; i < options->n_targets; i++) {
        const struct busi_rpc_target *from = &options->targets[i];
        struct target *target = &client->targets[client->n_targets++];
        target->service = from->service;
        struct busi_str endpoints = busi_arena_dup(&client->text, from->endpoints);
        target->key_file = busi_arena_dup(&client->text, from->key_file);
        if (!add_names(client, target, endpoints))
            return "endpoints: not host:port,host:port";
    }
    return NULL;
}

static const char *start(struct busi_rpc_client *client)
{
    struct busi_str hosts[MOST_NAMES];
    for (size_t i = 0; i < client->n_names; i++)
        hosts[i] = client->names[i].host;
    client->pool = busi_pendings_new(MOST_CALLS);
    client->resolver = busi_resolver_new(hosts, client->n_names);
    client->tick = busi_loop_timer(client->loop, on_tick, client);
    if (!client->pool || !client->resolver || !client->tick)
        return "out of memory or threads";
    client->began_ms = busi_now_ms();
    busi_timer_set(client->tick, client->began_ms);
    return NULL;
}

struct busi_rpc_client *busi_rpc_client_new(struct busi_loop *loop,
                                            const struct busi_rpc_client_options *options, const char **error)
{
    *error = "out of memory";
    struct busi_rpc_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    assert(options->max_in_flight > 0);
    client->loop = loop;
    client->curve = options->curve;
    client->max_in_flight = options->max_in_flight;
    client->random = (uint64_t)busi_wall_us() * 2 + 1;
    atomic_init(&client->users, 1);
    atomic_init(&client->tokens, TOKENS_MOST);
    busi_arena_init(&client->text, 65536);
    busi_rpc_client_histograms();
    *error = add_targets(client, options);
    if (!*error)
        *error = start(client);
    if (*error)
        busi_rpc_client_free(&client);
    return client;
}

void busi_rpc_client_free(struct busi_rpc_client **client)
{
    struct busi_rpc_client *gone = *client;
    if (!gone)
        return;
    gone->closed = true;
    busi_timer_free(&gone->tick);
    busi_resolver_free(&gone->resolver);
    for (size_t i = 0; i < gone->n_targets; i++)
        while (gone->targets[i].workers) {
            struct busi_worker *worker = gone->targets[i].workers;
            gone->targets[i].workers = worker->next;
            busi_worker_close(&worker);
        }
    leave(gone);
    *client = NULL;
}
