/* Statements while memory is refused: to us, and to libpq. */
#include "scarce.h"
#include "store_fixture.h"

static const char tables[] =
    "CREATE TABLE things(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)";
enum { INSERT, COUNT, STATEMENTS };
static const struct busi_pg_statement statements[STATEMENTS] = {
    [INSERT] = {"insert", BUSI_PG_GROUP, 1, "INSERT INTO things(name) VALUES ($1) RETURNING id"},
    [COUNT] = {"count", BUSI_PG_READ, 1, "SELECT count(*) FROM things WHERE name = $1"},
};
static struct fixture fixture = {.statements = statements, .n_statements = STATEMENTS};

static void set_up(void)
{
    open_schema(&fixture, tables);
}

static void tear_down(void)
{
    close_schema(&fixture);
}

TestSuite(pg_scarce, .init = set_up, .fini = tear_down, .timeout = 60);

static enum busi_code run1(struct fixture *f, size_t statement, const char *name, int64_t *number)
{
    struct busi_pg_result result;
    struct busi_str param = busi_str_of(name);
    enum busi_code code = busi_pg_run(f->pg, statement, &param, busi_now_ms() + 5000, &result);
    if (number)
        *number = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    return code;
}

static int64_t count(struct fixture *f, const char *name)
{
    int64_t n = -1;
    for (int64_t until_ms = busi_now_ms() + 5000; busi_now_ms() < until_ms; busi_fiber_sleep(20))
        if (run1(f, COUNT, name, &n) == BUSI_OK)
            return n;
    cr_assert_fail("the database is away");
    return -1;
}

static void comes_back(struct fixture *f)
{
    wait_all(f);
    scarce_begin(1, INT64_MAX);
    postgres_run(f->admin,
                 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                 " AND application_name LIKE 'store_test_%'");
    cr_assert(wait_ready(f, false, 2000));
    busi_fiber_sleep(500); /* it tries again meanwhile, in vain */
    cr_assert_gt(scarce_end(), 0);
    cr_assert(wait_ready(f, true, 5000), "connections that were lost without memory come back");
    cr_assert_eq(count(f, "nobody"), 0);
}

Test(pg_scarce, connections_lost_then_come_back)
{
    run_with_pg(&fixture, comes_back);
}

/* UNAVAILABLE and RESOURCE_EXHAUSTED say that it is not done: the caller may do it again. */
static void nothing_done_is_denied(struct fixture *f)
{
    int64_t refused = 1;
    wait_all(f);
    cr_assert_eq(count(f, "nobody"), 0); /* what is kept for the next is there from now on */
    for (int number = 1; refused > 0 && number < 100; number++) {
        char name[24];
        snprintf(name, sizeof name, "thing %d", number);
        scarce_begin(number, 1);
        enum busi_code code = run1(f, INSERT, name, NULL);
        refused = scarce_end();
        int64_t n = count(f, name);
        cr_expect(code == BUSI_OK        ? n == 1
                  : code == BUSI_UNKNOWN ? n <= 1
                                         : n == 0,
                  "allocation %d: %s, %d rows", number, busi_code_name((int)code), (int)n);
    }
    cr_assert_eq(refused, 0, "there is no end of it");
}

Test(pg_scarce, what_is_done_is_not_denied)
{
    run_with_pg(&fixture, nothing_done_is_denied);
}

/* ---- libpq's: it hands out an error of its own in the place of what came ---- */

static int forgets; /* results until one is lost so; 0: none */

PGresult *__real_PQgetResult(PGconn *conn);
PGresult *__wrap_PQgetResult(PGconn *conn);

PGresult *__wrap_PQgetResult(PGconn *conn)
{
    PGresult *result = __real_PQgetResult(conn);
    if (!result || forgets == 0 || PQresultStatus(result) == PGRES_PIPELINE_SYNC || --forgets > 0)
        return result;
    PQclear(result);
    return PQmakeEmptyPGresult(conn, PGRES_FATAL_ERROR);
}

struct inserter {
    struct fixture *f;
    struct busi_fiber *parent;
    enum busi_code code;
    int number;
    int *left;
};

static void insert(void *arg)
{
    struct inserter *inserter = arg;
    char name[24];
    snprintf(name, sizeof name, "grouped %d", inserter->number);
    inserter->code = run1(inserter->f, INSERT, name, NULL);
    if (--*inserter->left == 0)
        busi_fiber_wake(inserter->parent);
}

/* Three inserts that share a commit; the answer to the second is lost. None must be done again. */
static void a_group_is_done_once(struct fixture *f)
{
    struct inserter inserters[3];
    int left = 3;
    wait_all(f);
    forgets = 2;
    for (int i = 0; i < 3; i++) {
        inserters[i] = (struct inserter){f, busi_fiber_self(), BUSI_OK, i, &left};
        cr_assert(busi_fiber_start(f->fibers, insert, &inserters[i]));
    }
    while (left > 0)
        (void)busi_fiber_wait(INT64_MAX);
    cr_assert_eq(forgets, 0);
    for (int i = 0; i < 3; i++) {
        char name[24];
        snprintf(name, sizeof name, "grouped %d", i);
        cr_expect_eq(inserters[i].code, BUSI_UNKNOWN, "%d: %s", i, busi_code_name((int)inserters[i].code));
        cr_expect_leq(count(f, name), 1);
    }
    cr_assert_eq(run1(f, INSERT, "afterwards", NULL), BUSI_OK);
}

Test(pg_scarce, a_group_whose_answer_was_lost_is_not_done_again)
{
    run_with_pg(&fixture, a_group_is_done_once);
}
