#include "base/arena.h"
#include "base/memory.h"
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CHUNK_BYTES = 1024 - 64, ALIGNMENT = alignof(max_align_t) };

struct busi_arena_chunk {
    struct busi_arena_chunk *older;
    size_t room, used; /* bytes of data */
    alignas(max_align_t) char data[];
};

void busi_arena_init(struct busi_arena *arena, size_t max_bytes)
{
    *arena = (struct busi_arena){.most = max_bytes};
}

void busi_arena_fini(struct busi_arena *arena)
{
    struct busi_arena_chunk *chunk = arena->chunks;
    while (chunk) {
        struct busi_arena_chunk *older = chunk->older;
        explicit_bzero(chunk->data, chunk->used); /* it may have held a password */
        free(chunk);
        chunk = older;
    }
    arena->chunks = NULL;
    arena->used = 0;
}

/* Chunks double, so that a large call costs few of them. */
static struct busi_arena_chunk *grow(struct busi_arena *arena, size_t size)
{
    size_t room = arena->chunks ? arena->chunks->room * 2 : FIRST_CHUNK_BYTES;
    if (room < size)
        room = size;
    struct busi_arena_chunk *chunk = malloc(sizeof *chunk + room);
    if (!chunk) {
        busi_memory_refused();
        return NULL;
    }
    chunk->older = arena->chunks;
    chunk->room = room;
    chunk->used = 0;
    arena->chunks = chunk;
    return chunk;
}

void *busi_arena_alloc(struct busi_arena *arena, size_t size)
{
    if (size > arena->most - arena->used || size > PTRDIFF_MAX / 2) /* what follows cannot overflow */
        return NULL;
    size_t step = (size + (size == 0) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct busi_arena_chunk *chunk = arena->chunks;
    if (!chunk || step > chunk->room - chunk->used)
        chunk = grow(arena, step);
    if (!chunk)
        return NULL;
    void *memory = chunk->data + chunk->used;
    chunk->used += step;
    arena->used += size;
    return memset(memory, 0, size);
}

void *busi_arena_array(struct busi_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return busi_arena_alloc(arena, bytes);
}

struct busi_str busi_arena_dup(struct busi_arena *arena, struct busi_str s)
{
    char *copy = s.ptr && s.len < SIZE_MAX ? busi_arena_alloc(arena, s.len + 1) : NULL;
    if (!copy)
        return (struct busi_str){0};
    memcpy(copy, s.ptr, s.len);
    return (struct busi_str){copy, s.len};
}

struct busi_str busi_arena_printf(struct busi_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = n >= 0 ? busi_arena_alloc(arena, (size_t)n + 1) : NULL;
    if (!text)
        return (struct busi_str){0};
    va_start(arguments, format);
    vsnprintf(text, (size_t)n + 1, format, arguments);
    va_end(arguments);
    return (struct busi_str){text, (size_t)n};
}

struct busi_str busi_arena_int(struct busi_arena *arena, int64_t n)
{
    return busi_arena_printf(arena, "%lld", (long long)n);
}
