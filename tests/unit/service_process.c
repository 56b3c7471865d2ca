/* A process that serves: signals, drain, side port, threads. */
#define _GNU_SOURCE /* unshare */
#include "few_threads.h"
#include "service_kit.h"

TestSuite(process, .init = begin, .fini = end, .timeout = 60);

Test(process, serves_until_sigterm)
{
    struct process process = {0};
    serve(&process);
    int port = side_port();
    wait_until_status(port, GET("/readyz"), 200);
    cr_expect_eq(status_of(ask(port, GET("/livez"))), 200);
    int64_t before = busi_now_ms();
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
    cr_expect_lt(busi_now_ms() - before, 2000);
    expect_in("err", "\"event\":\"draining\"");
    expect_in("err", "\"event\":\"stopped\"");
}

Test(process, sigint_drains_too)
{
    struct process process = {0};
    serve(&process);
    side_port();
    kill(process.pid, SIGINT);
    expect_exit(&process, 0);
}

Test(process, a_drain_waits_for_work_and_is_not_ready_meanwhile)
{
    struct process process = {.environment = {"TOY_WORK_MS=600"}};
    serve(&process);
    int port = side_port();
    wait_until_status(port, GET("/readyz"), 200);
    int64_t before = busi_now_ms();
    kill(process.pid, SIGTERM);
    wait_until_logged("\"event\":\"draining\"");
    cr_expect_eq(status_of(ask(port, GET("/readyz"))), 503);
    cr_expect_eq(status_of(ask(port, GET("/livez"))), 200);
    expect_exit(&process, 0);
    cr_expect_geq(busi_now_ms() - before, 600);
    cr_expect_not(logged("drain_overdue"));
}

Test(process, the_drain_delay_comes_before_the_drain)
{
    struct process process = {.environment = {"BUSI_DRAIN_DELAY=500ms"}};
    serve(&process);
    int port = side_port();
    wait_until_status(port, GET("/readyz"), 200);
    int64_t before = busi_now_ms();
    kill(process.pid, SIGTERM);
    wait_until_status(port, GET("/readyz"), 503);
    wait_until_logged("\"event\":\"toy_leaves\"");
    cr_expect_not(logged("toy_drains"), "it serves on, and its callers go to others");
    cr_expect_lt(busi_now_ms() - before, 400);
    expect_exit(&process, 0);
    cr_expect_geq(busi_now_ms() - before, 500);
}

Test(process, a_drain_ends_in_time)
{
    struct process process = {.environment = {"TOY_WORK_MS=60000", "BUSI_DRAIN=300ms"}};
    serve(&process);
    side_port();
    int64_t before = busi_now_ms();
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
    cr_expect_lt(busi_now_ms() - before, 3000);
    expect_in("err", "\"event\":\"drain_overdue\"");
}

Test(process, a_second_sigterm_ends_it_at_once)
{
    struct process process = {.environment = {"TOY_WORK_MS=60000"}};
    serve(&process);
    side_port();
    kill(process.pid, SIGTERM);
    wait_until_logged("\"event\":\"draining\"");
    int64_t before = busi_now_ms();
    kill(process.pid, SIGTERM);
    expect_exit(&process, 1);
    cr_expect_lt(busi_now_ms() - before, 2000);
}

Test(process, other_signals_do_not_end_it)
{
    static const int signals[] = {SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD};
    struct process process = {0};
    serve(&process);
    int port = side_port();
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals)[0]; i++)
        kill(process.pid, signals[i]);
    wait_until_status(port, GET("/readyz"), 200);
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
}

Test(process, a_loop_that_hangs_is_not_alive)
{
    struct process process = {.environment = {"TOY_HANGS=1"}};
    serve(&process);
    int port = side_port();
    wait_until_status(port, GET("/livez"), 200);
    kill(process.pid, SIGTERM);
    wait_until_status(port, GET("/livez"), 503);
    kill(process.pid, SIGKILL);
    expect_exit(&process, -1);
}

Test(process, a_loop_that_got_no_memory_for_a_moment_is_alive)
{
    struct process process = {.environment = {"TOY_SCARCE_MS=600"}};
    serve(&process);
    int port = side_port();
    for (int i = 0; i < 8; i++) { /* for longer than a loop may seem to stand still */
        usleep(500000);
        if (i > 1)
            cr_expect_eq(status_of(ask(port, GET("/livez"))), 200, "after %d ms", 500 * (i + 1));
    }
    wait_until_status(port, GET("/readyz"), 200);
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
}

Test(process, what_is_not_ready_says_so)
{
    struct process process = {.environment = {"TOY_UNREADY=1"}};
    serve(&process);
    int port = side_port();
    cr_expect_eq(status_of(ask(port, GET("/readyz"))), 503);
    cr_expect_eq(status_of(ask(port, GET("/livez"))), 200);
    cr_expect_not(logged("\"event\":\"ready\""));
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
}

Test(process, what_cannot_start_says_why_and_exits_with_1)
{
    struct process process = {.environment = {"TOY_BROKEN=1"}};
    serve(&process);
    expect_exit(&process, 1);
    expect_in("err", "\"event\":\"cannot_start\",\"step\":\"service\"");
    /* a taken port */
    struct process first = {0}, second = {0};
    serve(&first);
    char bind[64];
    snprintf(bind, sizeof(bind), "BUSI_HEALTH_BIND=127.0.0.1:%d", side_port());
    second.environment[0] = bind;
    serve(&second);
    expect_exit(&second, 1);
    expect_in("err", "\"step\":\"side_port\"");
    kill(first.pid, SIGKILL);
    expect_exit(&first, -1);
}

static rlim_t most_threads; /* of the next process */

static bool limit_threads(void)
{
    if (geteuid() == 0 && (chown(folder, NOBODY_ELSE, NOBODY_ELSE) != 0 ||
                           chown(path_of("toy.key"), NOBODY_ELSE, NOBODY_ELSE) != 0))
        return false;
    return bow_to_limits() && allow_threads(most_threads);
}

/* Until it serves (*served) or has ended: its exit code. */
static int outcome(const struct process *process, bool *served)
{
    int code = -2;
    for (int64_t until = busi_now_ms() + PATIENCE_MS; code == -2 && !*served && busi_now_ms() < until;) {
        *served = logged("\"event\":\"listening\"");
        code = *served ? -2 : wait_for(process, 10);
    }
    return code;
}

/* With each number of threads it says why it does not start, or serves. */
Test(process, refuses_to_start_where_it_can_make_too_few_threads)
{
    bool served = false;
    for (most_threads = 1; !served && most_threads < 40; most_threads++) {
        struct process process = {.limit = limit_threads};
        serve(&process);
        int code = outcome(&process, &served);
        if (code == NO_LIMIT)
            cr_skip_test("nobody may have fewer threads here");
        cr_assert(served || code == 1, "%d with %d threads: %s", code, (int)most_threads, contents("err"));
        if (!served)
            expect_in("err", "\"event\":\"cannot_start\",\"step\":");
        kill(process.pid, SIGKILL);
    }
    cr_expect(served);
    cr_expect_gt(most_threads, 5);
}

Test(process, is_ready_soon)
{
    struct process process = {0};
    serve(&process);
    wait_until_logged("\"event\":\"ready\"");
    const char *at = strstr(strstr(contents("err"), "\"event\":\"ready\""), "\"since_start_ms\":");
    cr_assert_not_null(at);
#ifndef BUSI_SANITIZED
    cr_expect_leq(atoi(at + strlen("\"since_start_ms\":")), 300);
#endif
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
}

/* ---- side port ---- */

Test(process, the_side_port_answers_three_paths)
{
    struct process process = {0};
    serve(&process);
    int port = side_port();
    wait_until_status(port, GET("/readyz"), 200);
    cr_expect_str_eq(
        ask(port, GET("/livez")),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 3\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nok\n");
    const char *head = ask(port, "HEAD /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    cr_expect_eq(status_of(head), 200);
    cr_expect_str_eq(strstr(head, "\r\n\r\n"), "\r\n\r\n", "HEAD has no body");
    const char *metrics = ask(port, GET("/metrics"));
    static const char *const names[] = {"text/plain; version=0.0.4; charset=utf-8",
                                        "\nprocess_resident_memory_bytes ",
                                        "\nprocess_start_time_seconds ",
                                        "\nprocess_open_fds ",
                                        "\nprocess_max_fds ",
                                        "\nbusi_build_info{service=\"toy\",version=\"" BUSI_VERSION
                                        "\"} 1\n"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names)[0]; i++)
        cr_expect_not_null(strstr(metrics, names[i]), "%s", names[i]);
    cr_expect_not_null(strstr(ask(port, GET("/livez?a=b")), "200 OK"));
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
}

Test(process, the_side_port_answers_nothing_else)
{
    struct process process = {0};
    serve(&process);
    int port = side_port();
    static const struct {
        const char *request;
        int status;
    } others[] = {{GET("/"), 404},
                  {GET("/livez/"), 404},
                  {GET("/LIVEZ"), 404},
                  {GET("/etc/passwd"), 404},
                  {GET("/../../etc/passwd"), 404},
                  {GET("/%2e%2e/etc/passwd"), 404},
                  {"POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx", 405},
                  {"DELETE /readyz HTTP/1.1\r\nHost: a\r\n\r\n", 405},
                  {"OPTIONS /readyz HTTP/1.1\r\nHost: a\r\n\r\n", 405},
                  {"GET /livez HTTP/1.1<script>\r\nHost: a\r\n\r\n", 505}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others)[0]; i++) {
        const char *answer = ask(port, others[i].request);
        cr_expect_eq(status_of(answer), others[i].status, "%s: %s", others[i].request, answer);
        cr_expect_null(strstr(answer, "script"), "it repeats what was sent");
    }
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
}

Test(process, the_side_port_is_quick)
{
    struct process process = {0};
    serve(&process);
    int port = side_port();
    wait_until_status(port, GET("/readyz"), 200);
    int64_t best_us = INT64_MAX;
    for (int i = 0; i < 20; i++) {
        int64_t before = busi_now_us();
        cr_assert_eq(status_of(ask(port, GET("/metrics"))), 200);
        int64_t us = busi_now_us() - before;
        best_us = us < best_us ? us : best_us;
    }
    cr_expect_lt(best_us, 5000);
    kill(process.pid, SIGTERM);
    expect_exit(&process, 0);
}
