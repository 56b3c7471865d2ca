/* Ordered SQL migrations, embedded in the binary, safe to run from several replicas at once (advisory lock).
 * Blocking; for the migrate command, not for a serving process. */
#pragma once
#include "base/code.h"

struct busi_migration {
    const char *name; /* "0001_users" */
    const char *sql;  /* NUL-terminated; run in one transaction with its record */
};
/* The sub-command `migrate [--status]` of every service: brings the schema of that name up to date, or prints
 * for each migration when it was applied or "pending". The record is <schema>.migrations(name, sha256,
 * applied_at); a migration whose text changed after it was applied is an error. Progress and errors go to
 * stdout and stderr for a person. Returns an exit code; of --status 3 when some are pending. */
int busi_migrate_command(struct busi_str conninfo, const char *schema,
                         const struct busi_migration *migrations, size_t n, int argc, char **argv);
/* The sub-command `seed`: runs the script in one transaction; exit code. */
int busi_seed_command(struct busi_str conninfo, const char *sql);
