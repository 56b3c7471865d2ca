#include "service/service.h"
#include "crypto/secret.h"
#include "service/methods_text.h"
#include "service/serve.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { OUTPUT_MAX_BYTES = 256 * 1024, SETTINGS_MAX_BYTES = 1024 * 1024 };

/* What the command line asks for. */
struct order {
    const struct busi_service *service;
    const char *config;                 /* file, or NULL */
    const struct busi_command *command; /* NULL: none */
    int argc;                           /* of the command, its name included */
    char **argv;
    int (*run)(struct order *order); /* returns enum busi_exit */
    struct busi_arena arena;         /* holds the settings */
    struct busi_settings settings;
};

/* ---- output ---- */

/* Writes out and releases it. */
static int print(struct busi_buf *out)
{
    bool fine = !out->failed && fwrite(out->ptr ? out->ptr : "", 1, out->len, stdout) == out->len &&
                fflush(stdout) == 0;
    busi_buf_fini(out);
    return fine ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED;
}

static int misuse(const struct order *order, const char *what, const char *word)
{
    fprintf(stderr, "%s: %s '%s'; see '%s --help'\n", order->service->name, what, word, order->service->name);
    return BUSI_EXIT_USAGE;
}

/* ---- settings ---- */

/* complete: also ask for all that serving needs. Says on stderr what is wrong. */
static bool load(struct order *order, bool complete)
{
    extern char **environ;
    struct busi_buf errors;
    busi_buf_init(&errors, OUTPUT_MAX_BYTES);
    bool fine = busi_settings_read(&order->settings, order->service->user, order->config, environ,
                                   &order->arena, &errors);
    if (fine && complete)
        fine = busi_serve_check(order->service, &order->settings, &errors);
    if (!fine)
        fwrite(errors.ptr ? errors.ptr : "", 1, errors.len, stderr);
    busi_buf_fini(&errors);
    return fine;
}

/* ---- commands every process has ---- */

static int gen_keys(const struct busi_settings *settings, int argc, char **argv)
{
    (void)settings;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: gen-keys FOLDER NAME [METHODS]\n");
        return BUSI_EXIT_USAGE;
    }
    if (!busi_crypto_init())
        return BUSI_EXIT_FAILED;
    return busi_curve_generate(argv[1], argv[2], argv[3]);
}

static int gen_secret(const struct busi_settings *settings, int argc, char **argv)
{
    (void)settings;
    return busi_gen_secret(argc, argv);
}

static const struct busi_command common_commands[] = {
    {.name = "gen-keys",
     .arguments = "FOLDER NAME [METHODS]",
     .help = "make a CURVE key pair: NAME.key and NAME.pub",
     .details =
         "    METHODS: all that its owner may call, as 'auth.CheckToken, directory.*'; else everything\n",
     .run = gen_keys,
     .without_settings = true},
    {.name = "gen-secret",
     .arguments = "[--kid NAME] [BYTES]",
     .help = "print a new random secret",
     .details = "    BYTES are 64 when not given, and 32 to 512; printed in letters that URLs may have. With "
                "--kid the name\n"
                "    and a space stand before it, as settings of keys take it.\n",
     .run = gen_secret,
     .without_settings = true},
};
enum { COMMON_COMMANDS = sizeof(common_commands) / sizeof(common_commands)[0] };

/* The commands of the service and then those of all; NULL past the last. */
static const struct busi_command *command_at(const struct busi_service *service, size_t i)
{
    if (i < service->n_commands)
        return &service->commands[i];
    i -= service->n_commands;
    return i < COMMON_COMMANDS ? &common_commands[i] : NULL;
}

static const struct busi_command *find_command(const struct busi_service *service, const char *name)
{
    const struct busi_command *command;
    for (size_t i = 0; (command = command_at(service, i)) != NULL; i++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

/* ---- what can be asked for ---- */

static int run_serve(struct order *order)
{
    if (!busi_crypto_init())
        return BUSI_EXIT_FAILED;
    return load(order, true) ? busi_serve(order->service, &order->settings) : BUSI_EXIT_CONFIG;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool asks_for_help(const struct order *order)
{
    return order->argc == 2 && is_help(order->argv[1]);
}

/* One line and what it does. above: of which command it is a part, or NULL. */
static void print_usage(FILE *out, const struct busi_service *service, const struct busi_command *above,
                        const struct busi_command *command)
{
    fprintf(out, "%s %s%s%s%s%s\n  %s\n", service->name, above ? above->name : "", above ? " " : "",
            command->name, command->arguments ? " " : "", command->arguments ? command->arguments : "",
            command->help);
}

static int run_one(struct order *order, const struct busi_command *above)
{
    const struct busi_command *command = order->command;
    if (asks_for_help(order)) {
        print_usage(stdout, order->service, above, command);
        if (command->details)
            fputs(command->details, stdout);
        return fflush(stdout) == 0 ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED;
    }
    if (!command->arguments && order->argc > 1)
        return misuse(order, "too many arguments:", order->argv[1]);
    if (!command->without_settings && !load(order, false))
        return BUSI_EXIT_CONFIG;
    return command->run(command->without_settings ? NULL : &order->settings, order->argc, order->argv);
}

static int run_command(struct order *order)
{
    const struct busi_command *whole = order->command;
    bool helped = asks_for_help(order);
    if (!whole->parts)
        return run_one(order, NULL);
    for (size_t i = 0; i < whole->n_parts && order->argc > 1; i++)
        if (strcmp(whole->parts[i].name, order->argv[1]) == 0) {
            order->command = &whole->parts[i];
            order->argc--;
            order->argv++;
            return run_one(order, whole);
        }
    if (order->argc > 1 && !helped)
        fprintf(stderr, "%s %s has no part '%s', but\n", order->service->name, whole->name, order->argv[1]);
    for (size_t i = 0; i < whole->n_parts; i++)
        print_usage(helped ? stdout : stderr, order->service, whole, &whole->parts[i]);
    return helped && fflush(stdout) == 0 ? BUSI_EXIT_FINE : BUSI_EXIT_USAGE;
}

static int run_check(struct order *order)
{
    if (!busi_crypto_init()) /* keys are tried */
        return BUSI_EXIT_FAILED;
    if (!load(order, true))
        return BUSI_EXIT_CONFIG;
    puts("configuration is fine");
    return fflush(stdout) == 0 ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED;
}

static int run_print(struct order *order)
{
    struct busi_buf out;
    if (!load(order, false))
        return BUSI_EXIT_CONFIG;
    busi_buf_init(&out, OUTPUT_MAX_BYTES);
    busi_settings_print(&out, &order->settings, order->service->user);
    return print(&out);
}

static int run_version(struct order *order)
{
    printf("%s %s\n", order->service->name, BUSI_VERSION);
    return fflush(stdout) == 0 ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED;
}

static int run_describe(struct order *order)
{
    struct busi_buf out;
    busi_buf_init(&out, OUTPUT_MAX_BYTES);
    if (order->service->rpc_name)
        busi_methods_text(&out, order->service->endpoints, order->service->n_endpoints);
    else
        busi_buf_printf(&out, "%s serves no calls\n", order->service->name);
    return print(&out);
}

static int run_help(struct order *order);

static const struct {
    const char *name, *help;
    int (*run)(struct order *order);
} options[] = {
    {"--help", "print this", run_help},
    {"--version", "print name and version", run_version},
    {"--check-config", "say what is wrong with the settings (exit code 78)", run_check},
    {"--print-config", "print the settings in force, secrets masked", run_print},
    {"--describe", "print the calls it serves, and what they are made of", run_describe},
};
enum { OPTIONS = sizeof(options) / sizeof(options)[0] };

static int run_help(struct order *order)
{
    const struct busi_service *service = order->service;
    const struct busi_command *command;
    struct busi_buf out;
    busi_buf_init(&out, OUTPUT_MAX_BYTES);
    busi_buf_printf(&out,
                    "%s %s: %s\n\nusage:\n"
                    "  %s [--config FILE]                       serve until SIGTERM\n"
                    "  %s [--config FILE] COMMAND [ARGUMENTS]\n"
                    "  %s [--config FILE] OPTION\n\noptions:\n",
                    service->name, BUSI_VERSION, service->summary, service->name, service->name,
                    service->name);
    busi_buf_printf(&out, "  %-16s %s\n", "--config FILE", "read settings from FILE, too (or BUSI_CONFIG)");
    for (size_t i = 0; i < OPTIONS; i++)
        busi_buf_printf(&out, "  %-16s %s\n", options[i].name, options[i].help);
    busi_buf_str(&out, BUSI_STR("\ncommands:\n"));
    for (size_t i = 0; (command = command_at(service, i)) != NULL; i++)
        busi_buf_printf(&out, "  %s%s%s\n      %s\n", command->name, command->arguments ? " " : "",
                        command->arguments ? command->arguments : "", command->help);
    busi_buf_str(&out,
                 BUSI_STR("\nsettings, from the environment or, as for BUSI_HTTP_PORT=4000, a line\n"
                          "\"http_port = 4000\" of FILE; a secret X also from the file X_FILE names:\n"));
    busi_settings_help(&out, service->user);
    return print(&out);
}

/* ---- the command line ---- */

/* Fills order->run; BUSI_EXIT_FINE or BUSI_EXIT_USAGE with the reason said. */
static int parse_option(struct order *order, const char *word)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (strcmp(word, options[i].name) == 0 || (options[i].run == run_help && is_help(word))) {
            order->run = options[i].run;
            return BUSI_EXIT_FINE;
        }
    return misuse(order, "unknown option", word);
}

/* Takes "--config FILE" out of argv, wherever it stands: `auth-svc migrate --config FILE` works, too. */
static int parse_config(struct order *order, int *argc, char **argv)
{
    static const char config[] = "--config";
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        bool joined = strncmp(argv[i], "--config=", sizeof(config)) == 0;
        if (joined)
            order->config = argv[i] + sizeof(config);
        else if (strcmp(argv[i], config) != 0)
            argv[kept++] = argv[i];
        else if (i + 1 == *argc)
            return misuse(order, "a file must follow", config);
        else
            order->config = argv[++i];
    }
    *argc = kept;
    return BUSI_EXIT_FINE;
}

static int parse(struct order *order, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (i > 1) /* an option stands alone: `--check-config migrate` must not migrate */
            return misuse(order, "too many arguments:", argv[i]);
        if (argv[i][0] != '-') {
            order->command = find_command(order->service, argv[i]);
            order->argc = argc - i;
            order->argv = argv + i;
            order->run = run_command;
            return order->command ? BUSI_EXIT_FINE : misuse(order, "unknown command", argv[i]);
        }
        int code = parse_option(order, argv[i]);
        if (code != BUSI_EXIT_FINE)
            return code;
    }
    return BUSI_EXIT_FINE;
}

int busi_service_main(const struct busi_service *service, int argc, char **argv)
{
    struct order order = {.service = service, .config = getenv("BUSI_CONFIG"), .run = run_serve};
    if (order.config && order.config[0] == 0)
        order.config = NULL;
    int code = parse_config(&order, &argc, argv);
    if (code == BUSI_EXIT_FINE)
        code = parse(&order, argc, argv);
    if (code != BUSI_EXIT_FINE)
        return code;
    busi_arena_init(&order.arena, SETTINGS_MAX_BYTES);
    code = order.run(&order);
    busi_arena_fini(&order.arena);
    return code;
}
