#include "mailer-svc_sink.h"
#include "base/clock.h"
#include "mailer-svc_house.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

static void become(const struct sink *sink, const char *scheme, const char *at, const int ends[2])
{
    char log[96];
    snprintf(log, sizeof(log), "%s/log", sink->folder);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (fd < 0 || dup2(fd, 2) < 0 || dup2(fd, 1) < 0 || dup2(ends[0], 0) < 0)
        _exit(99);
    close(ends[1]);
    /* sanitizers of this process are none of Python's business */
    char *const environment[] = {"PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1", NULL};
    char *const smtps = strcmp(scheme, "smtps") == 0 ? "--smtps" : NULL;
    char *const arguments[] = {
        "python3", BUSI_SOURCE "/tests/faults/smtp_sink.py", (char *)sink->folder, "--at", (char *)at, smtps,
        NULL};
    execve("/usr/bin/python3", arguments, environment);
    _exit(99);
}

struct sink sink_start(const char *scheme)
{
    return sink_start_at(scheme, "127.0.0.1:0");
}

struct sink sink_start_at(const char *scheme, const char *at)
{
    struct sink sink = {0};
    int ends[2];
    char port[16] = "";
    make_folder(sink.folder);
    snprintf(sink.ca, sizeof(sink.ca), "%s/ca.pem", sink.folder);
    cr_assert_eq(pipe(ends), 0);
    sink.pid = fork();
    cr_assert_geq(sink.pid, 0);
    if (sink.pid == 0)
        become(&sink, scheme, at, ends);
    close(ends[0]);
    sink.input = ends[1];
    for (int64_t until = busi_now_ms() + PATIENCE_MS; !port[0]; usleep(20000)) {
        cr_assert_lt(busi_now_ms(), until, "the SMTP server did not start: %s/log", sink.folder);
        sink_read(&sink, "port", port, sizeof(port));
    }
    snprintf(sink.url, sizeof(sink.url), "%s://%.*s:%s", scheme, (int)strcspn(at, ":"), at, port);
    return sink;
}

void sink_stop(struct sink *sink)
{
    close(sink->input);
    kill(sink->pid, SIGKILL);
    waitpid(sink->pid, NULL, 0);
    remove_folder(sink->folder);
}

void sink_set(const struct sink *sink, const char *modes)
{
    char path[96], fresh[100];
    snprintf(path, sizeof(path), "%s/modes", sink->folder);
    snprintf(fresh, sizeof(fresh), "%s.c", path);
    FILE *file = fopen(fresh, "w");
    cr_assert_not_null(file);
    fputs(modes, file);
    fclose(file);
    cr_assert_eq(rename(fresh, path), 0);
}

int sink_mails(const struct sink *sink)
{
    int n = 0;
    DIR *open = opendir(sink->folder);
    for (struct dirent *entry; open && (entry = readdir(open)) != NULL;) {
        size_t len = strlen(entry->d_name);
        n += len > 4 && strcmp(entry->d_name + len - 4, ".eml") == 0;
    }
    if (open)
        closedir(open);
    return n;
}

void sink_read(const struct sink *sink, const char *name, char *text, size_t room)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/%s", sink->folder, name);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, room - 1, file) : 0;
    text[n] = 0;
    if (file)
        fclose(file);
}
