#include "commands/purge.h"
#include "commands/command.h"
#include "service/service.h"
#include <stdio.h>
#include <unistd.h>

/* Written over itself where somebody watches. */
static void show(size_t at, int64_t rows, bool done)
{
    bool watched = isatty(STDOUT_FILENO);
    if (watched || done)
        printf("%s%-24s %10lld%s", watched ? "\r" : "", auth_sweep_name(at), (long long)rows,
               done ? "\n" : "");
    (void)fflush(stdout);
}

static int work(struct auth *auth, void *arg)
{
    (void)arg;
    for (size_t at = 0; at < auth_sweeps(); at++) {
        int64_t sum = 0;
        bool more = true;
        while (more) {
            int64_t rows = auth_sweep(auth->pg, auth->settings, at, &more);
            if (rows < 0) {
                fprintf(stderr, "%s: the database did not do it\n", auth_sweep_name(at));
                return BUSI_EXIT_FAILED;
            }
            sum += rows;
            show(at, sum, !more);
        }
    }
    return BUSI_EXIT_FINE;
}

int auth_purge(const struct busi_settings *settings, int argc, char **argv)
{
    (void)argc, (void)argv;
    return auth_command_run(settings, AUTH_COMMAND_DATABASE, work, NULL);
}
