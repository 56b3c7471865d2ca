/* Words for the tests of mailer-svc against a real Postgres. */
#pragma once
#include <libpq-fe.h>

/* Connects as BUSI_TEST_POSTGRES, waits for other tests, makes schema mailer anew with every migration and
 * fills conninfo (1024 bytes) with a connection string that has the rights of role busi_mailer only. */
PGconn *open_database(char *conninfo);
void sql(PGconn *admin, const char *text);
long long number(PGconn *admin, const char *text); /* first column of the first row */
int count_files(const char *folder);               /* hidden ones do not count */
void make_folder(char *folder);                    /* 64 bytes, filled */
void remove_folder(const char *folder);
