/* fault-entropy: the system's random bytes do as told in the file that FAULT_ENTROPY names. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "page.h"
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

enum mode { GIVEN, REFUSED, ZERO }; /* ZERO: they are said to be random */

struct page {
    _Atomic(uint64_t) mode;  /* the test's */
    _Atomic(uint64_t) asked; /* how often, while it was not GIVEN */
};
static struct page *page;

[[gnu::constructor]] static void begin(void)
{
    page = page_map("FAULT_ENTROPY", sizeof *page);
}

static enum mode mode_now(void)
{
    enum mode mode = page ? (enum mode)atomic_load(&page->mode) : GIVEN;
    if (mode != GIVEN)
        atomic_fetch_add(&page->asked, 1);
    return mode;
}

/* The C library's function of this name. */
static void find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    memcpy(function, &found, sizeof found);
}

ssize_t getrandom(void *out, size_t n, unsigned flags)
{
    ssize_t (*real)(void *, size_t, unsigned);
    switch (mode_now()) {
    case REFUSED:
        errno = EIO;
        return -1;
    case ZERO:
        memset(out, 0, n);
        return (ssize_t)n;
    case GIVEN:
        break;
    }
    find(&real, "getrandom");
    return real(out, n, flags);
}

int getentropy(void *out, size_t n)
{
    return getrandom(out, n, 0) == (ssize_t)n ? 0 : -1;
}

/* libsodium and OpenSSL turn to the device where the system call fails. */
int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, unsigned) : 0;
    va_end(rest);
    if ((strcmp(path, "/dev/urandom") == 0 || strcmp(path, "/dev/random") == 0) && mode_now() != GIVEN) {
        errno = EIO;
        return -1;
    }
    find(&real, "open");
    return real(path, flags, mode);
}
