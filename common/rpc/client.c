#include "rpc/client.h"
#include "rpc/client_internal.h"
#include "rpc/client_metrics.h"
#include "rpc/client_workers.h"
#include <assert.h>
#include <stdlib.h>

enum {
    MOST_CALLS = 16384, /* waiting at once, over all workers */
    MOST_BEST = 64,     /* workers that are chosen between */
    PAUSE_MS = 20,      /* the first pause is shorter than this, the second than twice as long ... */
    PAUSE_MOST_MS = 250
};

struct busi_rpc_client {
    struct busi_loop *loop;              /* borrowed */
    size_t max_in_flight;                /* per worker */
    struct busi_client_workers *workers; /* owned */
    struct busi_pendings *pool;          /* calls waiting */
    uint64_t random;                     /* state of the choice between two */
    bool closed;                         /* owner has left; calls fail */
    bool refusals_are_ours;              /* as in the options */
    atomic_size_t users;                 /* owner, calls under way, posts under way; the last one frees */
    atomic_int tokens;                   /* retry budget, in tenths */
    _Atomic(uint64_t) pauses;            /* how many there were, from a random number on */
};

/* ---- life of the struct ---- */

static void leave(struct busi_rpc_client *client)
{
    if (atomic_fetch_sub(&client->users, 1) > 1)
        return;
    busi_client_workers_free(&client->workers);
    busi_pendings_free(&client->pool);
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

/* The less loaded of two of the best rank that has room and has not just refused it. */
static struct busi_worker *choose(struct busi_rpc_client *client, const struct busi_pending *pending,
                                  enum busi_verdict *verdict)
{
    const size_t room = client->max_in_flight + (pending->urgent ? BUSI_URGENT_MOST : 0);
    const uint64_t id = busi_pending_id(pending);
    struct busi_worker *best[MOST_BEST];
    uint32_t n = 0;
    int best_rank = BUSI_WORKER_RANKS;
    int64_t now_ms = busi_now_ms();
    *verdict = BUSI_NO_WORKER;
    for (struct busi_worker *worker = pending->target->workers; worker; worker = worker->next) {
        if (!busi_worker_alive(worker) || worker->not_taken == id)
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
        if (rank == best_rank && n < MOST_BEST)
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
    struct busi_worker *worker;
    /* a pipe that takes nothing belongs to a worker we are about to hear the end of: another one then */
    while (!client->closed && (worker = choose(client, pending, &verdict)) != NULL)
        if (busi_worker_send(worker, pending))
            return;
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

struct busi_target *busi_rpc_client_target(struct busi_rpc_client *client, const char *service)
{
    return busi_client_workers_target(client->workers, service);
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

struct call_off {
    struct busi_rpc_client *client;
    uint64_t id; /* of the call */
};

static void on_call_off(void *arg)
{
    struct call_off *off = arg;
    struct busi_pending *pending = busi_pending_find(off->client->pool, off->id);
    if (pending)
        busi_worker_cancel(pending);
    leave(off->client);
    free(off);
}

bool busi_rpc_client_call_off(struct busi_rpc_client *client, uint64_t id)
{
    struct call_off *off = malloc(sizeof *off);
    if (!off)
        return false;
    *off = (struct call_off){.client = client, .id = id};
    busi_rpc_client_enter(client);
    if (busi_loop_post(client->loop, on_call_off, off)) /* comes there after the call itself */
        return true;
    busi_rpc_client_leave(client);
    free(off);
    return false;
}

/* Anything up to twice as long each time, so that those who lost a worker together do not come together. */
int64_t busi_rpc_client_pause_ms(struct busi_rpc_client *client, int n)
{
    int64_t most_ms = PAUSE_MS << (n < 8 ? n : 8);
    if (most_ms > PAUSE_MOST_MS)
        most_ms = PAUSE_MOST_MS;
    /* splitmix64 */
    uint64_t x = atomic_fetch_add(&client->pauses, 1) * 0x9E3779B97F4A7C15;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return (int64_t)((x ^ x >> 31) % (uint64_t)most_ms);
}

/* A retry costs ten calls that went well: when everything fails, retries come to an end. */
enum { TOKENS_MOST = 1000, TOKENS_PER_RETRY = 10 };

void busi_rpc_client_earn(struct busi_rpc_client *client)
{
    if (atomic_load_explicit(&client->tokens, memory_order_relaxed) < TOKENS_MOST)
        atomic_fetch_add_explicit(&client->tokens, 1, memory_order_relaxed);
}

bool busi_rpc_client_refusals_are_ours(const struct busi_rpc_client *client)
{
    return client->refusals_are_ours;
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
    return busi_client_workers_ready(client->workers);
}

/* ---- making and freeing ---- */

struct busi_rpc_client *busi_rpc_client_new(struct busi_loop *loop,
                                            const struct busi_rpc_client_options *options, const char **error)
{
    *error = "out of memory";
    struct busi_rpc_client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    assert(options->max_in_flight > 0);
    client->loop = loop;
    client->max_in_flight = options->max_in_flight;
    client->refusals_are_ours = options->refusals_are_ours;
    client->random = (uint64_t)busi_wall_us() * 2 + 1;
    atomic_init(&client->users, 1);
    atomic_init(&client->tokens, TOKENS_MOST);
    atomic_init(&client->pauses, client->random);
    busi_client_metrics_make();
    client->pool = busi_pendings_new(MOST_CALLS);
    if (client->pool)
        client->workers = busi_client_workers_new(loop, options, client->pool, error);
    if (!client->workers)
        busi_rpc_client_free(&client);
    return client;
}

void busi_rpc_client_free(struct busi_rpc_client **client)
{
    struct busi_rpc_client *gone = *client;
    if (!gone)
        return;
    gone->closed = true;
    if (gone->workers)
        busi_client_workers_close(gone->workers);
    leave(gone);
    *client = NULL;
}
