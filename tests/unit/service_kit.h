/* busi_service_main() as a process of its own, with a service that does as its environment says. */
#pragma once
#include "base/clock.h"
#include "base/log.h"
#include "rpc/curve.h"
#include "scarce.h"
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

enum { PATIENCE_MS = 10000, NO_LIMIT = 98 /* exit code: limit() was not to be had */ };

/* ---- a service that does as its environment says ---- */

static inline int64_t wish(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoll(text, NULL, 10) : 0;
}

struct toy {
    struct busi_process *process;
    int64_t busy_until_ms; /* not idle before; busi_now_ms() scale */
    int64_t work_ms;       /* of the work it has when the drain begins */
    bool hangs;            /* its loop stops turning when the drain begins */
};

static inline void toy_has_memory(void *arg)
{
    (void)arg;
    scarce_end();
}

/* From its first turn on it gets none, for some time. */
static inline void toy_has_none(void *arg)
{
    struct toy *toy = arg;
    struct busi_timer *end = busi_loop_after(toy->process->loop, wish("TOY_SCARCE_MS"), toy_has_memory, toy);
    if (end)
        scarce_begin(1, INT64_MAX);
}

static inline void *toy_start(struct busi_process *process)
{
    static struct toy toy;
    toy = (struct toy){process, 0, wish("TOY_WORK_MS"), wish("TOY_HANGS") != 0};
    if (wish("TOY_SCARCE_MS") && !busi_loop_post(process->loop, toy_has_none, &toy))
        return NULL;
    return wish("TOY_BROKEN") ? NULL : &toy;
}

static inline bool toy_ready(void *state)
{
    (void)state;
    return wish("TOY_UNREADY") == 0;
}

static inline void toy_leave(void *state)
{
    (void)state;
    busi_log(BUSI_INFO, "toy_leaves");
}

static inline void toy_drain(void *state)
{
    struct toy *toy = state;
    busi_log(BUSI_INFO, "toy_drains");
    toy->busy_until_ms = busi_now_ms() + toy->work_ms;
    while (toy->hangs)
        usleep(10000);
}

static inline bool toy_idle(void *state)
{
    struct toy *toy = state;
    return busi_now_ms() >= toy->busy_until_ms;
}

static inline void toy_stop(void *state)
{
    (void)state;
}

static inline bool toy_check(const struct busi_settings *settings, struct busi_buf *errors)
{
    if (settings->auth_endpoints.len > 0)
        return true;
    busi_buf_str(errors, BUSI_STR("BUSI_AUTH_ENDPOINTS: is not set\n"));
    return false;
}

static inline int toy_echo(const struct busi_settings *settings, int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("%s,", argv[i]);
    printf("%lld\n", (long long)settings->http_port);
    return fflush(stdout) == 0 ? 7 : 1;
}

static inline int toy_plain(const struct busi_settings *settings, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return settings ? 1 : 8;
}

static const struct busi_command toy_parts[] = {
    {.name = "big",
     .arguments = "[WORDS]",
     .help = "print them",
     .run = toy_echo,
     .details = "    and more\n"},
    {.name = "small", .help = "needs no settings", .run = toy_plain, .without_settings = true},
};

static const struct busi_command toy_commands[] = {
    {.name = "echo", .arguments = "[WORDS]", .help = "print the words and the port", .run = toy_echo},
    {.name = "plain", .help = "needs no settings", .run = toy_plain, .without_settings = true},
    {.name = "parts", .arguments = "big|small ...", .help = "has two", .parts = toy_parts, .n_parts = 2},
};

static const struct busi_service toy_service = {
    .name = "toy",
    .summary = "does as it is told",
    .user = BUSI_USER_G,
    .commands = toy_commands,
    .n_commands = 3,
    .check = toy_check,
    .start = toy_start,
    .ready = toy_ready,
    .leave = toy_leave,
    .drain = toy_drain,
    .idle = toy_idle,
    .stop = toy_stop,
};

/* ---- running it ---- */

static char folder[64];

static inline void begin(void)
{
    strcpy(folder, "/tmp/busi-process-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static inline void end(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

static inline const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static inline const char *contents(const char *name)
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
    bool (*limit)(void);        /* what it may do less than others, before it begins; NULL: nothing */
    pid_t pid;
};

static inline void become(const struct process *process)
{
    char *argv[10] = {"toy"};
    int argc = 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int out = open(path_of("out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int err = open(path_of("err"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || err < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(99);
    if (process->limit && !process->limit())
        _exit(NO_LIMIT);
    for (size_t i = 0; process->environment[i]; i++)
        putenv((char *)process->environment[i]);
    for (; process->arguments[argc - 1]; argc++)
        argv[argc] = (char *)process->arguments[argc - 1];
    int code = busi_service_main(&toy_service, argc, argv);
    fflush(stdout);
    _exit(code);
}

static inline void start(struct process *process)
{
    unlink(path_of("out"));
    unlink(path_of("err"));
    process->pid = fork();
    cr_assert_geq(process->pid, 0);
    if (process->pid == 0)
        become(process);
}

/* Its exit code; -1: it was killed; -2: still running after ms. */
static inline int wait_for(const struct process *process, int64_t ms)
{
    int status = 0;
    for (int64_t until = busi_now_ms() + ms; busi_now_ms() < until; usleep(2000))
        if (waitpid(process->pid, &status, WNOHANG) == process->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return -2;
}

static inline int run(struct process process)
{
    start(&process);
    return wait_for(&process, PATIENCE_MS);
}
#define ARGUMENTS(...)                                                                                       \
    (struct process)                                                                                         \
    {                                                                                                        \
        .arguments = { __VA_ARGS__ }                                                                         \
    }

static inline void expect_in(const char *name, const char *text)
{
    cr_expect_not_null(strstr(contents(name), text), "'%s' is not in %s: %s", text, name, contents(name));
}

/* ---- while it serves ---- */

/* Adds what it needs to serve to its environment. */
static inline void serve(struct process *process)
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

static inline bool logged(const char *text)
{
    return access(path_of("err"), F_OK) == 0 && strstr(contents("err"), text);
}

static inline void wait_until_logged(const char *text)
{
    for (int64_t until = busi_now_ms() + PATIENCE_MS; busi_now_ms() < until; usleep(2000))
        if (logged(text))
            return;
    cr_assert_fail("'%s' did not come: %s", text, contents("err"));
}

static inline int side_port(void)
{
    wait_until_logged("\"event\":\"listening\"");
    const char *at = strstr(contents("err"), "\"side_port\":");
    cr_assert_not_null(at);
    return atoi(at + strlen("\"side_port\":"));
}

/* Everything the side port answers to these bytes; "" when it cannot be reached. */
static inline const char *ask(int port, const char *request)
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

static inline int status_of(const char *answer)
{
    int status = 0;
    return sscanf(answer, "HTTP/1.1 %d ", &status) == 1 ? status : -1;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static inline void wait_until_status(int port, const char *request, int status)
{
    for (int64_t until = busi_now_ms() + PATIENCE_MS; busi_now_ms() < until; usleep(2000))
        if (status_of(ask(port, request)) == status)
            return;
    cr_assert_fail("%d did not come", status);
}

static inline void expect_exit(const struct process *process, int code)
{
    int got = wait_for(process, PATIENCE_MS);
    cr_expect_eq(got, code, "exit code %d, not %d: %s", got, code, contents("err"));
}
