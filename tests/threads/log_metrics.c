/* Many threads log and count at once; run under ThreadSanitizer. */
#include "base/log.h"
#include "base/metrics.h"
#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, LINES = 3000 };

static struct busi_histogram *histogram;

static void *work(void *number)
{
    for (int i = 0; i < LINES; i++) {
        busi_log(BUSI_INFO, "line", BUSI_I("i", i), BUSI_C("thread", number));
        busi_metric_add(BUSI_METRIC_rpc_late, 1);
        busi_histogram_observe(histogram, i, 200 + i % 5);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    struct busi_buf out;
    if (!freopen("/dev/null", "w", stderr))
        return 1;
    histogram = busi_histogram_new("test_seconds", "Test", "label", "value");
    busi_log_init("threads", BUSI_INFO);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, "x") != 0)
            return 1;
    for (int i = 0; i < 50; i++) {
        busi_buf_init(&out, 1 << 20);
        busi_metrics_print(&out);
        busi_buf_fini(&out);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    busi_log_fini();
    return busi_metric_get(BUSI_METRIC_rpc_late) == THREADS * LINES ? 0 : 1;
}
