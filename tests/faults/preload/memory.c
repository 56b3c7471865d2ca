/* fault-memory: malloc() and its kin refuse as told in the file that FAULT_MEMORY names (preloads.py has the
 * other end). FAULT_MEMORY_SPARES: parts of names of libraries that are never refused any, comma separated.
 */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "page.h"
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <string.h>

/* The test writes the first four, last of all `first`. */
struct page {
    _Atomic(uint64_t) first;   /* number of the first that may be refused; 0: nothing is counted */
    _Atomic(uint64_t) last;    /* and of the last */
    _Atomic(uint64_t) one_in;  /* of these so many */
    _Atomic(uint64_t) seed;    /* says which */
    _Atomic(uint64_t) seen;    /* so far, but for those of libraries that are spared */
    _Atomic(uint64_t) refused; /* so far */
};
static struct page *page;

/* ---- whose an allocation is ---- */

enum { SPARED_MOST = 16 };
struct code {
    uintptr_t begin, end;
};
static struct code spared[SPARED_MOST];
static size_t n_spared;

static bool is_listed(const char *list, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (const char *word = list, *end; *word; word = *end ? end + 1 : end) {
        end = strchrnul(word, ',');
        if (end > word && memmem(name, strlen(name), word, (size_t)(end - word)))
            return true;
    }
    return false;
}

static int note_code(struct dl_phdr_info *info, size_t size, void *list)
{
    (void)size;
    if (!is_listed(list, info->dlpi_name))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && n_spared < SPARED_MOST; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X))
            spared[n_spared++] = (struct code){begin, begin + part->p_memsz};
    }
    return 0;
}

static bool is_spared(uintptr_t caller)
{
    for (size_t i = 0; i < n_spared; i++)
        if (caller >= spared[i].begin && caller < spared[i].end)
            return true;
    return false;
}

[[gnu::constructor]] static void begin(void)
{
    char *list = getenv("FAULT_MEMORY_SPARES");
    if (list)
        dl_iterate_phdr(note_code, list);
    page = page_map("FAULT_MEMORY", sizeof *page);
}

/* ---- which is refused ---- */

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x *= 0x9E3779B97F4A7C15;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
}

static bool refuse(void *caller)
{
    uint64_t first = page ? atomic_load(&page->first) : 0;
    if (first == 0 || is_spared((uintptr_t)caller))
        return false;
    uint64_t number = atomic_fetch_add(&page->seen, 1) + 1, one_in = atomic_load(&page->one_in);
    if (number < first || number > atomic_load(&page->last) ||
        (one_in > 1 && mix(atomic_load(&page->seed) + number) % one_in != 0))
        return false;
    atomic_fetch_add(&page->refused, 1);
    errno = ENOMEM;
    return true;
}

#define REFUSE() refuse(__builtin_return_address(0))

/* ---- the functions: the C library's own, or AddressSanitizer's where that is there ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
[[gnu::weak]] void *__interceptor_malloc(size_t size);
[[gnu::weak]] void *__interceptor_calloc(size_t n, size_t size);
[[gnu::weak]] void *__interceptor_realloc(void *old, size_t size);
[[gnu::weak]] void *__interceptor_memalign(size_t alignment, size_t size);

#define REAL(name) (__interceptor_##name ? __interceptor_##name : __libc_##name)

void *malloc(size_t size)
{
    return REFUSE() ? NULL : REAL(malloc)(size);
}

void *calloc(size_t n, size_t size)
{
    return REFUSE() ? NULL : REAL(calloc)(n, size);
}

void *realloc(void *old, size_t size)
{
    return size > 0 && REFUSE() ? NULL : REAL(realloc)(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    return REFUSE() ? NULL : REAL(memalign)(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return REFUSE() ? NULL : REAL(memalign)(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *memory = REFUSE() ? NULL : REAL(memalign)(alignment, size);
    if (!memory)
        return ENOMEM;
    *out = memory;
    return 0;
}
