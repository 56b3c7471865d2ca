#include "service.h"
#include "commands/audit.h"
#include "commands/operator.h"
#include "commands/purge.h"
#include "core/auth.h"
#include "database.h"
#include "hooks/rules.h"
#include "import/command.h"
#include "oidc/rules.h"
#include "rpc/endpoints.h"
#include "sessions/safety.h"

enum { TOKEN_HASH_KEY_LEAST_BYTES = 32 };

#define METHOD_AUTH(name, wire, request, reply, retry, timeout_ms)                                           \
    BUSI_HANDLER(struct auth, auth, name, request, reply)
#include "proto/methods.def"

static const struct busi_endpoint endpoints[] = {
#define METHOD_AUTH(name, ...) BUSI_ENDPOINT(auth, name)
#include "proto/methods.def"
};

static const struct busi_command commands[] = {
    {.name = "migrate",
     .arguments = "[--status]",
     .help = "bring the schema up to date, or list what is pending",
     .run = auth_migrate},
    {.name = "create-root",
     .arguments = "USERNAME [--email E] [--password-file F] | USERNAME --grant",
     .help = "make an account that may do everything",
     .run = operator_create_root,
     .details = OPERATOR_CREATE_ROOT_DETAILS},
    {.name = "users",
     .arguments = "list|show|block|unblock|delete|set-password|confirm ...",
     .help = "look at accounts and change them; see users --help",
     .parts = operator_users,
     .n_parts = OPERATOR_USERS},
    {.name = "roles",
     .arguments = "list|create|delete|grant|revoke ...",
     .help = "who may do what; see roles --help",
     .parts = operator_roles,
     .n_parts = OPERATOR_ROLES},
    {.name = "sessions",
     .arguments = "list|end|end-all ...",
     .help = "where somebody is signed in; see sessions --help",
     .parts = operator_sessions,
     .n_parts = OPERATOR_SESSIONS},
    {.name = "import-users",
     .arguments = AUTH_IMPORT_ARGUMENTS,
     .help = "make accounts of NDJSON or CSV, with hashes of passwords",
     .details = auth_import_details,
     .run = auth_import_command},
    {.name = "audit",
     .arguments = AUTH_AUDIT_ARGUMENTS,
     .help = "show who did what to which account",
     .details = auth_audit_details,
     .run = auth_audit_command},
    {.name = "purge", .help = "delete all that has expired, as serving does bit by bit", .run = auth_purge},
};

static bool need(struct busi_buf *errors, bool fine, const char *line)
{
    if (!fine)
        busi_buf_str(errors, busi_str_of(line));
    return fine;
}

/* Fault of either setting, the subscribers first: hooks name them. */
static bool check_hooks(const struct busi_settings *settings, struct busi_buf *errors)
{
    struct auth_hook_rules rules;
    struct busi_str culprit, none = {0};
    const char *setting = "BUSI_HOOK_SUBSCRIBERS";
    const char *fault = auth_hook_rules_read(&rules, settings->hook_subscribers, none, &culprit);
    if (!fault) {
        setting = "BUSI_HOOKS";
        fault = auth_hook_rules_read(&rules, settings->hook_subscribers, settings->hooks, &culprit);
    }
    if (fault)
        busi_buf_printf(errors, "%s: '%.*s' %s\n", setting, BUSI_ARG(culprit), fault);
    else if (rules.n_subscribers > 0 && settings->curve_key_file.len > 0)
        return need(
            errors, settings->curve_server_dir.len > 0,
            "BUSI_CURVE_SERVER_DIR: is not set; name the folder with the subscribers' certificates\n");
    return !fault;
}

static bool check_providers(const struct busi_settings *settings, struct busi_buf *errors)
{
    struct auth_oidc_rules rules;
    struct busi_str culprit;
    const char *fault =
        auth_oidc_rules_read(&rules, settings->oidc_providers, settings->oidc_secrets, &culprit);
    if (fault)
        busi_buf_printf(errors, "BUSI_OIDC_PROVIDERS: '%.*s' %s\n", BUSI_ARG(culprit), fault);
    bool fine = !fault;
    for (size_t i = 0; fine && i < rules.n && !settings->oidc_anywhere; i++)
        if (!busi_str_starts(rules.list[i].issuer, BUSI_STR("https://"))) {
            busi_buf_printf(errors, "BUSI_OIDC_PROVIDERS: '%.*s' must be https, or BUSI_OIDC_ANYWHERE on\n",
                            BUSI_ARG(rules.list[i].name));
            fine = false;
        }
    return fine;
}

static bool check_common_passwords(const struct busi_settings *settings, struct busi_buf *errors)
{
    struct auth_common_passwords common;
    const char *fault = auth_common_passwords_open(&common, settings->common_passwords);
    if (fault)
        busi_buf_printf(errors, "BUSI_COMMON_PASSWORDS: %.*s: %s\n", BUSI_ARG(settings->common_passwords),
                        fault);
    auth_common_passwords_close(&common);
    return !fault;
}

static bool check(const struct busi_settings *settings, struct busi_buf *errors)
{
    const char *fault = settings->redis.len ? busi_redis_url_fault(settings->redis) : "is not set";
    bool fine = need(errors, settings->auth_database.len > 0,
                     "BUSI_AUTH_DATABASE: is not set; it must name the database\n");
    fine &= need(errors, busi_pg_conninfo_valid(settings->auth_database),
                 "BUSI_AUTH_DATABASE: is not a connection string of Postgres\n");
    if (fault)
        busi_buf_printf(errors, "BUSI_REDIS: %s; it must name the session store\n", fault);
    fine &= !fault;
    fine &= need(errors, auth_safety_word_valid(settings->redis_persistence),
                 "BUSI_REDIS_PERSISTENCE: must be required or any\n");
    fine &=
        need(errors, settings->mailer_endpoints.len == 0 || busi_endpoints_valid(settings->mailer_endpoints),
             "BUSI_MAILER_ENDPOINTS: must name workers, as host:port,host:port\n");
    fine &= auth_doors_check(settings, errors);
    fine &= need(
        errors, !auth_key_fault(settings->token_hash_key, TOKEN_HASH_KEY_LEAST_BYTES),
        "BUSI_TOKEN_HASH_KEY: must have at least 32 bytes, and not the same again and again; make one with"
        " 'auth-svc gen-secret 32'\n");
    fine &= need(errors, settings->mailer_endpoints.len == 0 || settings->curve_server_dir.len > 0,
                 "BUSI_CURVE_SERVER_DIR: is not set; name the folder with mailer-svc.pub\n");
    fine &= check_common_passwords(settings, errors);
    fine &= check_providers(settings, errors);
    return fine & check_hooks(settings, errors);
}

static void *start(struct busi_process *process)
{
    return auth_new(process->loop, &(struct auth_options){.settings = process->settings,
                                                          .fibers = process->fibers,
                                                          .curve = process->curve});
}

static bool ready(void *state)
{
    return auth_ready(state);
}

static void drain(void *state)
{
    auth_drain(state);
}

static bool idle(void *state)
{
    return auth_idle(state);
}

static void stop(void *state)
{
    struct auth *auth = state;
    auth_free(&auth);
}

const struct busi_service auth_service = {
    .name = "auth-svc",
    .rpc_name = "auth",
    .summary = "keeps accounts and sessions",
    .user = BUSI_USER_A,
    .endpoints = endpoints,
    .n_endpoints = sizeof(endpoints) / sizeof(endpoints[0]),
    .commands = commands,
    .n_commands = sizeof(commands) / sizeof(commands[0]),
    .check = check,
    .start = start,
    .ready = ready,
    .drain = drain,
    .idle = idle,
    .stop = stop,
};
