#include "session/cache.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "crypto/secret.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    PLACES = 64,            /* of a shard; all are looked at */
    TEXTS_MOST_BYTES = 896, /* of all of them together: what is larger is not kept */
    KEPT_MOST_MS = 60000    /* then the token is checked again, whatever it says itself */
};

struct entry {
    uint8_t key[SESSION_KEY_BYTES];
    int64_t until_ms;                /* the token has expired then; busi_lease_ms() scale */
    struct busi_principal principal; /* its texts are below */
    char texts[];
};

/* Places with a common lock. tags and sessions say without a look elsewhere which one may be meant. */
struct shard {
    pthread_mutex_t lock;
    uint64_t tags[PLACES];     /* part of the entry's key; 0: free */
    uint64_t sessions[PLACES]; /* hash of the entry's session id */
    struct entry *entries[PLACES];
    unsigned next; /* place to take when all are */
};

struct session_cache {
    struct shard *shards;         /* owned */
    size_t n_shards;              /* 0: nothing is kept */
    uint8_t token_key[32];        /* of the tokens' hashes; random */
    uint8_t session_key[16];      /* of the session ids'; random */
    _Atomic(int64_t) trusted_ms;  /* until then; busi_lease_ms() scale */
    _Atomic(uint64_t) forgetting; /* counts */
    atomic_bool used;             /* since it was last asked */
    atomic_bool calls;            /* wanted() is to be called */
    bool (*wanted)(void *arg);    /* by the next who asks in vain */
    void *wanted_arg;
};

/* ---- life ---- */

struct session_cache *session_cache_new(size_t most)
{
    struct session_cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return NULL;
    busi_random_bytes(cache->token_key, sizeof cache->token_key);
    busi_random_bytes(cache->session_key, sizeof cache->session_key);
    size_t n = (most + PLACES - 1) / PLACES;
    cache->shards = n ? calloc(n, sizeof *cache->shards) : NULL;
    if (n && !cache->shards) {
        session_cache_free(&cache);
        return NULL;
    }
    while (cache->n_shards < n)
        pthread_mutex_init(&cache->shards[cache->n_shards++].lock, NULL);
    return cache;
}

/* Under the shard's lock. */
static void clear(struct shard *shard, unsigned place)
{
    struct entry *entry = shard->entries[place];
    if (!entry)
        return;
    busi_wipe(entry->key, sizeof entry->key);
    free(entry);
    shard->entries[place] = NULL;
    shard->tags[place] = 0;
}

void session_cache_free(struct session_cache **cache)
{
    struct session_cache *gone = *cache;
    if (!gone)
        return;
    for (size_t i = 0; gone->shards && i < gone->n_shards; i++) {
        for (unsigned place = 0; place < PLACES; place++)
            clear(&gone->shards[i], place);
        pthread_mutex_destroy(&gone->shards[i].lock);
    }
    free(gone->shards);
    busi_wipe(gone, sizeof *gone);
    free(gone);
    *cache = NULL;
}

/* ---- places ---- */

static struct shard *shard_of(struct session_cache *cache, const uint8_t key[SESSION_KEY_BYTES])
{
    uint64_t number;
    memcpy(&number, key, sizeof number);
    return &cache->shards[number % cache->n_shards];
}

static uint64_t tag_of(const uint8_t key[SESSION_KEY_BYTES])
{
    uint64_t tag;
    memcpy(&tag, key + sizeof tag, sizeof tag);
    return tag | 1;
}

/* PLACES: it has none. Under the lock. */
static unsigned find(const struct shard *shard, const uint8_t key[SESSION_KEY_BYTES])
{
    uint64_t tag = tag_of(key);
    unsigned place = 0;
    while (place < PLACES &&
           !(shard->tags[place] == tag && memcmp(shard->entries[place]->key, key, SESSION_KEY_BYTES) == 0))
        place++;
    return place;
}

static unsigned free_place(struct shard *shard, int64_t now_ms)
{
    for (unsigned place = 0; place < PLACES; place++)
        if (!shard->entries[place] || shard->entries[place]->until_ms <= now_ms)
            return place;
    return shard->next++ % PLACES;
}

/* ---- texts ---- */

/* The text of a field, as the rows of the message have it; NULL: it is none. */
static struct busi_str *text_of(struct busi_principal *principal, size_t field)
{
    const struct busi_field *row = &busi_desc_principal()->fields[field];
    return row->kind <= BUSI_BYTES ? (struct busi_str *)((char *)principal + row->offset) : NULL;
}

static struct entry *make(const struct busi_principal *principal)
{
    struct busi_principal copy = *principal;
    size_t size = 0, n_fields = busi_desc_principal()->n_fields;
    for (size_t i = 0; i < n_fields; i++) {
        size += text_of(&copy, i) ? text_of(&copy, i)->len : 0;
        if (busi_desc_principal()->fields[i].sub) /* a list would need more than this */
            return NULL;
    }
    struct entry *entry = size <= TEXTS_MOST_BYTES ? malloc(sizeof *entry + size) : NULL;
    if (!entry)
        return NULL;
    char *at = entry->texts;
    for (size_t i = 0; i < n_fields; i++) {
        struct busi_str *text = text_of(&copy, i);
        if (!text || !text->ptr)
            continue;
        memcpy(at, text->ptr, text->len);
        text->ptr = at;
        at += text->len;
    }
    entry->principal = copy;
    return entry;
}

static bool copy_out(const struct entry *entry, struct busi_arena *arena, struct busi_principal *out)
{
    struct busi_principal copy = entry->principal;
    for (size_t i = 0; i < busi_desc_principal()->n_fields; i++) {
        struct busi_str *text = text_of(&copy, i);
        if (!text || !text->ptr)
            continue;
        *text = busi_arena_dup(arena, *text);
        if (!text->ptr)
            return false;
    }
    *out = copy;
    return true;
}

/* ---- finding and keeping ---- */

static void note_wanted(struct session_cache *cache)
{
    if (atomic_load_explicit(&cache->calls, memory_order_relaxed) && atomic_exchange(&cache->calls, false))
        if (!cache->wanted(cache->wanted_arg))
            atomic_store(&cache->calls, true);
}

/* *until_ms: when the token expires. */
static bool look_up(struct session_cache *cache, const uint8_t key[SESSION_KEY_BYTES],
                    struct busi_arena *arena, struct busi_principal *out, int64_t *until_ms)
{
    struct shard *shard = shard_of(cache, key);
    pthread_mutex_lock(&shard->lock);
    unsigned place = find(shard, key);
    bool found = place < PLACES && copy_out(shard->entries[place], arena, out);
    *until_ms = found ? shard->entries[place]->until_ms : 0;
    pthread_mutex_unlock(&shard->lock);
    return found;
}

bool session_cache_find(struct session_cache *cache, struct busi_str token, struct busi_arena *arena,
                        struct busi_principal *out, struct session_ticket *ticket)
{
    *ticket = (struct session_ticket){0};
    if (cache->n_shards == 0)
        return false;
    if (!atomic_load_explicit(&cache->used, memory_order_relaxed))
        atomic_store_explicit(&cache->used, true, memory_order_relaxed);
    /* Before the entry: once all that is untrusted was dropped the trust is renewed, and an entry taken
     * before that must not be found good by the trust of after. */
    int64_t trusted_ms = atomic_load_explicit(&cache->trusted_ms, memory_order_acquire), until_ms = 0;
    if (trusted_ms == 0) {
        note_wanted(cache);
        return false;
    }
    busi_keyed_hash(ticket->key, (struct busi_str){(char *)cache->token_key, sizeof cache->token_key}, token);
    ticket->forgetting = atomic_load_explicit(&cache->forgetting, memory_order_acquire);
    ticket->wanted = true;
    bool found = look_up(cache, ticket->key, arena, out, &until_ms);
    ticket->asked_ms = busi_lease_ms();
    found = found && ticket->asked_ms < until_ms && ticket->asked_ms < trusted_ms;
    busi_metric_add(found ? BUSI_METRIC_session_cache_hits : BUSI_METRIC_session_cache_misses, 1);
    return found;
}

static int64_t expiry(const struct session_ticket *ticket, const struct busi_principal *principal)
{
    int64_t left_ms = KEPT_MOST_MS;
    if (principal->checked_at == 0)
        return 0;
    if (principal->expires_at != 0 && (principal->expires_at - principal->checked_at) / 1000 < left_ms)
        left_ms = (principal->expires_at - principal->checked_at) / 1000;
    return ticket->asked_ms + left_ms;
}

void session_cache_keep(struct session_cache *cache, const struct session_ticket *ticket,
                        const struct busi_principal *principal)
{
    int64_t until_ms = expiry(ticket, principal), now_ms = busi_lease_ms();
    struct entry *entry = ticket->wanted && until_ms > now_ms ? make(principal) : NULL;
    if (!entry)
        return;
    entry->until_ms = until_ms;
    memcpy(entry->key, ticket->key, sizeof entry->key);
    struct shard *shard = shard_of(cache, ticket->key);
    pthread_mutex_lock(&shard->lock);
    if (atomic_load_explicit(&cache->forgetting, memory_order_acquire) == ticket->forgetting) {
        unsigned place = find(shard, ticket->key);
        place = place < PLACES ? place : free_place(shard, now_ms);
        clear(shard, place);
        shard->entries[place] = entry;
        shard->tags[place] = tag_of(ticket->key);
        shard->sessions[place] = busi_short_hash(cache->session_key, principal->session_id);
        entry = NULL;
    }
    pthread_mutex_unlock(&shard->lock);
    free(entry);
}

/* ---- forgetting ---- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* hashes NULL: all. */
static void drop(struct session_cache *cache, const uint64_t *hashes, size_t n)
{
    int64_t dropped = 0;
    /* First: what is kept from now on is of checks that began after this, or it is found below. */
    atomic_fetch_add(&cache->forgetting, 1);
    for (size_t i = 0; i < cache->n_shards; i++) {
        struct shard *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->lock);
        for (unsigned place = 0; place < PLACES; place++) {
            const uint64_t *session = &shard->sessions[place];
            if (shard->entries[place] && (!hashes || bsearch(session, hashes, n, sizeof *hashes, compare))) {
                clear(shard, place);
                dropped++;
            }
        }
        pthread_mutex_unlock(&shard->lock);
    }
    busi_metric_add(BUSI_METRIC_session_cache_forgotten, dropped);
}

void session_cache_forget(struct session_cache *cache, const struct busi_ended_session *ended, size_t n)
{
    uint64_t *hashes = n ? malloc(n * sizeof *hashes) : NULL;
    if (n == 0)
        return;
    for (size_t i = 0; hashes && i < n; i++)
        hashes[i] = busi_short_hash(cache->session_key, ended[i].session_id);
    if (hashes)
        qsort(hashes, n, sizeof *hashes, compare);
    drop(cache, hashes, n); /* no memory to choose with: all */
    free(hashes);
}

void session_cache_forget_all(struct session_cache *cache)
{
    drop(cache, NULL, 0);
}

void session_cache_trust(struct session_cache *cache, int64_t until_ms)
{
    int64_t before = atomic_exchange_explicit(&cache->trusted_ms, until_ms, memory_order_acq_rel);
    busi_metric_set(BUSI_METRIC_session_cache_trusted, until_ms != 0);
    if (before != 0 && until_ms == 0)
        busi_metric_add(BUSI_METRIC_session_cache_suspensions, 1);
}

bool session_cache_used(struct session_cache *cache)
{
    return atomic_exchange_explicit(&cache->used, false, memory_order_relaxed);
}

void session_cache_call_when_wanted(struct session_cache *cache, bool (*fn)(void *arg), void *arg)
{
    cache->wanted = fn;
    cache->wanted_arg = arg;
    atomic_store(&cache->calls, true);
}
