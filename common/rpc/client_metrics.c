#include "rpc/client_metrics.h"
#include "base/metrics.h"
#include <pthread.h>

static struct busi_histogram *histograms[BUSI_METHODS];

static void make_histograms(void)
{
    for (int i = 0; i < BUSI_METHODS; i++) {
        histograms[i] =
            busi_histogram_new("busi_rpc_client_duration_seconds", "Calls made, with their retries", "method",
                               busi_method_get((enum busi_method_id)i)->wire);
        if (histograms[i])
            busi_histogram_code_names(histograms[i], busi_code_name);
    }
}

void busi_client_metrics_make(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_histograms);
}

void busi_client_metrics_observe(enum busi_method_id method, int64_t us, enum busi_code code)
{
    if (histograms[method])
        busi_histogram_observe(histograms[method], us, code);
}
