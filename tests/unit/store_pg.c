#include "store_fixture.h"

static const char tables[] = //
    "CREATE TABLE things(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,"
    " CONSTRAINT things_name_key UNIQUE (name), CONSTRAINT things_name_short CHECK (length(name) < 20));"
    "CREATE TABLE late(name text, CONSTRAINT late_key UNIQUE (name) DEFERRABLE INITIALLY DEFERRED);"
    "CREATE SEQUENCE runs;"
    "CREATE FUNCTION conflict(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE run bigint := "
    "nextval('runs');"
    " BEGIN IF run < n THEN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END IF; RETURN run; END $$;";

enum {
    FIND,
    COUNT,
    SLEEP,
    RUN_NUMBER,
    PID,
    INSERT,
    INSERT_ALONE,
    SLEEPY_WRITE,
    CONFLICT,
    RENAME,
    LATE,
    KEEPALIVE,
    STATEMENTS
};
static const struct busi_pg_statement statements[STATEMENTS] = {
    [FIND] = {"find", BUSI_PG_READ, 1, "SELECT id, name FROM things WHERE name = $1"},
    [COUNT] = {"count", BUSI_PG_READ, 0, "SELECT count(*) FROM things"},
    [SLEEP] = {"sleep", BUSI_PG_READ, 1, "SELECT pg_sleep($1::float8) IS NULL, pg_backend_pid()"},
    [RUN_NUMBER] = {"run_number", BUSI_PG_SHARED, 1, "SELECT nextval('runs'), $1::text"},
    [PID] = {"pid", BUSI_PG_READ, 0, "SELECT pg_backend_pid()"},
    [INSERT] = {"insert", BUSI_PG_GROUP, 1, "INSERT INTO things(name) VALUES ($1) RETURNING id"},
    [INSERT_ALONE] = {"insert_alone", BUSI_PG_WRITE, 1, "INSERT INTO things(name) VALUES ($1)"},
    [SLEEPY_WRITE] = {"sleepy_write", BUSI_PG_WRITE, 1,
                      "INSERT INTO things(name) SELECT $1 FROM pg_sleep(0.3)"},
    [CONFLICT] = {"conflict", BUSI_PG_WRITE, 1, "SELECT conflict($1)"},
    [RENAME] = {"rename", BUSI_PG_WRITE, 2, "UPDATE things SET name = $2 WHERE name = $1"},
    [LATE] = {"late", BUSI_PG_GROUP, 1, "INSERT INTO late(name) VALUES ($1)"},
    [KEEPALIVE] = {"keepalive", BUSI_PG_READ, 0,
                   "SELECT setting::bigint FROM pg_settings WHERE name IN ('tcp_keepalives_idle',"
                   " 'tcp_keepalives_interval', 'tcp_keepalives_count', 'tcp_user_timeout') ORDER BY name"},
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

TestSuite(pg, .init = set_up, .fini = tear_down, .timeout = 30);

static enum busi_code run1(struct fixture *f, size_t statement, const char *param,
                           struct busi_pg_result *result)
{
    return busi_pg_run(f->pg, statement, &(struct busi_str){param, param ? strlen(param) : 0},
                       busi_now_ms() + 5000, result);
}

/* For when only the code matters. */
static enum busi_code code1(struct fixture *f, size_t statement, const char *param)
{
    struct busi_pg_result result;
    enum busi_code code = run1(f, statement, param, &result);
    busi_pg_clear(&result);
    return code;
}

static int64_t number1(struct fixture *f, size_t statement, const char *param)
{
    struct busi_pg_result result;
    cr_assert_eq(run1(f, statement, param, &result), BUSI_OK);
    int64_t number = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    return number;
}

static void reads_and_writes(struct fixture *f)
{
    struct busi_pg_result result;
    cr_assert_eq(code1(f, INSERT, "too early"), BUSI_UNAVAILABLE);
    cr_assert(wait_ready(f, true, 5000));
    cr_assert_eq(run1(f, INSERT, "a", &result), BUSI_OK);
    cr_assert_eq(result.affected, 1);
    int64_t id = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    cr_assert_eq(run1(f, FIND, "a", &result), BUSI_OK);
    cr_assert_eq(result.rows, 1);
    cr_assert_eq(result.columns, 2);
    cr_assert_eq(busi_pg_int(&result, 0, 0), id);
    cr_assert(busi_str_eq(busi_pg_value(&result, 0, 1), BUSI_STR("a")));
    cr_assert_null(busi_pg_value(&result, 1, 1).ptr, "no such row");
    cr_assert_null(busi_pg_value(&result, 0, 2).ptr, "no such column");
    busi_pg_clear(&result);
    cr_assert_eq(run1(f, FIND, NULL, &result), BUSI_OK);
    cr_assert_eq(result.rows, 0, "NULL equals nothing");
    busi_pg_clear(&result);
}

Test(pg, reads_and_writes)
{
    run_with_pg(&fixture, reads_and_writes);
}

static void says_what_failed(struct fixture *f)
{
    struct busi_pg_result result;
    cr_assert(wait_ready(f, true, 5000));
    cr_assert_eq(code1(f, INSERT_ALONE, "a"), BUSI_OK);
    cr_assert_eq(run1(f, INSERT_ALONE, "a", &result), BUSI_ALREADY_EXISTS);
    cr_assert_str_eq(result.sqlstate, "23505");
    cr_assert_str_eq(result.constraint, "things_name_key");
    busi_pg_clear(&result);
    cr_assert_eq(run1(f, INSERT_ALONE, "longer than twenty letters", &result), BUSI_FAILED_PRECONDITION);
    cr_assert_str_eq(result.constraint, "things_name_short");
    busi_pg_clear(&result);
    cr_assert_eq(code1(f, CONFLICT, "no number"), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(code1(f, INSERT_ALONE, "bad \xff utf8"), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(busi_pg_run(f->pg, INSERT_ALONE, &BUSI_STR("nul \0 inside"), INT64_MAX, &result),
                 BUSI_INVALID_ARGUMENT);
    cr_assert_eq(busi_pg_run(f->pg, COUNT, NULL, busi_now_ms() - 1, &result), BUSI_DEADLINE_EXCEEDED);
    cr_assert_eq(code1(f, INSERT_ALONE, NULL), BUSI_INTERNAL, "NOT NULL is for the program to keep");
    cr_assert_eq(code1(f, FIND, "a"), BUSI_OK);
}

Test(pg, says_what_failed) /* D-04 */
{
    run_with_pg(&fixture, says_what_failed);
}

/* Many fibers that ask in one turn. */
struct asker {
    struct fixture *f;
    size_t statement;
    char param[24];
    enum busi_code code;
    int64_t number;
    size_t *left;
    struct busi_fiber *parent;
};

static void ask(void *arg)
{
    struct asker *asker = arg;
    struct busi_pg_result result;
    asker->code = run1(asker->f, asker->statement, asker->param, &result);
    asker->number = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    if (--*asker->left == 0)
        busi_fiber_wake(asker->parent);
}

static void ask_together(struct fixture *f, size_t statement, struct asker *askers, size_t n)
{
    size_t left = n;
    for (size_t i = 0; i < n; i++) {
        askers[i].f = f;
        askers[i].statement = statement;
        askers[i].left = &left;
        askers[i].parent = busi_fiber_self();
        cr_assert(busi_fiber_start(f->fibers, ask, &askers[i]));
    }
    while (left > 0)
        busi_fiber_wait(INT64_MAX);
}

static void a_group_shares_one_transaction(struct fixture *f)
{
    static struct asker askers[20];
    wait_all(f);
    for (size_t i = 0; i < 20; i++)
        snprintf(askers[i].param, sizeof askers[i].param, "thing %zu", i);
    ask_together(f, INSERT, askers, 20);
    for (size_t i = 0; i < 20; i++)
        cr_assert_eq(askers[i].code, BUSI_OK);
    cr_assert_eq(postgres_number(f->admin, "SELECT count(DISTINCT xmin::text) FROM things"), 1);
    cr_assert_eq(postgres_number(f->admin, "SELECT count(*) FROM things"), 20);
}

Test(pg, a_group_shares_one_transaction)
{
    run_with_pg(&fixture, a_group_shares_one_transaction);
}

static void one_bad_insert_fails_alone(struct fixture *f)
{
    static struct asker askers[20];
    wait_all(f);
    for (size_t i = 0; i < 20; i++)
        snprintf(askers[i].param, sizeof askers[i].param, i == 7 ? "much too long a name..." : "thing %zu",
                 i);
    ask_together(f, INSERT, askers, 20);
    for (size_t i = 0; i < 20; i++)
        cr_assert_eq(askers[i].code, i == 7 ? BUSI_FAILED_PRECONDITION : BUSI_OK, "%zu", i);
    cr_assert_eq(postgres_number(f->admin, "SELECT count(*) FROM things"), 19);
}

Test(pg, one_bad_insert_fails_alone)
{
    run_with_pg(&fixture, one_bad_insert_fails_alone);
}

static void an_error_of_the_commit_counts(struct fixture *f)
{
    static struct asker askers[5];
    cr_assert(wait_ready(f, true, 5000));
    for (size_t i = 0; i < 5; i++)
        snprintf(askers[i].param, sizeof askers[i].param, i < 2 ? "same" : "other %zu", i);
    ask_together(f, LATE, askers, 5);
    cr_assert_neq(askers[0].code, askers[1].code);
    cr_assert(askers[0].code == BUSI_ALREADY_EXISTS || askers[1].code == BUSI_ALREADY_EXISTS);
    for (size_t i = 2; i < 5; i++)
        cr_assert_eq(askers[i].code, BUSI_OK);
    cr_assert_eq(code1(f, LATE, "same"), BUSI_ALREADY_EXISTS);
    cr_assert_eq(code1(f, LATE, "another"), BUSI_OK);
    cr_assert_eq(postgres_number(f->admin, "SELECT count(*) FROM late"), 5);
}

Test(pg, an_error_of_the_commit_counts)
{
    run_with_pg(&fixture, an_error_of_the_commit_counts);
}

static void equal_questions_share_an_answer(struct fixture *f)
{
    static struct asker askers[12];
    cr_assert(wait_ready(f, true, 5000));
    for (size_t i = 0; i < 12; i++)
        snprintf(askers[i].param, sizeof askers[i].param, i < 10 ? "same" : "%zu", i);
    ask_together(f, RUN_NUMBER, askers, 12);
    for (size_t i = 0; i < 12; i++)
        cr_assert_eq(askers[i].code, BUSI_OK);
    for (size_t i = 1; i < 10; i++)
        cr_assert_eq(askers[i].number, askers[0].number);
    cr_assert_neq(askers[10].number, askers[0].number);
    cr_assert_neq(askers[10].number, askers[11].number);
    cr_assert_eq(number1(f, RUN_NUMBER, "same"), 4, "who asks later gets a later answer");
}

Test(pg, equal_questions_share_an_answer)
{
    run_with_pg(&fixture, equal_questions_share_an_answer);
}

static void a_deadline_frees_the_fiber(struct fixture *f)
{
    struct busi_pg_result result;
    wait_all(f);
    int64_t begin_ms = busi_now_ms();
    cr_assert_eq(busi_pg_run(f->pg, SLEEP, &BUSI_STR("0.3"), begin_ms + 50, &result), BUSI_DEADLINE_EXCEEDED);
    cr_assert_lt(busi_now_ms() - begin_ms, 150);
    cr_assert_eq(number1(f, COUNT, NULL), 0, "the late answer is swallowed, not given to the next");
    cr_assert_geq(busi_now_ms() - begin_ms, 250, "in order behind the slow one");
}

Test(pg, a_deadline_frees_the_fiber)
{
    run_with_pg(&fixture, a_deadline_frees_the_fiber);
}

static void nap(void *arg)
{
    cr_assert_eq(code1(arg, SLEEP, "0.6"), BUSI_OK);
}

static void a_slow_read_holds_up_few(struct fixture *f)
{
    wait_all(f);
    cr_assert(busi_fiber_start(f->fibers, nap, f));
    busi_fiber_sleep(200);
    int64_t begin_ms = busi_now_ms();
    cr_assert_eq(code1(f, COUNT, NULL), BUSI_OK);
    cr_assert_lt(busi_now_ms() - begin_ms, 150, "another connection took it");
    busi_fiber_sleep(500);
}

Test(pg, a_slow_read_holds_up_few)
{
    run_with_pg(&fixture, a_slow_read_holds_up_few);
}

static void the_server_stops_a_slow_statement(struct fixture *f)
{
    struct busi_pg_result result;
    wait_all(f);
    int64_t pid = number1(f, PID, NULL);
    cr_assert_eq(busi_pg_run(f->pg, SLEEP, &BUSI_STR("5"), INT64_MAX, &result), BUSI_DEADLINE_EXCEEDED);
    busi_fiber_sleep(50);
    cr_assert_eq(number1(f, PID, NULL), pid, "the connection lives on");
}

Test(pg, the_server_stops_a_slow_statement)
{
    fixture.statement_timeout_ms = 150;
    run_with_pg(&fixture, the_server_stops_a_slow_statement);
}

static void a_locked_row_holds_up_nobody_else(struct fixture *f)
{
    struct busi_pg_result result;
    wait_all(f);
    cr_assert_eq(code1(f, INSERT, "a"), BUSI_OK);
    postgres_run(f->admin, "BEGIN; SELECT 1 FROM things WHERE name = 'a' FOR UPDATE");
    const struct busi_str names[] = {BUSI_STR("a"), BUSI_STR("b")};
    int64_t begin_ms = busi_now_ms();
    cr_assert_eq(busi_pg_run(f->pg, RENAME, names, INT64_MAX, &result), BUSI_DEADLINE_EXCEEDED);
    cr_assert_str_eq(result.sqlstate, "55P03");
    cr_assert_lt(busi_now_ms() - begin_ms, 390);
    cr_assert_eq(code1(f, INSERT_ALONE, "c"), BUSI_OK);
    postgres_run(f->admin, "ROLLBACK");
    cr_assert_eq(busi_pg_run(f->pg, RENAME, names, INT64_MAX, &result), BUSI_OK);
    cr_assert_eq(result.affected, 1);
    busi_pg_clear(&result);
}

Test(pg, a_locked_row_holds_up_nobody_else)
{
    fixture.statement_timeout_ms = 400;
    run_with_pg(&fixture, a_locked_row_holds_up_nobody_else);
}

static void a_conflict_is_tried_again(struct fixture *f)
{
    struct busi_pg_result result;
    cr_assert(wait_ready(f, true, 5000));
    cr_assert_eq(number1(f, CONFLICT, "3"), 3, "two conflicts, then the answer");
    cr_assert_eq(run1(f, CONFLICT, "1000", &result), BUSI_ABORTED, "not for ever");
    busi_pg_clear(&result);
    cr_assert_eq(postgres_number(f->admin, "SELECT nextval('runs')"), 3 + 4 + 1);
}

Test(pg, a_conflict_is_tried_again)
{
    run_with_pg(&fixture, a_conflict_is_tried_again);
}

static void flights_are_bounded(struct fixture *f)
{
    static struct asker askers[1100];
    cr_assert(wait_ready(f, true, 5000));
    for (size_t i = 0; i < 1100; i++)
        snprintf(askers[i].param, sizeof askers[i].param, "%zu", i);
    ask_together(f, FIND, askers, 1100);
    size_t refused = 0;
    for (size_t i = 0; i < 1100; i++)
        refused += askers[i].code == BUSI_RESOURCE_EXHAUSTED;
    cr_assert_eq(refused, 1100 - 1024);
    ask_together(f, FIND, askers, 1000);
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(askers[i].code, BUSI_OK);
}

Test(pg, flights_are_bounded)
{
    run_with_pg(&fixture, flights_are_bounded);
}

static void terminate_all(struct fixture *f)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '%s'",
             f->schema);
    cr_assert_gt(postgres_number(f->admin, sql), 0);
}

static void is_forgotten_when_its_host_is_cut_off(struct fixture *f)
{
    struct busi_pg_result result;
    cr_assert(wait_ready(f, true, 5000));
    cr_assert_eq(busi_pg_run(f->pg, KEEPALIVE, NULL, busi_now_ms() + 5000, &result), BUSI_OK);
    cr_assert_eq(result.rows, 4);
    int64_t count = busi_pg_int(&result, 0, 0), idle_s = busi_pg_int(&result, 1, 0),
            interval_s = busi_pg_int(&result, 2, 0), unacknowledged_ms = busi_pg_int(&result, 3, 0);
    cr_expect(idle_s > 0 && idle_s + count * interval_s <= 30, "not two hours, as Linux has it");
    cr_expect(unacknowledged_ms > 0 && unacknowledged_ms <= 30000);
    busi_pg_clear(&result);
}

Test(pg, is_forgotten_when_its_host_is_cut_off)
{
    run_with_pg(&fixture, is_forgotten_when_its_host_is_cut_off);
}

static void a_lost_connection_comes_back(struct fixture *f)
{
    wait_all(f);
    terminate_all(f);
    cr_assert(wait_ready(f, false, 2000));
    cr_assert_eq(code1(f, INSERT, "a"), BUSI_UNAVAILABLE);
    cr_assert(wait_ready(f, true, 3000));
    cr_assert_eq(code1(f, INSERT, "a"), BUSI_OK);
}

Test(pg, a_lost_connection_comes_back)
{
    run_with_pg(&fixture, a_lost_connection_comes_back);
}

static void terminate_when_busy(void *arg)
{
    struct fixture *f = arg;
    char sql[200];
    busi_fiber_sleep(100);
    snprintf(sql, sizeof sql,
             "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
             " WHERE application_name = '%s' AND state = 'active'",
             f->schema);
    cr_assert_eq(postgres_number(f->admin, sql), 1);
}

static void a_lost_read_is_sent_again(struct fixture *f)
{
    wait_all(f);
    cr_assert(busi_fiber_start(f->fibers, terminate_when_busy, f));
    cr_assert_eq(code1(f, SLEEP, "0.3"), BUSI_OK);
}

Test(pg, a_lost_read_is_sent_again)
{
    run_with_pg(&fixture, a_lost_read_is_sent_again);
}

static void a_lost_write_is_unknown(struct fixture *f)
{
    wait_all(f);
    cr_assert(busi_fiber_start(f->fibers, terminate_when_busy, f));
    cr_assert_eq(code1(f, SLEEPY_WRITE, "a"), BUSI_UNKNOWN);
    cr_assert_eq(number1(f, COUNT, NULL), 0, "reads go on, and nothing was repeated");
    cr_assert_eq(code1(f, INSERT, "b"), BUSI_OK);
}

Test(pg, a_lost_write_is_unknown)
{
    run_with_pg(&fixture, a_lost_write_is_unknown);
}

static void waits_for_its_tables(struct fixture *f)
{
    postgres_run(f->admin, "ALTER TABLE late RENAME TO hidden");
    busi_fiber_sleep(500);
    cr_assert_not(busi_pg_ready(f->pg), "a statement that cannot be prepared");
    postgres_run(f->admin, "ALTER TABLE hidden RENAME TO late");
    cr_assert(wait_ready(f, true, 4000));
}

Test(pg, waits_for_its_tables)
{
    run_with_pg(&fixture, waits_for_its_tables);
}

static void remakes_plans_that_no_longer_fit(struct fixture *f)
{
    wait_all(f);
    cr_assert_eq(code1(f, FIND, "a"), BUSI_OK);
    postgres_run(f->admin, "ALTER TABLE things ALTER id TYPE int");
    enum busi_code first = code1(f, FIND, "a");
    cr_assert(first == BUSI_INTERNAL || first == BUSI_OK, "%s", busi_code_name(first));
    busi_fiber_sleep(700);
    cr_assert_eq(code1(f, FIND, "a"), BUSI_OK);
}

Test(pg, remakes_plans_that_no_longer_fit)
{
    run_with_pg(&fixture, remakes_plans_that_no_longer_fit);
}

static void resolves_host_names(struct fixture *f)
{
    cr_assert(wait_ready(f, true, 5000));
    cr_assert_eq(code1(f, FIND, "a"), BUSI_OK);
}

Test(pg, resolves_host_names)
{
    PGconn *admin = fixture.admin;
    snprintf(fixture.conninfo, sizeof fixture.conninfo,
             "host=localhost,localhost port=%s user=%s password='%s' dbname=%s options='-c search_path=%s'",
             PQport(admin), PQuser(admin), PQpass(admin), PQdb(admin), fixture.schema);
    run_with_pg(&fixture, resolves_host_names);
}

static void is_unavailable_without_a_server(struct fixture *f)
{
    cr_assert_not(wait_ready(f, true, 400));
    cr_assert_eq(code1(f, FIND, "a"), BUSI_UNAVAILABLE);
}

Test(pg, is_unavailable_without_a_server)
{
    snprintf(fixture.conninfo, sizeof fixture.conninfo, "host=127.0.0.1 port=1 dbname=nothing");
    run_with_pg(&fixture, is_unavailable_without_a_server);
}

Test(pg, is_unavailable_without_a_host)
{
    snprintf(fixture.conninfo, sizeof fixture.conninfo, "host=no-such-host.invalid dbname=nothing");
    run_with_pg(&fixture, is_unavailable_without_a_server);
}

Test(pg, refuses_a_malformed_conninfo)
{
    struct busi_loop *loop = busi_loop_new();
    cr_assert_null(busi_pg_new(loop, &(struct busi_pg_options){.conninfo = BUSI_STR("colour=blue"),
                                                               .application = "test",
                                                               .connections = 2,
                                                               .statement_timeout_ms = 100}));
    busi_loop_free(&loop);
}
