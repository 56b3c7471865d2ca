/* What every process is: settings, log, loop, side port, signals, drain. A service's main.c is one table and
 * one call. */
#pragma once
#include "loop/fiber.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "service/settings.h"

struct busi_process {
    struct busi_loop *loop;
    struct busi_fibers *fibers; /* handlers run on these; services may start their own */
    const struct busi_settings *settings;
    struct busi_curve *curve; /* NULL when no key file is set (tests) */
};

/* A sub-command: `auth-svc migrate [args]`. Settings are read and valid; no loop runs. Returns an exit code.
 */
struct busi_command {
    const char *name;
    const char *help; /* one line */
    int (*run)(const struct busi_settings *settings, int argc, char **argv);
    bool without_settings; /* runs even when the settings are incomplete (gen-secret) */
};

struct busi_service {
    const char *name;     /* "auth-svc" */
    const char *rpc_name; /* "auth", NULL: serves no RPC (gateway) */
    const char *summary;  /* for --help */
    enum busi_user user;
    const struct busi_endpoint *endpoints;
    size_t n_endpoints;
    const struct busi_command *commands;
    size_t n_commands;
    /* Checks what rows cannot say (a secret's length, a missing URL), writing one line per fault; may be
     * NULL. */
    bool (*check)(const struct busi_settings *settings, struct busi_buf *errors);
    /* Makes the service's state on the loop's thread, before the loop runs. NULL: could not, said why in the
     * log. */
    void *(*start)(struct busi_process *process);
    bool (*ready)(void *state); /* dependencies are there: /readyz; any thread */
    void (*drain)(void *state); /* SIGTERM came, /readyz says no: refuse new work. May be NULL */
    bool (*idle)(void *state);  /* nothing in flight; may be NULL. The RPC server's calls are looked after */
    void (*stop)(void *state);  /* frees it; the loop has stopped */
};

/* Exit codes: 0 fine, 1 could not run, 2 wrong usage, 78 wrong settings (EX_CONFIG).
 * Understands --help --version --check-config --print-config --config FILE and the sub-commands. */
int busi_service_main(const struct busi_service *service, int argc, char **argv);
