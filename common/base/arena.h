/* Memory that lives as long as one call: many allocations, one release that wipes.
 * Not thread-safe; one owner at a time. */
#pragma once
#include "base/str.h"

struct busi_arena {
    struct busi_arena_chunk *chunks; /* newest first; owned */
    size_t used;                     /* bytes handed out */
    size_t most;                     /* past this many bytes alloc returns NULL */
};

/* Nothing is allocated until the first busi_arena_alloc(). */
void busi_arena_init(struct busi_arena *arena, size_t max_bytes);
/* Wipes and frees everything; the arena can be used again. */
void busi_arena_fini(struct busi_arena *arena);

/* Zeroed, aligned for any type. NULL when the arena's bound or memory is exhausted. size 0 gives a
 * valid unique pointer. */
[[nodiscard]] void *busi_arena_alloc(struct busi_arena *arena, size_t size);
#define BUSI_NEW(arena, type) ((type *)busi_arena_alloc((arena), sizeof(type)))
/* count * sizeof(type), refused on overflow. */
[[nodiscard]] void *busi_arena_array(struct busi_arena *arena, size_t count, size_t size);

/* A copy with a NUL behind it (not counted). ptr NULL when out of memory or s.ptr is NULL. */
[[nodiscard]] struct busi_str busi_arena_dup(struct busi_arena *arena, struct busi_str s);
/* n as a decimal, NUL behind. ptr NULL when out of memory. */
[[nodiscard]] struct busi_str busi_arena_int(struct busi_arena *arena, int64_t n);
/* printf into the arena, NUL behind. ptr NULL when out of memory. */
[[nodiscard, gnu::format(printf, 2, 3)]] struct busi_str busi_arena_printf(struct busi_arena *arena,
                                                                           const char *format, ...);
