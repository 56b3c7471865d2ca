#include "base/memory.h"
#include "base/metrics.h"

void busi_memory_refused(void)
{
    busi_metric_add(BUSI_METRIC_memory_refused, 1);
}

int64_t busi_memory_refusals(void)
{
    return busi_metric_get(BUSI_METRIC_memory_refused);
}
