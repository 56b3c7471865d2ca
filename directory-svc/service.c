#include "service.h"
#include "database.h"
#include "directory.h"

#define METHOD_DIRECTORY(name, wire, request, reply, retry, timeout_ms)                                      \
    BUSI_HANDLER(struct directory, directory, name, request, reply)
#include "proto/methods.def"

static const struct busi_endpoint endpoints[] = {
#define METHOD_DIRECTORY(name, ...) BUSI_ENDPOINT(directory, name)
#include "proto/methods.def"
};

static const struct busi_command commands[] = {
    {.name = "migrate",
     .arguments = "[--status]",
     .help = "bring the schema up to date, or list what is pending",
     .run = directory_migrate},
    {.name = "seed", .help = "add the three example companies", .run = directory_seed},
};

static bool check(const struct busi_settings *settings, struct busi_buf *errors)
{
    if (settings->directory_database.len > 0 && busi_pg_conninfo_valid(settings->directory_database))
        return true;
    busi_buf_str(errors,
                 BUSI_STR("BUSI_DIRECTORY_DATABASE: must name the database, as a connection string of "
                          "Postgres\n"));
    return false;
}

static void *start(struct busi_process *process)
{
    const struct busi_settings *settings = process->settings;
    return directory_new(process->loop, &(struct directory_options){
                                            .database = settings->directory_database,
                                            .connections = (int)settings->database_connections,
                                            .statement_timeout_ms = settings->statement_timeout_ms,
                                        });
}

static bool ready(void *state)
{
    return directory_ready(state);
}

static void stop(void *state)
{
    struct directory *directory = state;
    directory_free(&directory);
}

const struct busi_service directory_service = {
    .name = "directory-svc",
    .rpc_name = "directory",
    .summary = "keeps the directory of businesses",
    .user = BUSI_USER_D,
    .endpoints = endpoints,
    .n_endpoints = sizeof endpoints / sizeof endpoints[0],
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .check = check,
    .start = start,
    .ready = ready,
    .stop = stop,
};
