/* busi_service_main() as a process of its own: command line, side port, signals, drain. */
#include "base/clock.h"
#include "rpc/curve.h"
#include "service/service.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000 };

/* ---- a service that does as its environment says ---- */

struct toy {
    struct busi_process *process;
    int64_t busy_until_ms; /* not idle before; busi_now_ms() scale */
    int64_t work_ms;       /* of the work it has when the drain begins */
    bool hangs;            /* its loop stops turning when the drain begins */
};

static int64_t wish(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : 0;
}

static void *toy_start(struct busi_process *process)
{
    static struct toy toy;
    toy = (struct toy){process, 0, wish("TOY_WORK_MS"), wish("TOY_HANGS") != 0};
    return wish("TOY_BROKEN") ? NULL : &toy;
}

static bool toy_ready(void *state)
{
    (void)state;
    return wish("TOY_UNREADY") == 0;
}

static void toy_drain(void *state)
{
    struct toy *toy = state;
    toy->busy_until_ms = busi_now_ms() + toy->work_ms;
    while (toy->hangs)
        usleep(10000);
}

static bool toy_idle(void *state)
{
    struct toy *toy = state;
    return busi_now_ms() >= toy->busy_until_ms;
}

static void toy_stop(void *state)
{
    (void)state;
}

static bool toy_check(const struct busi_settings *settings, struct busi_buf *errors)
{
    if (settings->auth_endpoints.len > 0)
        return true;
    busi_buf_str(errors, BUSI_STR("BUSI_AUTH_ENDPOINTS: is not set\n"));
    return false;
}

static int toy_echo(const struct busi_settings *settings, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("%s,", argv[i]);
    printf("%lld\n", (long long)settings->http_port);
    return fflush(stdout) == 0 ? 7 : 1;
}

static int toy_plain(const struct busi_settings *settings, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return settings ? 1 : 8;
}

static const struct busi_command toy_commands[] = {
    {"echo", "[WORDS]", "print the words and the port", toy_echo, false},
    {"plain", NULL, "needs no settings", toy_plain, true},
};

static const struct busi_service toy_service = {
    .name = "toy",
    .summary = "does as it is told",
    .user = BUSI_USER_G,
    .commands = toy_commands,
    .n_commands = 2,
    .check = toy_check,
    .start = toy_start,
    .ready = toy_ready,
    .drain = toy_drain,
    .idle = toy_idle,
    .stop = toy_stop,
};

/* ---- running it ---- */

static char folder[64];

static void begin(void)
{
    strcpy(folder, "/tmp/busi-process-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(process, .init = begin, .fini = end, .timeout = 60);

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static const char *contents(const char *name)
{
    static char texts[2][65536];
    static unsigned next;
    char *text = texts[next++ % 2];
    FILE *file = fopen(path_of(name), "r");
    cr_assert_not_null(file, "%s", name);
    text[fread(text, 1, sizeof(texts[0]) - 1, file)] = 0;
    fclose(file);
    return text;
}

struct process {
    const char *environment[8]; /* NULL ends it */
    const char *arguments[8];   /* likewise, without the name */
    pid_t pid;
};

static void become(const struct process *process)
{
    char *argv[10] = {"toy"};
    int argc = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int out = open(path_of("out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int err = open(path_of("err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || err < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(99);
    for (size_t i = 0; process->environment[i]; i++)
        putenv((char *)process->environment[i]);
    for (; process->arguments[argc - 1]; argc++)
        argv[argc] = (char *)process->arguments[argc - 1];
    int code = busi_service_main(&toy_service, argc, argv);
    fflush(stdout);
    _exit(code);
}

static void start(struct process *process)
{
    unlink(path_of("out"));
    unlink(path_of("err"));
    process->pid = fork();
    cr_assert_geq(process->pid, 0);
    if (process->pid == 0)
        become(process);
}

/* Its exit code; -1: it was killed; -2: still running after ms. */
static int wait_for(const struct process *process, int64_t ms)
{
    int status = 0;
    for (int64_t until = busi_now_ms() + ms; busi_now_ms() < until; usleep(2000))
        if (waitpid(process->pid, &status, WNOHANG) == process->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return -2;
}

static int run(struct process process)
{
    start(&process);
    return wait_for(&process, PATIENCE_MS);
}
#define ARGUMENTS(...)                                                                                       \
    (struct process)                                                                                         \
    {                                                                                                        \
        .arguments = { __VA_ARGS__ }                                                                         \
    }

static void expect_in(const char *name, const char *text)
{
    cr_expect_not_null(strstr(contents(name), text), "'%s' is not in %s: %s", text, name, contents(name));
}

/* ---- command line ---- */

Test(process, help_says_everything_in_80_columns)
{
    cr_expect_eq(run(ARGUMENTS("--help")), BUSI_EXIT_FINE);
    static const char *const words[] = {
        "toy 0.",        "does as it is told", "--check-config", "--print-config",
        "--config FILE", "echo [WORDS]",       "plain",          "gen-keys FOLDER NAME",
        "gen-secret",    "BUSI_HTTP_PORT=4000"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words)[0]; i++)
        expect_in("out", words[i]);
    char text[65536], *rest = NULL;
    snprintf(text, sizeof(text), "%s", contents("out"));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        cr_expect_leq(strlen(line), 80, "%s", line);
    cr_expect_str_eq(contents("err"), "");
}

Test(process, version_is_name_and_version)
{
    cr_expect_eq(run(ARGUMENTS("--version")), BUSI_EXIT_FINE);
    cr_expect_str_eq(contents("out"), "toy " BUSI_VERSION "\n");
}

Test(process, wrong_usage_is_said_and_exits_with_2)
{
    cr_expect_eq(run(ARGUMENTS("--colour")), BUSI_EXIT_USAGE);
    cr_expect_str_eq(contents("err"), "toy: unknown option '--colour'; see 'toy --help'\n");
    cr_expect_eq(run(ARGUMENTS("dance")), BUSI_EXIT_USAGE);
    cr_expect_str_eq(contents("err"), "toy: unknown command 'dance'; see 'toy --help'\n");
    cr_expect_eq(run(ARGUMENTS("--config")), BUSI_EXIT_USAGE);
    cr_expect_eq(run(ARGUMENTS("plain", "more")), BUSI_EXIT_USAGE);
    cr_expect_eq(run(ARGUMENTS("--help", "plain")), BUSI_EXIT_USAGE);
    cr_expect_str_eq(contents("err"), "toy: too many arguments: 'plain'; see 'toy --help'\n");
    cr_expect_eq(run(ARGUMENTS("--check-config", "--version")), BUSI_EXIT_USAGE);
    cr_expect_eq(run(ARGUMENTS("gen-keys", "only-one")), BUSI_EXIT_USAGE);
}

Test(process, a_wrong_configuration_exits_with_78_and_names_its_culprits)
{
    struct process process = {.environment = {"BUSI_HTTP_PORT=0", "BUSI_NONSENSE=1"},
                              .arguments = {"--check-config"}};
    cr_expect_eq(run(process), BUSI_EXIT_CONFIG);
    cr_expect_str_eq(contents("err"), "BUSI_HTTP_PORT: 0 is not within 1..65535\n"
                                      "BUSI_NONSENSE: there is no such setting\n");
    process.arguments[0] = NULL;
    cr_expect_eq(run(process), BUSI_EXIT_CONFIG, "it does not serve either");
    struct process incomplete = {.environment = {"BUSI_LOG_LEVEL=loud", "BUSI_HEALTH_BIND=::1:80s"},
                                 .arguments = {"--check-config"}};
    cr_expect_eq(run(incomplete), BUSI_EXIT_CONFIG);
    expect_in("err", "BUSI_CURVE_KEY_FILE: is not set");
    expect_in("err", "BUSI_LOG_LEVEL: 'loud' is none of debug, info, warn, error\n");
    expect_in("err", "BUSI_HEALTH_BIND: '::1:80s' is not");
    expect_in("err", "BUSI_AUTH_ENDPOINTS: is not set\n");
}

Test(process, commands_get_their_words_and_the_settings)
{
    FILE *file = fopen(path_of("toy.conf"), "w");
    cr_assert_not_null(file);
    fputs("http_port = 4321\n", file);
    fclose(file);
    char config[128];
    snprintf(config, sizeof(config), "%s", path_of("toy.conf"));
    cr_expect_eq(run(ARGUMENTS("echo", "a", "--config", config, "-b")), 7);
    cr_expect_str_eq(contents("out"), "echo,a,-b,4321\n");
    struct process from_environment = {.arguments = {"echo"}};
    char variable[160];
    snprintf(variable, sizeof(variable), "BUSI_CONFIG=%s", config);
    from_environment.environment[0] = variable;
    cr_expect_eq(run(from_environment), 7);
    cr_expect_str_eq(contents("out"), "echo,4321\n");
    cr_expect_eq(run((struct process){.environment = {"BUSI_HTTP_PORT=x"}, .arguments = {"echo"}}),
                 BUSI_EXIT_CONFIG);
    cr_expect_eq(run((struct process){.environment = {"BUSI_HTTP_PORT=x"}, .arguments = {"plain"}}), 8);
    cr_expect_eq(run(ARGUMENTS("echo", "--help")), BUSI_EXIT_FINE);
    cr_expect_str_eq(contents("out"), "toy echo [WORDS]\n  print the words and the port\n");
}

Test(process, print_config_prints_what_is_in_force)
{
    cr_expect_eq(
        run((struct process){.environment = {"BUSI_HTTP_PORT=4567"}, .arguments = {"--print-config"}}),
        BUSI_EXIT_FINE);
    expect_in("out", "BUSI_HTTP_PORT=4567\n");
    cr_expect_str_eq(contents("err"), "");
}

Test(process, gen_secret_prints_one_that_is_never_the_same)
{
    char first[256];
    cr_expect_eq(run(ARGUMENTS("gen-secret", "32")), BUSI_EXIT_FINE);
    snprintf(first, sizeof(first), "%s", contents("out"));
    cr_expect_eq(strlen(first), 43 + 1);
    cr_expect_eq(run(ARGUMENTS("gen-secret", "32")), BUSI_EXIT_FINE);
    cr_expect_str_neq(contents("out"), first);
}

/* ---- serving ---- */

/* Adds what it needs to serve to its environment. */
static void serve(struct process *process)
{
    static char key[160];
    snprintf(key, sizeof(key), "BUSI_CURVE_KEY_FILE=%s/toy.key", folder);
    if (access(strchr(key, '=') + 1, F_OK) != 0)
        cr_assert_eq(run(ARGUMENTS("gen-keys", folder, "toy")), 0, "%s", contents("err"));
    size_t n = 0;
    while (process->environment[n])
        n++;
    cr_assert_leq(n, 5);
    process->environment[n++] = key;
    process->environment[n] = "BUSI_AUTH_ENDPOINTS=127.0.0.1:1";
    start(process);
}

static bool logged(const char *text)
{
    return access(path_of("err"), F_OK) == 0 && strstr(contents("err"), text);
}

static void wait_until_logged(const char *text)
{
    for (int64_t until = busi_now_ms() + PATIENCE_MS; busi_now_ms() < until; usleep(2000))
        if (logged(text))
            return;
    cr_assert_fail("'%s' did not come: %s", text, contents("err"));
}

static int side_port(void)
{
    wait_until_logged("\"event\":\"listening\"");
    const char *at = strstr(contents("err"), "\"side_port\":");
    cr_assert_not_null(at);
    return atoi(at + strlen("\"side_port\":"));
}

/* Everything the side port answers to these bytes; "" when it cannot be reached. */
static const char *ask(int port, const char *request)
{
    static char answer[65536];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        send(fd, request, strlen(request), MSG_NOSIGNAL) > 0)
        for (ssize_t n; (n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0;)
            len += (size_t)n;
    close(fd);
    answer[len] = 0;
    return answer;
}

static int status_of(const char *answer)
{
    int status = 0;
    return sscanf(answer, "HTTP/1.1 %d ", &status) == 1 ? status : -1;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void wait_until_status(int port, const char *request, int status)
{
    for (int64_t until = busi_now_ms() + PATIENCE_MS; busi_now_ms() < until; usleep(2000))
        if (status_of(ask(port, request)) == status)
            return;
    cr_assert_fail("%d did not come", status);
}

static void expect_exit(const struct process *process, int code)
{
    int got = wait_for(process, PATIENCE_MS);
    cr_expect_eq(got, code, "exit code %d, not %d: %s", got, code, contents("err"));
}

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
