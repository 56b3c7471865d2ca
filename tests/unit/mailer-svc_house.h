/* Words for the tests of mailer-svc against a real Postgres. */
#pragma once
#include "postgres_admin.h"

/* Connects as BUSI_TEST_POSTGRES, waits for other tests, makes schema mailer anew with every migration and
 * fills conninfo (1024 bytes) with a connection string that has the rights of role busi_mailer only. */
PGconn *open_database(char *conninfo);
int count_files(const char *folder); /* hidden ones do not count */
void make_folder(char *folder);      /* 64 bytes, filled */
void remove_folder(const char *folder);
