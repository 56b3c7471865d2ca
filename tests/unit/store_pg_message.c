/* Rows to messages: every kind of column, absent ones, ones that do not fit. */
#include "store_fixture.h"
#include "wire/desc.h"

struct record {
    char unused_;
    int64_t number;
    struct busi_str text, date;
    bool flag;
    int64_t at;
    struct busi_str bytes;
};
static const struct busi_field fields[] = {
    {"number", 1, BUSI_INT, BUSI_REQUIRED, 0, offsetof(struct record, number), NULL},
    {"text", 2, BUSI_TEXT, BUSI_REQUIRED, 100, offsetof(struct record, text), NULL},
    {"date", 3, BUSI_TEXT, BUSI_OPTIONAL, 100, offsetof(struct record, date), NULL},
    {"flag", 4, BUSI_BOOL, BUSI_OPTIONAL, 0, offsetof(struct record, flag), NULL},
    {"at", 5, BUSI_TIME, BUSI_OPTIONAL, 0, offsetof(struct record, at), NULL},
    {"bytes", 6, BUSI_BYTES, BUSI_OPTIONAL, 100, offsetof(struct record, bytes), NULL},
};
static const struct busi_desc desc = {"record", sizeof(struct record), fields, 6};
/* the same without its first field */
static const struct busi_desc shorter = {"shorter", sizeof(struct record), fields + 1, 5};

enum { WHOLE, NULLS, SMALL, NO_TEXT, WRONG_TYPE, STAMP, STATEMENTS };
static const struct busi_pg_statement statements[STATEMENTS] = {
    [WHOLE] =
        {"whole", BUSI_PG_READ, 0,
         "SELECT 'other' AS unknown, true AS flag, 'a'::text AS text, (-5)::bigint AS number,"
         " '2018-11-11 07:00:53.2+00'::timestamptz AS date, '1969-12-31 23:59:59.999999+00'::timestamptz AS "
         "at,"
         " '\\x00ff'::bytea AS bytes UNION ALL SELECT 'x', false, 'second', 7, '0001-01-01 00:00:00+00',"
         " '2000-02-29 12:00:00+00', ''"},
    [NULLS] = {"nulls", BUSI_PG_READ, 1,
               "SELECT 1::bigint AS number, $1::text AS text, NULL::timestamptz AS date, NULL::bool AS flag"},
    [SMALL] = {"small", BUSI_PG_READ, 0, "SELECT (-2)::smallint AS number, 'b'::varchar AS text"},
    [NO_TEXT] = {"no_text", BUSI_PG_READ, 0, "SELECT 1::bigint AS number"},
    [WRONG_TYPE] = {"wrong_type", BUSI_PG_READ, 0, "SELECT 'one'::text AS number, 'b'::text AS text"},
    [STAMP] = {"stamp", BUSI_PG_READ, 1,
               "SELECT 1 AS number, to_char($1::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') "
               "AS text,"
               " $1::timestamptz AS date"},
};
static struct fixture fixture = {.statements = statements, .n_statements = STATEMENTS};
static struct busi_arena arena;

static void set_up(void)
{
    open_schema(&fixture, "SELECT 1");
    busi_arena_init(&arena, 1 << 20);
}

static void tear_down(void)
{
    busi_arena_fini(&arena);
    close_schema(&fixture);
}

TestSuite(pg_message, .init = set_up, .fini = tear_down, .timeout = 30);

static struct busi_pg_result ask(struct fixture *f, size_t statement, const char *param)
{
    struct busi_pg_result result;
    struct busi_str value = busi_str_of(param);
    cr_assert_eq(busi_pg_run(f->pg, statement, &value, INT64_MAX, &result), BUSI_OK);
    return result;
}

#define EXPECT_TEXT(actual, expected)                                                                        \
    cr_assert(busi_str_eq((actual), (expected)), "%.*s is not %.*s", BUSI_ARG(actual), BUSI_ARG(expected))

static void every_kind(struct fixture *f)
{
    struct record record = {0};
    cr_assert(wait_ready(f, true, 5000));
    struct busi_pg_result result = ask(f, WHOLE, NULL);
    cr_assert(busi_pg_message(&result, 0, &desc, &record, &arena));
    cr_assert_eq(record.number, -5);
    EXPECT_TEXT(record.text, BUSI_STR("a"));
    EXPECT_TEXT(record.date, BUSI_STR("2018-11-11 07:00:53.200000"));
    cr_assert(record.flag);
    cr_assert_eq(record.at, -1);
    EXPECT_TEXT(record.bytes, BUSI_STR("\x00\xff"));
    cr_assert(busi_pg_message(&result, 1, &desc, &record, &arena));
    cr_assert_eq(record.number, 7);
    EXPECT_TEXT(record.date, BUSI_STR("0001-01-01 00:00:00.000000"));
    cr_assert_not(record.flag);
    cr_assert_eq(record.at, 951825600000000);
    cr_assert(record.bytes.ptr && record.bytes.len == 0, "empty is not absent");
    cr_assert_not(busi_pg_message(&result, 2, &desc, &record, &arena), "no such row");
    record.number = 0;
    cr_assert(busi_pg_message(&result, 0, &shorter, &record, &arena), "another message of the same rows");
    cr_assert_eq(record.number, 0);
    cr_assert_eq(busi_pg_int(&result, 0, 1), 1, "a bool");
    cr_assert_eq(busi_pg_int(&result, 0, 5), -1, "a timestamp");
    cr_assert_null(busi_pg_value(&result, 0, 3).ptr, "an int is no text");
    busi_pg_clear(&result);
    result = ask(f, SMALL, NULL);
    cr_assert(busi_pg_message(&result, 0, &desc, &record, &arena));
    cr_assert_eq(record.number, -2);
    busi_pg_clear(&result);
}

Test(pg_message, every_kind)
{
    run_with_pg(&fixture, every_kind);
}

static void what_does_not_fit(struct fixture *f)
{
    struct record record = {0};
    cr_assert(wait_ready(f, true, 5000));
    struct busi_pg_result result = ask(f, NULLS, "there");
    cr_assert(busi_pg_message(&result, 0, &desc, &record, &arena));
    cr_assert_null(record.date.ptr);
    busi_pg_clear(&result);
    result = ask(f, NULLS, NULL);
    cr_assert_not(busi_pg_message(&result, 0, &desc, &record, &arena), "NULL in a required field");
    busi_pg_clear(&result);
    result = ask(f, NO_TEXT, NULL);
    cr_assert_not(busi_pg_message(&result, 0, &desc, &record, &arena), "a required field without a column");
    busi_pg_clear(&result);
    result = ask(f, WRONG_TYPE, NULL);
    cr_assert_not(busi_pg_message(&result, 0, &desc, &record, &arena));
    busi_pg_clear(&result);
    cr_assert_not(busi_pg_message(&result, 0, &desc, &record, &arena), "cleared");
    struct busi_arena small;
    busi_arena_init(&small, 4);
    result = ask(f, WHOLE, NULL);
    cr_assert_not(busi_pg_message(&result, 0, &desc, &record, &small), "no room");
    busi_pg_clear(&result);
    busi_arena_fini(&small);
}

Test(pg_message, what_does_not_fit)
{
    run_with_pg(&fixture, what_does_not_fit);
}

static void stamps_are_as_postgres_writes_them(struct fixture *f)
{
    static const char *const stamps[] = {
        "0001-01-01 00:00:00+00",        "0004-02-29 01:02:03.000004+00", "1582-10-15 00:00:00+00",
        "1899-12-31 23:59:59.999999+00", "1900-02-28 23:59:59+00",        "1900-03-01 00:00:00+00",
        "1970-01-01 00:00:00+00",        "1999-12-31 23:59:59.5+00",      "2000-02-29 00:00:00.000001+00",
        "2024-12-31 23:59:59+00",        "2100-03-01 00:00:00+00",        "9999-12-31 23:59:59.999999+00"};
    struct record record = {0};
    cr_assert(wait_ready(f, true, 5000));
    for (size_t i = 0; i < sizeof stamps / sizeof stamps[0]; i++) {
        struct busi_pg_result result = ask(f, STAMP, stamps[i]);
        cr_assert(busi_pg_message(&result, 0, &desc, &record, &arena), "%s", stamps[i]);
        EXPECT_TEXT(record.date, record.text);
        busi_pg_clear(&result);
    }
    static const char *const odd[] = {"infinity", "-infinity", "10000-01-01 00:00:00+00",
                                      "0001-12-31 23:59:59+00 BC"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct busi_pg_result result = ask(f, STAMP, odd[i]);
        cr_assert_not(busi_pg_message(&result, 0, &shorter, &record, &arena), "%s", odd[i]);
        busi_pg_clear(&result);
    }
}

Test(pg_message, stamps_are_as_postgres_writes_them)
{
    run_with_pg(&fixture, stamps_are_as_postgres_writes_them);
}

static void is_not_ready(struct fixture *f)
{
    cr_assert_not(wait_ready(f, true, 400));
}

Test(pg_message, refuses_a_statement_with_another_type)
{
    static const struct busi_pg_statement wrong = {"wrong", BUSI_PG_READ, 0, "SELECT 1.5::numeric"};
    fixture.statements = &wrong;
    fixture.n_statements = 1;
    run_with_pg(&fixture, is_not_ready);
}

Test(pg_message, refuses_a_statement_with_other_parameters)
{
    static const struct busi_pg_statement wrong = {"wrong", BUSI_PG_READ, 2, "SELECT $1::text"};
    fixture.statements = &wrong;
    fixture.n_statements = 1;
    run_with_pg(&fixture, is_not_ready);
}
