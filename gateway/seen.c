#include "seen.h"
#include "crypto/secret.h"

void seen_init(struct seen *seen)
{
    busi_random_bytes(seen->key, sizeof seen->key);
}

bool seen_find(const struct seen *seen, struct busi_str token)
{
    uint64_t hash = busi_short_hash(seen->key, token);
    return atomic_load_explicit(&seen->hashes[hash % SEEN_MOST], memory_order_relaxed) == hash;
}

void seen_note(struct seen *seen, struct busi_str token, bool good)
{
    uint64_t hash = busi_short_hash(seen->key, token);
    _Atomic(uint64_t) *place = &seen->hashes[hash % SEEN_MOST];
    uint64_t there = atomic_load_explicit(place, memory_order_relaxed);
    if (good && there != hash)
        atomic_store_explicit(place, hash, memory_order_relaxed);
    else if (!good && there == hash)
        atomic_store_explicit(place, 0, memory_order_relaxed);
}
