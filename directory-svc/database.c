#include "database.h"

#include "base/embed.h"
#include "store/migrate.h"

#define MIGRATION(name) BUSI_EMBED(directory_migration_##name, "migrations/" #name ".sql");
#include "migrations.def"
#undef MIGRATION
BUSI_EMBED(directory_seed_sql, "seed.sql");

static const struct busi_migration migrations[] = {
#define MIGRATION(name) {#name, directory_migration_##name},
#include "migrations.def"
#undef MIGRATION
};

int directory_migrate(const struct busi_settings *settings, int argc, char **argv)
{
    return busi_migrate_command(settings->migrate_database, "directory", migrations,
                                sizeof migrations / sizeof migrations[0], argc, argv);
}

int directory_seed(const struct busi_settings *settings, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return busi_seed_command(settings->migrate_database, directory_seed_sql);
}
