/* Many threads log and count at once, and nothing is lost or torn; run under ThreadSanitizer. */
#include "base/log.h"
#include "base/metrics.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 8, LINES = 3000, ALL = THREADS * LINES };

static struct busi_histogram *histogram;

static void *work(void *number)
{
    for (int i = 0; i < LINES; i++) {
        busi_log(BUSI_INFO, "line", BUSI_I("i", i), BUSI_C("thread", number));
        busi_metric_add(BUSI_METRIC_rpc_late, 1);
        busi_metric_set(BUSI_METRIC_http_busy, i);
        busi_histogram_observe(histogram, i, 200 + i % 5);
    }
    return NULL;
}

static bool fail(const char *what, int64_t got, int64_t wanted)
{
    if (got == wanted)
        return false;
    printf("%s: %lld instead of %lld\n", what, (long long)got, (long long)wanted);
    return true;
}

/* Whole lines in the file; torn ones count as none. */
static int64_t count_lines(FILE *file)
{
    static const char end[] = "\"thread\":\"x\"}\n";
    char line[512];
    int64_t n = 0;
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        size_t length = strlen(line), tail = sizeof end - 1;
        n += strncmp(line, "{\"ts\":\"", 7) == 0 && length > tail && strcmp(line + length - tail, end) == 0;
    }
    return n;
}

/* The number behind the text in the printed metrics. */
static int64_t printed(const char *text)
{
    struct busi_buf out;
    busi_buf_init(&out, 1 << 20);
    busi_metrics_print(&out);
    busi_buf_char(&out, 0);
    const char *at = out.failed ? NULL : strstr(out.ptr, text);
    int64_t number = at ? atoll(at + strlen(text)) : -1;
    busi_buf_fini(&out);
    return number;
}

int main(void)
{
    pthread_t threads[THREADS];
    FILE *lines = tmpfile();
    if (!lines || dup2(fileno(lines), STDERR_FILENO) < 0)
        return 1;
    histogram = busi_histogram_new("test_seconds", "Test", "label", "value");
    busi_log_init("threads", BUSI_INFO);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, "x") != 0)
            return 1;
    int64_t before = 0;
    bool wrong = false;
    for (int i = 0; i < 50; i++) {
        int64_t now = printed("test_seconds_count{label=\"value\"} ");
        wrong |= now < before;
        before = now;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    busi_log_fini();
    int64_t dropped = busi_metric_get(BUSI_METRIC_log_dropped);
    wrong |= fail("lines", count_lines(lines) + dropped, ALL);
    wrong |= fail("counter", busi_metric_get(BUSI_METRIC_rpc_late), ALL);
    wrong |= fail("gauge", busi_metric_get(BUSI_METRIC_http_busy), LINES - 1);
    wrong |= fail("histogram", printed("test_seconds_count{label=\"value\"} "), ALL);
    wrong |= fail("a code", printed("test_total{label=\"value\",code=\"203\"} "), ALL / 5);
    fclose(lines);
    return wrong;
}
