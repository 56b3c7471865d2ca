#include "import/progress.h"
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOW_EVERY_MS = 200, BAR = 24 };

void auth_import_progress_begin(struct auth_import_progress *progress, int fd)
{
    struct stat file;
    *progress =
        (struct auth_import_progress){.began_ms = busi_now_ms(), .terminal = isatty(STDERR_FILENO) == 1};
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode))
        progress->file_bytes = file.st_size;
}

static int64_t rows(const struct auth_import_progress *progress)
{
    return progress->created + progress->existing + progress->refused;
}

static int64_t rate(const struct auth_import_progress *progress)
{
    int64_t took_ms = busi_now_ms() - progress->began_ms;
    return rows(progress) * 1000 / (took_ms > 0 ? took_ms : 1);
}

/* Of a pipe nobody knows how much will come. */
static void show_bar(const struct auth_import_progress *progress)
{
    char bar[BAR + 1] = "";
    int64_t read = progress->read_bytes, all = progress->file_bytes;
    if (all <= 0 || read > all)
        return;
    for (int i = 0; i < BAR; i++)
        bar[i] = i < read * BAR / all ? '#' : '.';
    int64_t left_s = (busi_now_ms() - progress->began_ms) * (all - read) / (read > 0 ? read : 1) / 1000;
    fprintf(stderr, "[%s] %3d %%  %lld:%02d left  ", bar, (int)(read * 100 / all), (long long)(left_s / 60),
            (int)(left_s % 60));
}

static void show(const struct auth_import_progress *progress)
{
    fputs("\r\033[K", stderr);
    show_bar(progress);
    fprintf(stderr, "%lld rows, %lld/s  %lld created, %lld exist, %lld refused", (long long)rows(progress),
            (long long)rate(progress), (long long)progress->created, (long long)progress->existing,
            (long long)progress->refused);
}

void auth_import_progress_add(struct auth_import_progress *progress, const struct auth_import_batch *batch,
                              int64_t read_bytes)
{
    for (size_t i = 0; i < batch->n; i++) {
        progress->created += batch->entries[i].result == AUTH_IMPORT_CREATED;
        progress->existing += batch->entries[i].result == AUTH_IMPORT_EXISTS;
        progress->refused += batch->entries[i].result == AUTH_IMPORT_REFUSED;
    }
    progress->read_bytes = read_bytes;
    if (!progress->terminal || busi_now_ms() - progress->shown_ms < SHOW_EVERY_MS)
        return;
    progress->shown_ms = busi_now_ms();
    show(progress);
}

void auth_import_progress_clear(const struct auth_import_progress *progress)
{
    if (progress->terminal && isatty(STDOUT_FILENO) == 1)
        fputs("\r\033[K", stderr);
}

void auth_import_progress_end(const struct auth_import_progress *progress, bool dry)
{
    int64_t took_ms = busi_now_ms() - progress->began_ms;
    if (progress->terminal)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "%lld rows in %lld.%01lld s (%lld/s): %lld %s, %lld exist already, %lld refused\n",
            (long long)rows(progress), (long long)(took_ms / 1000), (long long)(took_ms % 1000 / 100),
            (long long)rate(progress), (long long)progress->created, dry ? "would be created" : "created",
            (long long)progress->existing, (long long)progress->refused);
}
