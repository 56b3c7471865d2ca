/* Counters, gauges and histograms, updated with relaxed atomics from any thread, printed in
 * Prometheus' text format. Rows: proto/metrics.def; histograms are registered by their owners. */
#pragma once
#include "base/buf.h"

enum busi_metric {
#define COUNTER(name, exposed, help) BUSI_METRIC_##name,
#define GAUGE(name, exposed, help) BUSI_METRIC_##name,
#include "proto/metrics.def"
#undef COUNTER
#undef GAUGE
    BUSI_METRICS
};

void busi_metric_add(enum busi_metric metric, int64_t n);
void busi_metric_set(enum busi_metric metric, int64_t value);
int64_t busi_metric_get(enum busi_metric metric);

/* One histogram of seconds with labels fixed at start; by code class as counter label. */
struct busi_histogram;
/* name, help and label texts are static ("busi_http_request_duration_seconds", "route", "GET /"). Never
 * freed; make all of them before threads start. NULL only when out of memory. */
struct busi_histogram *busi_histogram_new(const char *name, const char *help, const char *label,
                                          const char *value);
/* code: a short text from a fixed set ("200", "NOT_FOUND"), counted as <name minus _seconds>_total by code.
 */
void busi_histogram_observe(struct busi_histogram *h, int64_t us, int code);
/* How the codes of this histogram are printed; default is the number. */
void busi_histogram_code_names(struct busi_histogram *h, const char *(*name)(int code));

void busi_metrics_print(struct busi_buf *out);
