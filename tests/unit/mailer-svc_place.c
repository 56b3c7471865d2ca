/* Claims of a long queue. */
#define _GNU_SOURCE /* asprintf */
#include "mailer-svc_house.h"
#include "place.h"
#include "statements.h"
#include <stdio.h>
#include <string.h>

enum { SECOND_US = 1000000 };
static const int64_t SOME_US = 1700000000000000;

Test(place, a_claim_begins_a_bit_before_the_last_one)
{
    struct mail_place place = {0};
    cr_expect_eq(mail_place_begin(&place, 1000), 0, "nothing is known");
    cr_expect_eq(mail_place_begin(&place, 1001), 0);
    mail_place_end(&place, 0, SOME_US, 1000, 1002);
    cr_expect_eq(mail_place_begin(&place, 1003), SOME_US - 2 * SECOND_US);
    mail_place_end(&place, SOME_US - 2 * SECOND_US, SOME_US + 7, 1003, 1004);
    cr_expect_eq(mail_place_begin(&place, 1005), SOME_US + 7 - 2 * SECOND_US);
    mail_place_end(&place, SOME_US + 7 - 2 * SECOND_US, 0, 1005, 1006);
    cr_expect_eq(mail_place_begin(&place, 1007), SOME_US + 7 - 2 * SECOND_US, "one that found nothing");
}

Test(place, everything_is_looked_at_now_and_then_by_one)
{
    struct mail_place place = {0};
    mail_place_end(&place, 0, SOME_US, 1000, 1002);
    cr_expect_neq(mail_place_begin(&place, 2001), 0);
    cr_expect_eq(mail_place_begin(&place, 2002), 0);
    cr_expect_neq(mail_place_begin(&place, 2003), 0, "another lane need not");
    mail_place_end(&place, 0, SOME_US - 60 * SECOND_US, 2002, 2302);
    cr_expect_eq(mail_place_begin(&place, 2400), SOME_US - 62 * SECOND_US,
                 "what was left behind comes first");
    cr_expect_neq(mail_place_begin(&place, 8301), 0, "it took long, so the next one is later");
    cr_expect_eq(mail_place_begin(&place, 8302), 0);
}

/* ---- and what Postgres does for it ---- */

static PGconn *admin, *onlooker;

static void begin(void)
{
    char conninfo[1024], *sql;
    admin = open_database(conninfo);
    onlooker = postgres_open();
    cr_assert_geq(asprintf(&sql, "PREPARE claim AS %s", mail_statements[MAIL_SQL_claim].sql), 0);
    postgres_run(admin, sql);
    free(sql);
}

static void end(void)
{
    PQfinish(admin);
    PQfinish(onlooker);
}

TestSuite(long_queue, .init = begin, .fini = end, .timeout = 120);

/* Due a second after each other, the first of them n seconds ago. */
static void fill(int n, const char *domain)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "INSERT INTO mailer.mails (caller, idempotency_key, kind, recipient, request, due_at)"
             " SELECT 'x', '%s' || n, 'x', 'x@%s', 'x', now() - n * interval '1 s' FROM generate_series(1, "
             "%d) AS n",
             domain, domain, n);
    postgres_run(admin, sql);
}

/* A claim of one, and how many pages of the table and its indexes it looked at; it is undone. */
static int64_t pages(const char *but_for, const char *from_us)
{
    char sql[256];
    int64_t found = -1;
    bool by_index = false;
    postgres_run(admin, "BEGIN");
    snprintf(sql, sizeof(sql), "EXPLAIN (ANALYZE, BUFFERS, TIMING off) EXECUTE claim(1, 60000, '%s', %s)",
             but_for, from_us);
    PGresult *plan = postgres_ask(admin, sql);
    for (int row = 0; row < PQntuples(plan); row++) {
        const char *line = PQgetvalue(plan, row, 0), *hit = strstr(line, "shared hit="),
                   *read = strstr(line, " read=");
        cr_expect_null(strstr(line, "Seq Scan on mails"), "%s", line);
        by_index |= strstr(line, "Index Scan using mails_due on mails") != NULL;
        if (found < 0 && strstr(line, "Buffers:")) /* the first is the whole statement's */
            found = (hit ? strtoll(hit + strlen("shared hit="), NULL, 10) : 0) +
                    (read ? strtoll(read + strlen(" read="), NULL, 10) : 0);
    }
    cr_expect(by_index);
    PQclear(plan);
    postgres_run(admin, "ROLLBACK");
    return found;
}

/* Also where the planner knows nothing of the table yet, and after it was told. */
Test(long_queue, a_claim_looks_at_few_pages)
{
    fill(20000, "a.example");
    cr_expect_leq(pages("{}", "0"), 60);
    postgres_run(admin, "ANALYZE mailer.mails");
    for (int i = 0; i < 8; i++) /* from the sixth on the plan may be one for any parameters */
        cr_expect_leq(pages("{}", "0"), 60);
}

/* What was delivered cannot be forgotten while a backup goes on; and a slow domain's mails stay where they
 * are. */
Test(long_queue, a_claim_walks_past_nothing_that_is_done_with)
{
    char from[32];
    fill(20000, "a.example");
    postgres_run(onlooker, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM mailer.mails");
    postgres_run(admin, "UPDATE mailer.mails SET state = 'delivered', delivered_at = now(), request = NULL"
                        " WHERE due_at < now() - interval '1000 s'");
    snprintf(from, sizeof(from), "%lld",
             (long long)postgres_number(
                 admin, "SELECT (extract(epoch FROM now() - interval '1002 s') * 1000000)::int8"));
    cr_expect_gt(pages("{}", "0"), 300, "or this test shows nothing");
    cr_expect_leq(pages("{}", from), 60);
    fill(20000, "slow.example");
    postgres_run(
        admin, "UPDATE mailer.mails SET due_at = due_at - interval '1 d' WHERE recipient = 'x@slow.example'");
    cr_expect_gt(pages("{slow.example}", "0"), 600, "or this test shows nothing");
    cr_expect_leq(pages("{slow.example}", from), 60);
    postgres_run(onlooker, "ROLLBACK");
}
