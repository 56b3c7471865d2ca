/* The test server itself, beside the module under test: a superuser's connection, and SQL that must work. */
#pragma once
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdlib.h>

/* The value of an environment variable that tests/run sets; without it the test fails. */
static inline const char *must_have(const char *name)
{
    const char *value = getenv(name);
    cr_assert(value && *value, "%s must name the test server (tests/run sets it)", name);
    return value;
}

static inline void postgres_ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/* As BUSI_TEST_POSTGRES; end it with PQfinish(). */
static inline PGconn *postgres_open(void)
{
    PGconn *admin = PQconnectdb(must_have("BUSI_TEST_POSTGRES"));
    cr_assert_eq(PQstatus(admin), CONNECTION_OK, "%s", PQerrorMessage(admin));
    PQsetNoticeProcessor(admin, postgres_ignore_notice, NULL);
    return admin;
}

/* To be cleared with PQclear(). */
static inline PGresult *postgres_ask(PGconn *admin, const char *sql)
{
    PGresult *result = PQexec(admin, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(admin));
    return result;
}

static inline void postgres_run(PGconn *admin, const char *sql)
{
    PQclear(postgres_ask(admin, sql));
}

/* First column of the first row; 0 without a row. */
static inline int64_t postgres_number(PGconn *admin, const char *sql)
{
    PGresult *result = postgres_ask(admin, sql);
    int64_t number = PQntuples(result) ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    return number;
}
