#include "mailer-svc_house.h"
#include "database.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

PGconn *open_database(char *conninfo)
{
    const char *url = must_have("BUSI_TEST_POSTGRES");
    PGconn *admin = postgres_open();
    /* one test at a time: they share the schema. Released when the test's process ends */
    postgres_run(admin, "SELECT pg_advisory_lock(7770001)");
    postgres_run(admin, "DO $$ BEGIN CREATE ROLE busi_mailer NOLOGIN;"
                        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$");
    postgres_run(admin, "DROP SCHEMA IF EXISTS mailer CASCADE");
    postgres_run(admin, "CREATE SCHEMA mailer");
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
