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
    struct busi_curve *curve; /* this process's keys; for servers its allow-list is running */
};

/* A sub-command: `auth-svc migrate [args]`; argv[0] is its name. Every setting is within its row's bounds,
 * but nothing more is promised: a command says itself (exit code 78) which setting it misses. No loop runs
 * and no signal is caught. Returns an exit code. */
struct busi_command {
    const char *name;
    const char *arguments; /* for --help: "[--status]"; NULL: takes none and is given none */
    const char *help;      /* one line, at most 60 characters */
    int (*run)(const struct busi_settings *settings, int argc, char **argv); /* NULL: it has parts */
    bool without_settings; /* runs even when a setting is wrong; settings is NULL then and always (gen-secret)
                            */
    const char *details;   /* more for its own --help: whole lines; may be NULL */
    const struct busi_command *parts; /* `auth-svc users list [args]`; argv[0] is "list". They have none */
    size_t n_parts;
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
    /* Checks what rows cannot say (a secret's length, a missing URL), writing one line per fault ("BUSI_X:
     * what is wrong and what to do\n"); may be NULL. Asked before serving and by --check-config, not by
     * commands. Keys, log level and the side port's address are checked by busi_service_main. */
    bool (*check)(const struct busi_settings *settings, struct busi_buf *errors);
    /* Makes the service's state on the loop's thread, before the loop runs. NULL: could not, said why in the
     * log. */
    void *(*start)(struct busi_process *process);
    bool (*ready)(void *state); /* dependencies are there; asked a few times a second on the loop's thread */
    void (*leave)(void *state); /* SIGTERM came, /readyz says no, all is served for BUSI_DRAIN_DELAY yet: have
                                   callers go to others. May be NULL; the RPC server's are told */
    void (*drain)(void *state); /* that is over: refuse new work, end own fibers. May be NULL */
    bool (*idle)(void *state); /* nothing in flight, own fibers ended; may be NULL. The RPC server's calls are
                                  looked after */
    void (*stop)(void *state); /* frees it; the loop has stopped, the RPC server is gone */
};

enum busi_exit { BUSI_EXIT_FINE = 0, BUSI_EXIT_FAILED = 1, BUSI_EXIT_USAGE = 2, BUSI_EXIT_CONFIG = 78 };

/* The whole of main(): exit codes as above (78 is EX_CONFIG).
 * Understands --help --version --check-config --print-config --describe --config FILE, the sub-commands and,
 * for every process, gen-keys and gen-secret. Serving, SIGTERM drains (at once not ready, leave() and the RPC
 * server's notice, then BUSI_DRAIN_DELAY, then drain(), then until idle or BUSI_DRAIN) and ends with 0; a
 * second SIGTERM ends it at once with 1. */
int busi_service_main(const struct busi_service *service, int argc, char **argv);
