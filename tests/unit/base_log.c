/* Log lines: shape, escaping, cutting, a blocked pipe; metrics as text. */
#define _GNU_SOURCE
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
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

Test(base_log, a_line_is_one_json_object) /* */
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

Test(base_log, long_values_are_cut_between_code_points) /* */
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
    begin = busi_now_ms();
    busi_log_fini(); /* gives up after its second */
    cr_assert_lt(busi_now_ms() - begin, 2500);
}

static void log_numbers(int n)
{
    for (int i = 0; i < n; i++)
        busi_log(BUSI_INFO, "number", BUSI_I("i", i));
}

static int64_t lines_in(int fd)
{
    static char room[1 << 20];
    int64_t lines = 0;
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;)
        for (ssize_t i = 0; i < n; i++)
            lines += room[i] == '\n';
    return lines;
}

Test(base_log, what_a_reader_does_not_take_is_counted)
{
    listen_to_stderr();
    busi_log_init("test-svc", BUSI_INFO);
    log_numbers(30000);
    busi_log_fini();
    cr_assert_eq(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK), 0);
    cr_expect_eq(lines_in(pipe_ends[0]) + busi_metric_get(BUSI_METRIC_log_dropped), 30000);
}

Test(base_log, a_reader_that_went_away_harms_nobody)
{
    signal(SIGPIPE, SIG_IGN); /* as every process of ours does */
    listen_to_stderr();
    close(pipe_ends[0]);
    busi_log_init("test-svc", BUSI_INFO);
    log_numbers(10);
    busi_log_fini();
    cr_expect_eq(busi_metric_get(BUSI_METRIC_log_dropped), 10);
}

Test(base_log, without_a_writer_lines_are_written_at_once)
{
    char room[2000];
    listen_to_stderr();
    log_numbers(1);
    cr_expect(holds(heard(room, sizeof room), "\"service\":\"busi\",\"event\":\"number\",\"i\":0}\n"));
    busi_log_init("test-svc", BUSI_INFO);
    log_numbers(1);
    busi_log_fini();
    cr_expect(holds(heard(room, sizeof room), "\"service\":\"test-svc\""));
    log_numbers(1);
    cr_expect(holds(heard(room, sizeof room), "\"event\":\"number\""));
}

/* Control bytes become six characters each: eight such fields are more than a line holds. */
Test(base_log, a_line_cannot_be_made_to_vanish) /* X-19 X-20 */
{
    char room[20000], value[256];
    listen_to_stderr();
    busi_log_init("test-svc", BUSI_INFO);
    memset(value, 1, sizeof value);
    struct busi_str hostile = {value, sizeof value};
    busi_log(BUSI_INFO, "attack", BUSI_S("a", hostile), BUSI_S("b", hostile), BUSI_S("c", hostile),
             BUSI_S("d", hostile), BUSI_S("e", hostile), BUSI_S("f", hostile), BUSI_S("g", hostile),
             BUSI_S("h", hostile), BUSI_I("status", 401));
    busi_log_fini();
    struct busi_str line = heard(room, sizeof room);
    cr_expect(holds(line, "\"event\":\"attack\",\"a\":\"\\u0001"));
    cr_expect(holds(line, "\"status\":401,\"cut\":true}\n"));
    cr_expect(!holds(line, "\"h\""));
    cr_expect_leq(line.len, 8192);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_log_dropped), 0);
}

Test(base_log, levels_and_stamps)
{
    enum busi_log_level level = BUSI_DEBUG;
    cr_expect(busi_log_level_of(BUSI_STR("warn"), &level) && level == BUSI_WARN);
    cr_expect(busi_log_level_of(BUSI_STR("error"), &level) && level == BUSI_ERR);
    cr_expect(!busi_log_level_of(BUSI_STR("loud"), &level) && level == BUSI_ERR);
    char room[2000];
    static const char form[] = "{\"ts\":\"dddd-dd-ddTdd:dd:dd.ddddddZ\",";
    listen_to_stderr();
    log_numbers(1);
    struct busi_str line = heard(room, sizeof room);
    cr_assert_gt(line.len, sizeof form);
    for (size_t i = 0; i < sizeof form - 1; i++)
        cr_expect(form[i] == 'd' && i > 5 ? line.ptr[i] >= '0' && line.ptr[i] <= '9' : line.ptr[i] == form[i],
                  "%zu of %.40s", i, line.ptr);
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
