#include "migrations.h"
#include "service/service.h"
#include "store/embed.h"
#include "store/migrate.h"
#include <stdio.h>

#define MIGRATION(name) BUSI_EMBED(migration_##name, "migrations/" #name ".sql");
#include "migrations.def"
#undef MIGRATION

int mailer_migrate(const struct busi_settings *settings, int argc, char **argv)
{
    const struct busi_migration migrations[] = {
#define MIGRATION(name) {#name, migration_##name},
#include "migrations.def"
#undef MIGRATION
    };
    size_t n = sizeof(migrations) / sizeof(migrations)[0];
    bool status = argc == 2 && strcmp(argv[1], "--status") == 0;
    if (argc > 1 && !status) {
        fprintf(stderr, "mailer-svc: usage: mailer-svc migrate [--status]\n");
        return BUSI_EXIT_USAGE;
    }
    if (settings->migrate_database.len == 0) {
        fprintf(stderr, "BUSI_MIGRATE_DATABASE: is not set; name the database as role busi_mailer_owner\n");
        return BUSI_EXIT_CONFIG;
    }
    if (status)
        return busi_migrate_status(settings->migrate_database.ptr, "mailer", migrations, n);
    return busi_migrate(settings->migrate_database.ptr, "mailer", migrations, n);
}
