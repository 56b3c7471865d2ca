#include "store/migrate.h"

#include "base/text.h"
#include "crypto/secret.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, EXIT_PENDING = 3, EXIT_CONFIG = 78, SHA_HEX = 65, SCHEMA_MOST = 40 };

/* A command for a person: refuses rather than waits. */
static PGconn *open_database(const char *conninfo)
{
    const char *names[] = {"connect_timeout", "application_name", "options",
                           "client_encoding", "dbname",           NULL};
    const char *values[] = {"5",    "busi-migrate", "-c lock_timeout=10s -c statement_timeout=10min",
                            "UTF8", conninfo,       NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    if (conn && PQstatus(conn) == CONNECTION_OK)
        return conn;
    fprintf(stderr, "cannot connect: %s", conn ? PQerrorMessage(conn) : "out of memory\n");
    PQfinish(conn);
    return NULL;
}

/* Runs and drops the result; false after saying why. */
static bool run(PGconn *conn, const char *what, const char *sql, int n, const char *const *values)
{
    PGresult *result = n ? PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0) : PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    bool fine = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!fine)
        fprintf(stderr, "%s: %s", what, PQerrorMessage(conn));
    PQclear(result);
    return fine;
}

static void hash(char hex[SHA_HEX], const char *sql)
{
    uint8_t sum[32];
    busi_sha256(sum, busi_str_of(sql));
    busi_hex_encode(hex, sum, sizeof sum);
    hex[SHA_HEX - 1] = '\0';
}

/* The schema's name comes from the code, but goes into SQL text: letters only. */
static bool schema_fits(const char *schema)
{
    size_t n = strspn(schema, "abcdefghijklmnopqrstuvwxyz_");
    return n > 0 && n < SCHEMA_MOST && schema[n] == '\0';
}

/* The record of one migration: NULL on a fault; no row when it is pending. */
static PGresult *find_record(PGconn *conn, const char *schema, const char *name)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT sha256, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
             " FROM %s.migrations WHERE name = $1",
             schema);
    PGresult *result = PQexecParams(conn, sql, 1, NULL, &name, NULL, NULL, 0);
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        return result;
    fprintf(stderr, "%s: %s", name, PQerrorMessage(conn));
    PQclear(result);
    return NULL;
}

static bool record_matches(const PGresult *record, const struct busi_migration *migration)
{
    char hex[SHA_HEX];
    hash(hex, migration->sql);
    if (strcmp(PQgetvalue(record, 0, 0), hex) == 0)
        return true;
    fprintf(stderr, "%s: its text changed after it was applied; write a new migration instead\n",
            migration->name);
    return false;
}

static bool apply(PGconn *conn, const char *schema, const struct busi_migration *migration)
{
    char sql[120], hex[SHA_HEX];
    hash(hex, migration->sql);
    snprintf(sql, sizeof sql, "INSERT INTO %s.migrations(name, sha256) VALUES ($1, $2)", schema);
    return run(conn, migration->name, migration->sql, 0, NULL) &&
           run(conn, migration->name, sql, 2, (const char *const[]){migration->name, hex});
}

/* One migration in one transaction, alone among all replicas: who waited for the lock finds the record. */
static bool migrate_one(PGconn *conn, const char *schema, const struct busi_migration *migration)
{
    if (!run(conn, migration->name, "BEGIN", 0, NULL) ||
        !run(conn, migration->name, "SELECT pg_advisory_xact_lock(hashtext('busi migrations of ' || $1))", 1,
             &schema))
        return false;
    PGresult *record = find_record(conn, schema, migration->name);
    bool pending = record && PQntuples(record) == 0;
    bool fine = record && (pending ? apply(conn, schema, migration) : record_matches(record, migration));
    PQclear(record);
    fine = run(conn, migration->name, fine ? "COMMIT" : "ROLLBACK", 0, NULL) && fine;
    if (fine)
        printf("%s %s\n", pending ? "applied" : "already applied", migration->name);
    return fine;
}

static bool make_record_table(PGconn *conn, const char *schema)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "BEGIN;"
             "SELECT pg_advisory_xact_lock(hashtext('busi migrations of %s'));"
             "CREATE TABLE IF NOT EXISTS %s.migrations(name text PRIMARY KEY, sha256 text NOT NULL,"
             " applied_at timestamptz NOT NULL DEFAULT now());"
             "COMMIT",
             schema, schema);
    return run(conn, "the record of migrations", sql, 0, NULL);
}

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static int bring_up_to_date(const char *conninfo, const char *schema, const struct busi_migration *migrations,
                            size_t n)
{
    PGconn *conn = schema_fits(schema) ? open_database(conninfo) : NULL;
    if (!conn)
        return EXIT_FAILURE;
    PQsetNoticeProcessor(conn, ignore_notice, NULL);
    bool fine = make_record_table(conn, schema);
    for (size_t i = 0; i < n && fine; i++)
        fine = migrate_one(conn, schema, &migrations[i]);
    PQfinish(conn);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool print_status(PGconn *conn, const char *schema, const struct busi_migration *migration,
                         bool recorded, bool *pending)
{
    PGresult *record = recorded ? find_record(conn, schema, migration->name) : NULL;
    if (recorded && !record)
        return false;
    bool here = record && PQntuples(record) > 0;
    bool fine = !here || record_matches(record, migration);
    printf("%-40s %s\n", migration->name, here ? PQgetvalue(record, 0, 1) : "pending");
    *pending |= !here;
    PQclear(record);
    return fine;
}

static int print_all(const char *conninfo, const char *schema, const struct busi_migration *migrations,
                     size_t n)
{
    PGconn *conn = schema_fits(schema) ? open_database(conninfo) : NULL;
    if (!conn)
        return EXIT_FAILURE;
    char table[SCHEMA_MOST + 16];
    snprintf(table, sizeof table, "%s.migrations", schema);
    PGresult *found = PQexecParams(conn, "SELECT to_regclass($1) IS NOT NULL", 1, NULL,
                                   (const char *const[]){table}, NULL, NULL, 0);
    bool fine = PQresultStatus(found) == PGRES_TUPLES_OK, pending = false;
    if (!fine)
        fprintf(stderr, "%s", PQerrorMessage(conn));
    bool recorded = fine && PQgetvalue(found, 0, 0)[0] == 't';
    PQclear(found);
    for (size_t i = 0; i < n && fine; i++)
        fine = print_status(conn, schema, &migrations[i], recorded, &pending);
    PQfinish(conn);
    if (!fine)
        return EXIT_FAILURE;
    return pending ? EXIT_PENDING : EXIT_SUCCESS;
}

static int run_script(const char *conninfo, const char *name, const char *sql)
{
    PGconn *conn = open_database(conninfo);
    if (!conn)
        return EXIT_FAILURE;
    PQsetNoticeProcessor(conn, ignore_notice, NULL);
    bool fine = run(conn, name, "BEGIN", 0, NULL) && run(conn, name, sql, 0, NULL) &&
                run(conn, name, "COMMIT", 0, NULL);
    PQfinish(conn);
    if (fine)
        printf("done %s\n", name);
    return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A NUL-terminated copy to be freed by drop_conninfo(); NULL after saying what is missing. */
static char *copy_conninfo(struct busi_str conninfo)
{
    if (conninfo.len == 0) {
        fprintf(stderr, "BUSI_MIGRATE_DATABASE: must name the database, as its owner\n");
        return NULL;
    }
    return strndup(conninfo.ptr, conninfo.len);
}

static void drop_conninfo(char *copy)
{
    explicit_bzero(copy, strlen(copy));
    free(copy);
}

int busi_migrate_command(struct busi_str conninfo, const char *schema,
                         const struct busi_migration *migrations, size_t n, int argc, char **argv)
{
    bool status = argc == 2 && strcmp(argv[1], "--status") == 0;
    if (argc > 1 && !status) {
        fprintf(stderr, "usage: migrate [--status]\n");
        return EXIT_USAGE;
    }
    char *copy = copy_conninfo(conninfo);
    if (!copy)
        return EXIT_CONFIG;
    int code =
        status ? print_all(copy, schema, migrations, n) : bring_up_to_date(copy, schema, migrations, n);
    drop_conninfo(copy);
    return code;
}

int busi_seed_command(struct busi_str conninfo, const char *sql)
{
    char *copy = copy_conninfo(conninfo);
    if (!copy)
        return EXIT_CONFIG;
    int code = run_script(copy, "seed", sql);
    drop_conninfo(copy);
    return code;
}
