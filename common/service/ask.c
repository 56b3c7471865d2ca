#define _GNU_SOURCE /* sighandler_t */
#include "service/ask.h"
#include "crypto/secret.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_MOST_BYTES = 4096 };

bool busi_ask_possible(void)
{
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* A byte at a time: what stands behind the line is not ours. -1: no whole line, *caught is the signal that
 * came between or 0. */
static ssize_t read_bytes(char *line, size_t room, volatile const sig_atomic_t *caught)
{
    for (size_t len = 0; len < room && !(caught && *caught);) {
        ssize_t n = read(STDIN_FILENO, line + len, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 && len > 0 ? (ssize_t)len : -1;
        if (line[len] == '\n')
            return (ssize_t)(len > 0 && line[len - 1] == '\r' ? len - 1 : len);
        len++;
    }
    return -1;
}

/* ---- what is not shown ---- */

static volatile sig_atomic_t caught; /* the signal that shall end us when the terminal is as it was */

static void catch (int number)
{
    caught = number;
}

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { ENDING = sizeof(ending) / sizeof(ending[0]) };

bool busi_ask_secret(const char *question, struct busi_arena *arena, struct busi_str *out)
{
    struct sigaction before[ENDING], catching = {.sa_handler = catch};
    struct termios shown, hidden;
    char line[LINE_MOST_BYTES];
    if (tcgetattr(STDIN_FILENO, &shown) != 0)
        return false;
    caught = 0;
    for (size_t i = 0; i < ENDING; i++)
        (void)sigaction(ending[i], &catching, &before[i]);
    hidden = shown;
    hidden.c_lflag &= (tcflag_t)~ECHO;
    /* before the question, so that an answer at its first sight is not shown, nor lost to the flush */
    ssize_t len = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0 ? 0 : -1;
    if (len == 0) {
        fprintf(stderr, "%s", question);
        (void)fflush(stderr);
        len = read_bytes(line, sizeof(line), &caught);
    }
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    fputc('\n', stderr);
    for (size_t i = 0; i < ENDING; i++)
        (void)sigaction(ending[i], &before[i], NULL);
    if (len >= 0)
        *out = busi_arena_dup(arena, (struct busi_str){line, (size_t)len});
    busi_wipe(line, sizeof(line));
    if (caught)
        (void)raise(caught);
    return len >= 0 && !caught && out->ptr;
}

/* ---- what is ---- */

bool busi_ask_yes(const char *question)
{
    char line[8];
    fprintf(stderr, "%s [y/N] ", question);
    (void)fflush(stderr);
    ssize_t len = read_bytes(line, sizeof(line), NULL);
    struct busi_str answer = {line, len > 0 ? (size_t)len : 0};
    return busi_str_ieq(answer, BUSI_STR("y")) || busi_str_ieq(answer, BUSI_STR("yes"));
}

bool busi_read_line(struct busi_arena *arena, size_t max_bytes, struct busi_str *out)
{
    char *line = busi_arena_alloc(arena, max_bytes + 2);
    ssize_t len = line ? read_bytes(line, max_bytes + 2, NULL) : -1;
    *out = (struct busi_str){line, len > 0 ? (size_t)len : 0};
    return len > 0 && (size_t)len <= max_bytes;
}
