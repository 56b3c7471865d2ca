#include "database.h"
#include "base/embed.h"
#include "store/migrate.h"

#define MIGRATION(name) BUSI_EMBED(auth_migration_##name, "migrations/" #name ".sql");
#include "migrations.def"
#undef MIGRATION

static const struct busi_migration migrations[] = {
#define MIGRATION(name) {#name, auth_migration_##name},
#include "migrations.def"
#undef MIGRATION
};

int auth_migrate(const struct busi_settings *settings, int argc, char **argv)
{
    return busi_migrate_command(settings->migrate_database, "auth", migrations,
                                sizeof(migrations) / sizeof(migrations[0]), argc, argv);
}
