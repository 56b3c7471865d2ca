#include "base/metrics.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { BUCKETS = 15, CODES = 24 };

/* Upper bounds in microseconds; the last bucket is +Inf. */
static const int64_t bounds_us[BUCKETS] = {250,    500,    1000,   2500,    5000,    10000,   25000,   50000,
                                           100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

struct busi_histogram {
    struct busi_histogram *next; /* registered after this one */
    const char *name, *help, *label, *value;
    const char *(*code_name)(int code); /* NULL: the number */
    atomic_llong buckets[BUCKETS + 1];  /* not cumulative */
    atomic_llong sum_us;
    struct {
        atomic_int code; /* + 1; 0: free */
        atomic_llong count;
    } codes[CODES];
};

static atomic_llong values[BUSI_METRICS];

/* Registered before threads start, then only read. */
static struct busi_histogram *first, **last = &first;

void busi_metric_add(enum busi_metric metric, int64_t n)
{
    atomic_fetch_add_explicit(&values[metric], n, memory_order_relaxed);
}

void busi_metric_set(enum busi_metric metric, int64_t value)
{
    atomic_store_explicit(&values[metric], value, memory_order_relaxed);
}

int64_t busi_metric_get(enum busi_metric metric)
{
    return atomic_load_explicit(&values[metric], memory_order_relaxed);
}

struct busi_histogram *busi_histogram_new(const char *name, const char *help, const char *label,
                                          const char *value)
{
    struct busi_histogram *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->name = name;
    h->help = help;
    h->label = label;
    h->value = value;
    *last = h;
    last = &h->next;
    return h;
}

void busi_histogram_code_names(struct busi_histogram *h, const char *(*name)(int code))
{
    h->code_name = name;
}

static void count_code(struct busi_histogram *h, int code)
{
    for (size_t i = 0; i < CODES; i++) {
        int have = atomic_load_explicit(&h->codes[i].code, memory_order_relaxed);
        if (have == 0 && atomic_compare_exchange_strong(&h->codes[i].code, &have, code + 1))
            have = code + 1;
        if (have == code + 1) {
            atomic_fetch_add_explicit(&h->codes[i].count, 1, memory_order_relaxed);
            return;
        }
    }
}

void busi_histogram_observe(struct busi_histogram *h, int64_t us, int code)
{
    size_t bucket = 0;
    while (bucket < BUCKETS && us > bounds_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&h->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, us, memory_order_relaxed);
    count_code(h, code);
}

/* ---- exposition (https://prometheus.io/docs/instrumenting/exposition_formats/) ---- */

static void print_simple(struct busi_buf *out)
{
    static const struct {
        const char *name, *help, *type;
    } rows[] = {
#define COUNTER(name, exposed, help) {exposed, help, "counter"},
#define GAUGE(name, exposed, help) {exposed, help, "gauge"},
#include "proto/metrics.def"
#undef COUNTER
#undef GAUGE
    };
    for (size_t i = 0; i < BUSI_METRICS; i++)
        busi_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %lld\n", rows[i].name, rows[i].help,
                        rows[i].name, rows[i].type, rows[i].name,
                        (long long)busi_metric_get((enum busi_metric)i));
}

static void print_histogram(struct busi_buf *out, struct busi_histogram *h)
{
    long long seen = 0;
    for (size_t i = 0; i <= BUCKETS; i++) {
        seen += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        busi_buf_printf(out, "%s_bucket{%s=\"%s\",le=\"", h->name, h->label, h->value);
        if (i < BUCKETS)
            busi_buf_printf(out, "%g", (double)bounds_us[i] / 1e6);
        else
            busi_buf_str(out, BUSI_STR("+Inf"));
        busi_buf_printf(out, "\"} %lld\n", seen);
    }
    double sum = (double)atomic_load_explicit(&h->sum_us, memory_order_relaxed) / 1e6;
    busi_buf_printf(out, "%s_sum{%s=\"%s\"} %.6f\n%s_count{%s=\"%s\"} %lld\n", h->name, h->label, h->value,
                    sum, h->name, h->label, h->value, seen);
}

/* "busi_http_request_duration_seconds" -> its counter "busi_http_request_duration_total". */
static struct busi_str stem(const struct busi_histogram *h)
{
    struct busi_str name = busi_str_of(h->name), unit = BUSI_STR("_seconds");
    if (name.len > unit.len && memcmp(name.ptr + name.len - unit.len, unit.ptr, unit.len) == 0)
        name.len -= unit.len;
    return name;
}

static void print_codes(struct busi_buf *out, struct busi_histogram *h)
{
    for (size_t i = 0; i < CODES; i++) {
        int code = atomic_load_explicit(&h->codes[i].code, memory_order_relaxed) - 1;
        if (code < 0)
            continue;
        busi_buf_printf(out, "%.*s_total{%s=\"%s\",code=\"", BUSI_ARG(stem(h)), h->label, h->value);
        if (h->code_name)
            busi_buf_str(out, busi_str_of(h->code_name(code)));
        else
            busi_buf_int(out, code);
        busi_buf_printf(out, "\"} %lld\n",
                        (long long)atomic_load_explicit(&h->codes[i].count, memory_order_relaxed));
    }
}

static bool same_name(const struct busi_histogram *a, const struct busi_histogram *b)
{
    return busi_str_eq(busi_str_of(a->name), busi_str_of(b->name));
}

/* All histograms of one name stand together, under one HELP and TYPE. */
static void print_family(struct busi_buf *out, struct busi_histogram *family)
{
    busi_buf_printf(out, "# HELP %s %s\n# TYPE %s histogram\n", family->name, family->help, family->name);
    for (struct busi_histogram *h = family; h; h = h->next)
        if (same_name(h, family))
            print_histogram(out, h);
    busi_buf_printf(out, "# HELP %.*s_total %s, by code\n# TYPE %.*s_total counter\n", BUSI_ARG(stem(family)),
                    family->help, BUSI_ARG(stem(family)));
    for (struct busi_histogram *h = family; h; h = h->next)
        if (same_name(h, family))
            print_codes(out, h);
}

void busi_metrics_print(struct busi_buf *out)
{
    busi_metric_set(BUSI_METRIC_memory_refused, busi_memory_refusals());
    print_simple(out);
    for (struct busi_histogram *h = first; h; h = h->next) {
        bool printed = false;
        for (struct busi_histogram *earlier = first; earlier != h; earlier = earlier->next)
            printed |= same_name(earlier, h);
        if (!printed)
            print_family(out, h);
    }
}
