/* D-04: each error of Postgres becomes one code of ours, by a fixed table, and leaves the connection usable.
 */
#include "store_fixture.h"

enum { READ, WRITE, GROUP, STATEMENTS };
static const struct busi_pg_statement statements[STATEMENTS] = {
    [READ] = {"raise_read", BUSI_PG_READ, 1, "SELECT raise_as($1)"},
    [WRITE] = {"raise_write", BUSI_PG_WRITE, 1, "SELECT raise_as($1)"},
    [GROUP] = {"raise_group", BUSI_PG_GROUP, 1, "INSERT INTO told(state) SELECT $1 FROM raise_as($1)"},
};
static struct fixture fixture = {.statements = statements, .n_statements = STATEMENTS};

static void set_up(void)
{
    open_schema(&fixture,
                "CREATE SEQUENCE runs; CREATE TABLE told(state text);"
                "CREATE FUNCTION raise_as(state text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM "
                "nextval('runs');"
                " IF state <> '' THEN RAISE EXCEPTION 'raw words of %', state USING ERRCODE = state, "
                "CONSTRAINT = 'told_once'; END IF;"
                " RETURN 1; END $$");
}

static void tear_down(void)
{
    close_schema(&fixture);
}

TestSuite(pg_sqlstates, .init = set_up, .fini = tear_down, .timeout = 60);

static const struct {
    const char *state;
    enum busi_code code;
} rows[] = {{"22021", BUSI_INVALID_ARGUMENT},
            {"22P02", BUSI_INVALID_ARGUMENT},
            {"22001", BUSI_INVALID_ARGUMENT},
            {"22003", BUSI_INVALID_ARGUMENT},
            {"22012", BUSI_INVALID_ARGUMENT},
            {"22025", BUSI_INVALID_ARGUMENT},
            {"22P05", BUSI_INVALID_ARGUMENT},
            {"23505", BUSI_ALREADY_EXISTS},
            {"23503", BUSI_FAILED_PRECONDITION},
            {"23514", BUSI_FAILED_PRECONDITION},
            {"23502", BUSI_INTERNAL},
            {"23P01", BUSI_INTERNAL},
            {"40001", BUSI_ABORTED},
            {"40P01", BUSI_ABORTED},
            {"40002", BUSI_INTERNAL},
            {"53000", BUSI_UNAVAILABLE},
            {"53100", BUSI_UNAVAILABLE},
            {"53200", BUSI_UNAVAILABLE},
            {"53300", BUSI_UNAVAILABLE},
            {"53400", BUSI_UNAVAILABLE},
            {"57014", BUSI_DEADLINE_EXCEEDED},
            {"55P03", BUSI_DEADLINE_EXCEEDED},
            {"57P01", BUSI_UNAVAILABLE},
            {"57P02", BUSI_UNAVAILABLE},
            {"57P03", BUSI_UNAVAILABLE},
            {"57P05", BUSI_UNAVAILABLE},
            {"08006", BUSI_UNAVAILABLE},
            {"08000", BUSI_UNAVAILABLE},
            {"08P01", BUSI_UNAVAILABLE},
            {"25006", BUSI_UNAVAILABLE},
            {"58000", BUSI_UNAVAILABLE},
            {"58030", BUSI_UNAVAILABLE},
            {"42601", BUSI_INTERNAL},
            {"42501", BUSI_INTERNAL},
            {"42P01", BUSI_INTERNAL},
            {"P0001", BUSI_INTERNAL},
            {"54001", BUSI_INTERNAL},
            {"XX000", BUSI_INTERNAL},
            {"XX001", BUSI_INTERNAL},
            {"0A000", BUSI_INTERNAL},
            {"26000", BUSI_INTERNAL},
            {"99999", BUSI_INTERNAL}};

static enum busi_code run1(struct fixture *f, size_t statement, const char *param,
                           struct busi_pg_result *result)
{
    return busi_pg_run(f->pg, statement, &(struct busi_str){param, strlen(param)}, busi_now_ms() + 5000,
                       result);
}

static bool may_be_repeated(const char *state)
{
    return strcmp(state, "40001") == 0 || strcmp(state, "40P01") == 0;
}

static void expect_row(struct fixture *f, size_t statement, size_t i)
{
    struct busi_pg_result result;
    int64_t before = postgres_number(f->admin, "SELECT nextval('runs')");
    enum busi_code code = run1(f, statement, rows[i].state, &result);
    cr_expect_eq(code, rows[i].code, "%s as %s is %s", rows[i].state, statements[statement].name,
                 busi_code_name(code));
    cr_expect_str_eq(result.sqlstate, rows[i].state);
    cr_expect_str_eq(result.constraint, "told_once");
    cr_expect_eq(result.rows, 0);
    busi_pg_clear(&result);
    int64_t runs = postgres_number(f->admin, "SELECT nextval('runs')") - before - 1;
    cr_expect(runs == 1 || (runs <= 6 && (may_be_repeated(rows[i].state))), "%s ran %d times", rows[i].state,
              (int)runs);
    cr_assert(wait_ready(f, true, 5000), "after %s", rows[i].state);
    code = run1(f, statement, "", &result);
    cr_expect_eq(code, BUSI_OK, "the next after %s is %s", rows[i].state, busi_code_name(code));
    busi_pg_clear(&result);
}

static void each_has_its_code(struct fixture *f)
{
    wait_all(f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t statement = READ; statement <= GROUP; statement++)
            expect_row(f, statement, i);
    cr_expect_eq(postgres_number(f->admin, "SELECT count(*) FROM told WHERE state <> ''"), 0);
}

Test(pg_sqlstates, each_has_its_code) /* D-04 */
{
    run_with_pg(&fixture, each_has_its_code);
}
