/* Log lines: shape, escaping, cutting, a blocked pipe; metrics as text. */
#define _GNU_SOURCE
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <unistd.h>

static int pipe_ends[2];

/* stderr becomes a pipe of ours. */
static void listen_to_stderr(void)
{
    cr_assert_eq(pipe(pipe_ends), 0);
    cr_assert_eq(dup2(pipe_ends[1], STDERR_FILENO), STDERR_FILENO);
}

static struct busi_str heard(char *room, size_t n)
{
    ssize_t got = read(pipe_ends[0], room, n - 1);
    cr_assert_gt(got, 0);
    room[got] = 0;
    return (struct busi_str){room, (size_t)got};
}

static bool holds(struct busi_str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

Test(base_log, a_line_is_one_json_object)
{
    char room[20000];
    listen_to_stderr();
    busi_log_init("test-svc", BUSI_INFO);
    busi_log(BUSI_DEBUG, "hidden");
    busi_log(BUSI_WARN, "said", BUSI_C("text", "quote \" line\n{\"level\":\"x\"} \x1b[31m \xE2\x80\xA8 \xFF"),
             BUSI_I("number", -5), BUSI_S("absent", (struct busi_str){0}));
    busi_log_fini();
    struct busi_str line = heard(room, sizeof room);
    cr_assert(busi_str_starts(line, BUSI_STR("{\"ts\":\"20")));
    cr_assert(holds(line, "Z\",\"level\":\"warn\",\"service\":\"test-svc\",\"event\":\"said\",\"text\":"
                          "\"quote \\\" line\\n{\\\"level"));
    cr_assert(holds(line, "\\u001b[31m \\u2028 \xEF\xBF\xBD\",\"number\":-5}\n"));
    cr_assert(!holds(line, "hidden") && !holds(line, "absent"));
    cr_assert_eq(memchr(line.ptr, '\n', line.len), line.ptr + line.len - 1, "one line");
}

Test(base_log, long_values_are_cut_between_code_points)
{
    char room[20000], value[600];
    listen_to_stderr();
    busi_log_init("test-svc", BUSI_INFO);
    value[0] = 'x';
    for (size_t i = 1; i < sizeof value - 2; i += 2)
        memcpy(value + i, "\xC3\xA9", 2);
    busi_log(BUSI_INFO, "long", BUSI_S("value", ((struct busi_str){value, 501})));
    busi_log_fini();
    struct busi_str line = heard(room, sizeof room);
    cr_assert(holds(line, "\xC3\xA9...\"}\n") && !holds(line, "\xEF\xBF\xBD") && line.len < 400);
}

Test(base_log, a_blocked_pipe_blocks_nobody)
{
    listen_to_stderr();
    busi_log_init("test-svc", BUSI_INFO);
    int64_t begin = busi_now_ms();
    for (int i = 0; i < 40000; i++) /* far more than the pipe and the queue take */
        busi_log(BUSI_INFO, "filler",
                 BUSI_C("text", "................................................................"));
    cr_assert_lt(busi_now_ms() - begin, 5000);
    cr_assert_gt(busi_metric_get(BUSI_METRIC_log_dropped), 0);
    busi_log_fini(); /* gives up after its second */
    cr_assert_lt(busi_now_ms() - begin, 9000);
}

Test(base_metrics, text_format)
{
    struct busi_buf out;
    busi_buf_init(&out, 1 << 20);
    struct busi_histogram *a = busi_histogram_new("test_duration_seconds", "Time", "route", "GET /");
    struct busi_histogram *b = busi_histogram_new("test_duration_seconds", "Time", "route", "POST /");
    busi_histogram_observe(a, 250, 200);
    busi_histogram_observe(a, 251, 404);
    busi_histogram_observe(a, 99999999, 404);
    busi_histogram_observe(b, 1, 200);
    busi_metric_add(BUSI_METRIC_rpc_late, 3);
    busi_metrics_print(&out);
    struct busi_str text = {out.ptr, out.len};
    cr_assert(holds(text, "\nbusi_rpc_late_replies_total 3\n"));
    cr_assert(holds(text, "test_duration_seconds_bucket{route=\"GET /\",le=\"0.00025\"} 1\n"));
    cr_assert(holds(text, "test_duration_seconds_bucket{route=\"GET /\",le=\"10\"} 2\n"));
    cr_assert(holds(text, "test_duration_seconds_bucket{route=\"GET /\",le=\"+Inf\"} 3\n"));
    cr_assert(holds(text, "test_duration_seconds_count{route=\"GET /\"} 3\n"));
    cr_assert(holds(text, "test_duration_total{route=\"GET /\",code=\"404\"} 2\n"));
    cr_assert(holds(text, "test_duration_total{route=\"POST /\",code=\"200\"} 1\n"));
    const char *type = "# TYPE test_duration_seconds histogram\n";
    const char *first = memmem(text.ptr, text.len, type, strlen(type));
    cr_assert(first && !memmem(first + 1, text.len - (size_t)(first + 1 - text.ptr), type, strlen(type)),
              "one TYPE for both");
    busi_buf_fini(&out);
}
