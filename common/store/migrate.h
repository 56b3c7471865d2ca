/* Ordered SQL migrations, embedded in the binary, safe to run from several replicas at once (advisory lock).
 * Blocking; for the migrate command, not for a serving process. */
#pragma once
#include "base/code.h"

struct busi_migration {
    const char *name; /* "0001_users" */
    const char *sql;  /* NUL-terminated; run in one transaction with its record */
};
/* schema: name of the service's schema; the record is <schema>.migrations(name, sha256, applied_at). A
 * migration whose text changed after it was applied is an error. Progress and errors go to stdout/stderr for
 * a person. Returns an exit code. */
int busi_migrate(const char *conninfo, const char *schema, const struct busi_migration *migrations, size_t n);
/* Prints name and applied_at or "pending"; exit code 0 when none is pending, 3 when some are. */
int busi_migrate_status(const char *conninfo, const char *schema, const struct busi_migration *migrations,
                        size_t n);
/* Runs an embedded script (seed) in one transaction; exit code. */
int busi_migrate_script(const char *conninfo, const char *name, const char *sql);
/* The sub-command `migrate [--status]` of every service. */
int busi_migrate_command(struct busi_str conninfo, const char *schema,
                         const struct busi_migration *migrations, size_t n, int argc, char **argv);
/* The sub-command `seed`. */
int busi_seed_command(struct busi_str conninfo, const char *sql);
