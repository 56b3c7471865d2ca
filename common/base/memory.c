#include "base/memory.h"

#include <stdatomic.h>

static atomic_llong refusals;

void busi_memory_refused(void)
{
    atomic_fetch_add_explicit(&refusals, 1, memory_order_relaxed);
}

int64_t busi_memory_refusals(void)
{
    return atomic_load_explicit(&refusals, memory_order_relaxed);
}
