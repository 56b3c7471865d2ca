/* libsodium 1.0.18 maps fresh pages for every argon2 hash and unmaps them after it: the kernel then zeroes
 * 19 MiB in 4 KiB pages, which takes about half of the hash's time. This file answers that one mmap() and its
 * munmap() with memory that stays mapped in huge pages. Only addresses change: argon2 writes every block
 * before it reads it, so the hashes are the same (tests/unit/crypto_password.c compares them).
 *
 * How: the executable defines mmap and munmap. Shared libraries that import these names (libsodium and
 * libcrypt do) reach ours, because the dynamic linker looks into the executable first; the C library's own
 * mappings do not come here. Ours pass everything to the kernel except a request that is, bit for bit, the
 * one libsodium makes, on a thread that is just hashing.
 *
 * Measured on two cores with 19 MiB and two passes, in ms of CPU per hash: 18.5 as libsodium is (8 of them in
 * the kernel), 9.8 with this memory; 106 and 187 hashes a second on two threads.
 *
 * What it costs: the memory of a thread's last hash (19 MiB by default) stays resident while passwords keep
 * coming. From it one could test guesses of that last password without argon2's memory cost, as from any
 * memory of a process that is at that moment checking passwords; it is excluded from core dumps. Wiping it
 * after each hash would take 1.1 ms (memset) or 1.7 ms (giving the pages back) and protect nothing while the
 * next password already overwrites it. So it is not wiped between two hashes of a busy thread; as soon as no
 * password waits, the owner calls release(), the kernel takes the pages back and nothing stays, neither
 * secrets nor memory.
 *
 * Under sanitizers, which have their own mmap, nothing is lent.
 */
#include "crypto/argon_memory.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(BUSI_SANITIZED) || !defined(__LP64__) || !defined(SYS_mmap)

void *busi_argon_memory_init(void)
{
    return NULL;
}

void busi_argon_memory_fini(void *memory)
{
    (void)memory;
}

void busi_argon_memory_lend(size_t bytes)
{
    (void)bytes;
}

void busi_argon_memory_take_back(size_t keep)
{
    (void)keep;
}

void busi_argon_memory_release(void)
{
}

size_t busi_argon_memory_loans(void)
{
    return 0;
}

#else

enum { ROOM_BYTES = 64 * 1024 * 1024, HUGE_PAGE_BYTES = 2 * 1024 * 1024 };

/* One thread's. */
struct argon_memory {
    char *base;   /* ROOM_BYTES, aligned to a huge page */
    size_t used;  /* bytes from base that may be resident */
    size_t offer; /* bytes of the mapping that may be asked for now; 0: no loan */
    bool lent;    /* it was asked for and not yet given back */
    size_t loans; /* mappings answered so far */
};

static _Thread_local struct argon_memory *own;

static void *system_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    return (void *)syscall(SYS_mmap, at, len, protection, flags, fd, offset);
}

/* The prototypes of the C library are <sys/mman.h>'s; visible whatever -fvisibility says. */
[[gnu::visibility("default")]] void *mmap(void *at, size_t len, int protection, int flags, int fd,
                                          off_t offset)
{
    const int asked = MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE;
    struct argon_memory *memory = own;
    if (!memory || memory->offer == 0 || memory->lent || at || len != memory->offer ||
        protection != (PROT_READ | PROT_WRITE) || flags != asked || fd != -1 || offset != 0)
        return system_mmap(at, len, protection, flags, fd, offset);
    memory->lent = true;
    memory->loans++;
    if (len > memory->used)
        memory->used = len;
    return memory->base;
}

[[gnu::visibility("default")]] int munmap(void *at, size_t len)
{
    struct argon_memory *memory = own;
    if (!memory || !memory->lent || at != memory->base || len != memory->offer)
        return (int)syscall(SYS_munmap, at, len);
    memory->lent = false;
    return 0;
}

/* ROOM_BYTES at an address that huge pages can begin at; NULL when there is no address space. */
static char *map_room(void)
{
    size_t len = ROOM_BYTES + HUGE_PAGE_BYTES;
    char *raw =
        system_mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)raw % HUGE_PAGE_BYTES, behind = HUGE_PAGE_BYTES - before;
    if (before > 0)
        syscall(SYS_munmap, raw, before);
    if (behind > 0)
        syscall(SYS_munmap, raw + before + ROOM_BYTES, behind);
    return raw + before;
}

void *busi_argon_memory_init(void)
{
    struct argon_memory *memory = own ? NULL : calloc(1, sizeof(*memory));
    if (!memory)
        return NULL;
    memory->base = map_room();
    if (!memory->base) {
        free(memory);
        return NULL;
    }
    /* Both are hints: without huge pages hashing is slower, not wrong. */
    (void)madvise(memory->base, ROOM_BYTES, MADV_HUGEPAGE);
    (void)madvise(memory->base, ROOM_BYTES, MADV_DONTDUMP);
    own = memory;
    return memory;
}

void busi_argon_memory_fini(void *memory)
{
    struct argon_memory *mine = memory;
    if (!mine)
        return;
    if (own == mine)
        own = NULL;
    syscall(SYS_munmap, mine->base, ROOM_BYTES);
    free(mine);
}

void busi_argon_memory_lend(size_t bytes)
{
    if (own && bytes <= ROOM_BYTES)
        own->offer = bytes;
}

/* MADV_DONTNEED: the next touch finds zeroes, so the contents are gone at once. */
static void give_back(struct argon_memory *memory, size_t keep)
{
    keep = (keep + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if (memory->used <= keep)
        return;
    size_t used = (memory->used + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    (void)madvise(memory->base + keep, used - keep, MADV_DONTNEED);
    memory->used = keep;
}

void busi_argon_memory_take_back(size_t keep)
{
    if (!own)
        return;
    own->offer = 0;
    own->lent = false;
    give_back(own, keep);
}

void busi_argon_memory_release(void)
{
    if (own)
        give_back(own, 0);
}

size_t busi_argon_memory_loans(void)
{
    return own ? own->loans : 0;
}

#endif
