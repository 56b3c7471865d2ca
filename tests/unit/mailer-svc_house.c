#include "mailer-svc_house.h"
#include "database.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void sql(PGconn *admin, const char *text)
{
    PGresult *result = PQexec(admin, text);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", text, PQerrorMessage(admin));
    PQclear(result);
}

long long number(PGconn *admin, const char *text)
{
    PGresult *result = PQexec(admin, text);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s: %s", text, PQerrorMessage(admin));
    long long n = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return n;
}

PGconn *open_database(char *conninfo)
{
    const char *url = getenv("BUSI_TEST_POSTGRES");
    cr_assert_not_null(url, "set BUSI_TEST_POSTGRES to a superuser's connection string; ./tests/run does");
    PGconn *admin = PQconnectdb(url);
    cr_assert_eq(PQstatus(admin), CONNECTION_OK, "%s", PQerrorMessage(admin));
    sql(admin, "SET client_min_messages = warning");
    /* one test at a time: they share the schema. Released when the test's process ends */
    sql(admin, "SELECT pg_advisory_lock(7770001)");
    sql(admin, "DO $$ BEGIN CREATE ROLE busi_mailer NOLOGIN;"
               " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$");
    sql(admin, "DROP SCHEMA IF EXISTS mailer CASCADE");
    sql(admin, "CREATE SCHEMA mailer");
    snprintf(conninfo, 1024, "%s options='-c role=busi_mailer'", url);
    struct busi_settings settings = {.migrate_database = busi_str_of(url)};
    cr_assert_eq(mailer_migrate(&settings, 1, (char *[]){"migrate", NULL}), 0);
    return admin;
}

int count_files(const char *folder)
{
    int n = 0;
    DIR *open = opendir(folder);
    for (struct dirent *entry; open && (entry = readdir(open)) != NULL;)
        n += entry->d_name[0] != '.';
    if (open)
        closedir(open);
    return n;
}

void make_folder(char *folder)
{
    strcpy(folder, "/tmp/busi-mails-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

void remove_folder(const char *folder)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}
