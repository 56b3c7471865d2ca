#include "scarce.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_llong seen, from, to, refused; /* to 0: none is refused */

void scarce_begin(int64_t first, int64_t n)
{
    seen = refused = 0;
    from = first;
    to = n < INT64_MAX - first ? first + n : INT64_MAX;
}

int64_t scarce_end(void)
{
    to = 0;
    return refused;
}

static bool refuse(void)
{
    if (to == 0)
        return false;
    int64_t number = ++seen;
    if (number < from || number >= to)
        return false;
    refused++;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
    return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuse() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return refuse() ? NULL : __real_realloc(old, size);
}
