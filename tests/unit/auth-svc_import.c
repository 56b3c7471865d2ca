#include "import/csv.h"
#include "import/reader.h"
#include "import/row.h"
#include "import/timestamp.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#define HASH "$2b$04$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static struct busi_call call;

static void set_up(void)
{
    busi_call_init(&call, 16 << 20);
}

static void tear_down(void)
{
    busi_call_fini(&call);
}

TestSuite(import, .init = set_up, .fini = tear_down, .timeout = 20);

/* ---- rows of a file ---- */

/* What a file reads as: "line:text" or "line!reason" of each row, with | between. */
static const char *rows_of(struct busi_str file, bool csv)
{
    struct auth_import_reader reader;
    struct auth_import_record record;
    struct busi_buf out;
    FILE *temporary = tmpfile();
    cr_assert(temporary);
    cr_assert_eq(write(fileno(temporary), file.ptr, file.len), (ssize_t)file.len);
    cr_assert_eq(lseek(fileno(temporary), 0, SEEK_SET), 0);
    cr_assert(auth_import_reader_init(&reader, fileno(temporary), csv));
    busi_buf_init(&out, 1 << 20);
    while (auth_import_reader_next(&reader, &record))
        busi_buf_printf(&out, "%s%lld%c%.*s", out.len ? "|" : "", (long long)record.line,
                        record.refused ? '!' : ':',
                        record.refused ? (int)strlen(record.refused) : (int)record.text.len,
                        record.refused ? record.refused : record.text.ptr);
    cr_assert_null(reader.fault);
    const char *text = busi_arena_dup(&call.arena, (struct busi_str){out.ptr ? out.ptr : "", out.len}).ptr;
    busi_buf_fini(&out);
    auth_import_reader_fini(&reader);
    fclose(temporary);
    return text;
}

static const char *lines_of(const char *file)
{
    return rows_of(busi_str_of(file), false);
}

static const char *records_of(const char *file)
{
    return rows_of(busi_str_of(file), true);
}

Test(import, lines_end_in_any_of_the_usual_ways)
{
    cr_assert_str_eq(lines_of(""), "");
    cr_assert_str_eq(lines_of("\n\r\n\n"), "");
    cr_assert_str_eq(lines_of("a"), "1:a");
    cr_assert_str_eq(lines_of("a\nb\n"), "1:a|2:b");
    cr_assert_str_eq(lines_of("a\r\n\r\nb\r\n"), "1:a|3:b");
    cr_assert_str_eq(lines_of("\xEF\xBB\xBF"
                              "a\nb"),
                     "1:a|2:b");
    cr_assert_str_eq(lines_of("\xEF\xBB\xBF"), "");
}

Test(import, what_is_no_text_is_refused_and_the_rest_goes_on)
{
    cr_assert_str_eq(rows_of(BUSI_STR("a\nb\0c\nd\n"), false), "1:a|2!has a NUL byte|3:d");
    cr_assert_str_eq(lines_of("a\nb\xff\nc\n"), "1:a|2!is not UTF-8|3:c");
    cr_assert_str_eq(lines_of("a\n\xED\xA0\x80\nc\n"), "1:a|2!is not UTF-8|3:c"); /* half of a pair */
}

/* n bytes without a line end, between two short lines. */
static const char *around(size_t n, bool csv)
{
    struct busi_buf file;
    busi_buf_init(&file, 4 << 20);
    busi_buf_str(&file, BUSI_STR("a\n"));
    for (size_t i = 0; i < n; i++)
        busi_buf_char(&file, 'x');
    busi_buf_str(&file, BUSI_STR("\nb\n"));
    const char *rows = rows_of((struct busi_str){file.ptr, file.len}, csv);
    busi_buf_fini(&file);
    return rows;
}

Test(import, a_line_that_is_too_long_costs_only_itself)
{
    static const size_t lengths[] = {AUTH_IMPORT_ROW_MOST_BYTES + 1, 4 * AUTH_IMPORT_ROW_MOST_BYTES - 1,
                                     4 * AUTH_IMPORT_ROW_MOST_BYTES, 4 * AUTH_IMPORT_ROW_MOST_BYTES + 1,
                                     1 << 20};
    for (int csv = 0; csv < 2; csv++) {
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
            cr_assert_str_eq(around(lengths[i], csv), "1:a|2!is longer than 64 KiB|3:b", "%zu", lengths[i]);
        cr_assert_eq(strlen(around(AUTH_IMPORT_ROW_MOST_BYTES, csv)), AUTH_IMPORT_ROW_MOST_BYTES + 10);
    }
}

Test(import, records_may_hold_line_ends_between_quotes)
{
    cr_assert_str_eq(records_of("a,b\n\"c\nd\",e\nf"), "1:a,b|2:\"c\nd\",e|4:f");
    cr_assert_str_eq(records_of("\"a\"\"\n\"\nb\n"), "1:\"a\"\"\n\"|3:b");
    cr_assert_str_eq(records_of("\"\"\na\n"), "1:\"\"|2:a");
    cr_assert_str_eq(records_of("\"a\r\nb\"\r\nc"), "1:\"a\r\nb\"|3:c");
    cr_assert_str_eq(records_of("a\"b\nc\n"), "1:a\"b|2:c"); /* opens nothing; refused when it is split */
}

Test(import, a_quote_that_is_not_closed_costs_one_line)
{
    cr_assert_str_eq(records_of("a\n\"b\nc\nd"), "1:a|2!a quote is not closed|3:c|4:d");
    cr_assert_str_eq(records_of("\""), "1!a quote is not closed");
}

/* ---- CSV ---- */

static const char *split(const char *record)
{
    struct busi_str fields[4];
    size_t n = 0;
    struct busi_buf out;
    const char *why = auth_import_csv_split(&call.arena, busi_str_of(record), fields, 4, &n);
    if (why)
        return why;
    busi_buf_init(&out, 4096);
    for (size_t i = 0; i < n; i++)
        busi_buf_printf(&out, "[%.*s]", fields[i].ptr ? (int)fields[i].len : 4,
                        fields[i].ptr ? fields[i].ptr : "none");
    const char *text = busi_arena_dup(&call.arena, (struct busi_str){out.ptr, out.len}).ptr;
    busi_buf_fini(&out);
    return text;
}

Test(import, records_split_as_rfc_4180_says)
{
    cr_assert_str_eq(split("a,b c,d"), "[a][b c][d]");
    cr_assert_str_eq(split(",,"), "[none][none][none]");
    cr_assert_str_eq(split(""), "[none]");
    cr_assert_str_eq(split("\"\",a"), "[][a]");
    cr_assert_str_eq(split("\"a,b\",\"c\"\"d\",\"e\nf\""), "[a,b][c\"d][e\nf]");
    cr_assert_str_eq(split("a,b,c,d"), "[a][b][c][d]");
    cr_assert_str_eq(split("a,b,c,d,e"), "has more fields than the first line");
    cr_assert_str_eq(split("a\"b"), "has a quote within a field that has none around it");
    cr_assert_str_eq(split("a, \"b\""), "has a quote within a field that has none around it");
    cr_assert_str_eq(split("\"a\"b"), "has text behind a closing quote");
    cr_assert_str_eq(split("\"a\" ,b"), "has text behind a closing quote");
    cr_assert_str_eq(split("\"a"), "a quote is not closed");
}

/* ---- times ---- */

static const char *time_of(const char *text)
{
    struct busi_str out;
    return auth_import_time(&call.arena, busi_str_of(text), &out) ? busi_arena_dup(&call.arena, out).ptr
                                                                  : "no time";
}

Test(import, times_of_other_systems)
{
    cr_assert_str_eq(time_of("2018-11-11T07:00:53Z"), "2018-11-11T07:00:53Z");
    cr_assert_str_eq(time_of("2018-11-11 07:00:53"), "2018-11-11 07:00:53Z");
    cr_assert_str_eq(time_of("2018-11-11 07:00:53.229068"), "2018-11-11 07:00:53.229068Z");
    cr_assert_str_eq(time_of("2018-11-11 07:00:53.2+02:00"), "2018-11-11 07:00:53.2+02:00");
    cr_assert_str_eq(time_of("2018-11-11 07:00:53+02"), "2018-11-11 07:00:53+02");
    cr_assert_str_eq(time_of("2024-02-29 00:00:00"), "2024-02-29 00:00:00Z");
    static const char *const none[] = {"",
                                       "now",
                                       "infinity",
                                       "2018-11-11",
                                       "1969-12-31 00:00:00",
                                       "2018-13-01 00:00:00",
                                       "2018-00-01 00:00:00",
                                       "2018-02-30 00:00:00",
                                       "2023-02-29 00:00:00",
                                       "2018-04-31 00:00:00",
                                       "2018-01-01 24:00:00",
                                       "2018-01-01 00:60:00",
                                       "2018-01-01 00:00:60",
                                       "2018-01-01 00:00:00.",
                                       "2018-01-01 00:00:00.1234567",
                                       "2018-01-01 00:00:00+15:00",
                                       "2018-01-01 00:00:00 UTC",
                                       "2018-01-01 00:00:00Zx",
                                       "18-01-01 00:00:00",
                                       "2018-1-1 00:00:00",
                                       "'; DROP TABLE"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        cr_assert_str_eq(time_of(none[i]), "no time", "%s", none[i]);
}

/* ---- accounts ---- */

static struct auth_import_row row;

static const char *read_as(bool csv, const char *record)
{
    static const enum auth_import_field columns[] = {AUTH_IMPORT_email, AUTH_IMPORT_password_hash,
                                                     AUTH_IMPORT_confirmed, AUTH_IMPORT_meta};
    struct auth_import_rules rules = {.csv = csv, .n_columns = 4, .roles = BUSI_STR("admin,guest,root")};
    memcpy(rules.columns, columns, sizeof columns);
    const char *why = auth_import_read(&call, &rules, busi_str_of(record), &row);
    return why ? why : "fine";
}

static const char *json(const char *record)
{
    return read_as(false, record);
}

static bool says(enum auth_import_field field, const char *text)
{
    return busi_str_eq(row.field[field], busi_str_of(text));
}

Test(import, an_object_is_an_account)
{
    cr_assert_str_eq(
        json(
            "{\"external_id\":17,\"email\":\"Ann@Example.com\",\"username\":\"Ann\",\"password_hash\":\"" HASH
            "\",\"confirmed\":true,\"inserted_at\":\"2018-11-11 07:00:53\",\"meta\":{\"a\":[1.10,\"}\"]},"
            "\"roles\":[\"Admin\",\"guest\"]}"),
        "fine");
    cr_assert(says(AUTH_IMPORT_external_id, "17") && says(AUTH_IMPORT_email, "Ann@Example.com"));
    cr_assert(says(AUTH_IMPORT_password_hash, HASH) && says(AUTH_IMPORT_roles, "admin,guest"));
    cr_assert(says(AUTH_IMPORT_confirmed_at, "2018-11-11 07:00:53Z"));
    cr_assert(says(AUTH_IMPORT_meta, "{\"a\":[1.10,\"}\"]}")); /* as it was written */
    cr_assert(busi_str_eq(row.email_key, BUSI_STR("ann@example.com")));
    cr_assert(busi_str_eq(row.username.key, BUSI_STR("ann")));
    cr_assert_str_eq(json(" { \"username\" : \"root\" , \"email\" : null } "),
                     "fine"); /* reserved names are theirs */
    cr_assert(!row.email_key.ptr && !row.field[AUTH_IMPORT_password_hash].ptr);
    cr_assert_str_eq(
        json("{\"email\":\"a@b.co\",\"meta\":\"{\\\"a\\\":1}\",\"roles\":\"guest\",\"confirmed\":true}"),
        "fine");
    cr_assert(says(AUTH_IMPORT_meta, "{\"a\":1}") && says(AUTH_IMPORT_confirmed_at, "now"));
}

Test(import, what_is_wrong_is_named)
{
    static const char *const rows[][2] = {
        {"", "is not one JSON object"},
        {"[]", "is not one JSON object"},
        {"{", "is not one JSON object"},
        {"{}x", "is not one JSON object"},
        {"{\"email\":\"a@b.co\",}", "is not one JSON object"},
        {"{\"email\" \"a@b.co\"}", "is not one JSON object"},
        {"{\"email\":\"a@b.co}", "is not one JSON object"},
        {"{\"email\":nul}", "is not one JSON object"},
        {"{\"meta\":{\"a\":[}", "is not one JSON object"},
        {"{\"meta\":{", "is not one JSON object"},
        {"{\"meta\":[\"", "is not one JSON object"},
        {"{}", "email can't be blank"},
        {"{\"email\":\"\"}", "email can't be blank"},
        {"{\"email\":\"ann\"}", "email has invalid format"},
        {"{\"email\":5.5}", "'email' is of another type"},
        {"{\"email\":{}}", "'email' is of another type"},
        {"{\"email\":true}", "'email' is of another type"},
        {"{\"email\":\"a@b.co\",\"email\":\"a@b.co\"}", "'email' stands twice"},
        {"{\"email\":\"a@b.co\",\"is_admin\":true}", "unknown field 'is_admin'"},
        {"{\"email\":\"a@b.co\",\"epoch\":7}", "unknown field 'epoch'"},
        {"{\"email\":\"a@b.co\",\"username\":\"x\"}", "username should be at least 3 character(s)"},
        {"{\"email\":\"a@b.co\",\"username\":\"a b c\"}", "username has invalid format"},
        {"{\"email\":\"a@b.co\",\"meta\":{\"a\":1,\"a\":2}}", "meta is invalid"},
        {"{\"email\":\"a@b.co\",\"meta\":\"[]\"}", "meta is invalid"},
        {"{\"email\":\"a@b.co\",\"meta\":[]}", "'meta' is of another type"},
        {"{\"email\":\"a@b.co\",\"confirmed\":\"yes\"}", "'confirmed' is of another type"},
        {"{\"email\":\"a@b.co\",\"confirmed_at\":\"yesterday\"}", "confirmed_at is no time"},
        {"{\"email\":\"a@b.co\",\"inserted_at\":\"2018-11-31 00:00:00\"}", "inserted_at is no time"},
        {"{\"email\":\"a@b.co\",\"confirmed\":false,\"confirmed_at\":\"2018-11-11 00:00:00\"}",
         "confirmed is false, but confirmed_at says when"},
        {"{\"email\":\"a@b.co\",\"roles\":[\"boss\"]}", "there is no role 'boss'"},
        {"{\"email\":\"a@b.co\",\"roles\":[\"guest,root\"]}", "nobody is imported as root (--allow-root)"},
        {"{\"email\":\"a@b.co\",\"roles\":\"ROOT\"}", "nobody is imported as root (--allow-root)"},
        {"{\"email\":\"a@b.co\",\"roles\":[1]}", "is not one JSON object"},
        {"{\"email\":\"a@b.co\",\"external_id\":\"\"}", "external_id has not 1 to 255 bytes"},
        {"{\"email\":\"a@b.co\",\"external_id\":1.5}", "'external_id' is of another type"},
        {"{\"email\":\"a@b.co\",\"password_hash\":\"secret word\"}",
         "password_hash is neither a bcrypt nor an argon2 hash"},
        {"{\"email\":\"a@b.co\",\"password_hash\":\"\"}",
         "password_hash is neither a bcrypt nor an argon2 hash"},
        {"{\"email\":\"a@b.co\",\"password_hash\":\"$6$salt$hash\"}",
         "password_hash is neither a bcrypt nor an argon2 hash"},
        {"{\"email\":\"a@b.co\",\"password_hash\":\"$2b$17$CCCCCCCCCCCCCCCCCCCCC."
         "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\"}",
         "password_hash is a bcrypt hash that is malformed or has a cost over 16"},
        {"{\"email\":\"a@b.co\",\"password_hash\":"
         "\"$argon2id$v=19$m=65536,t=11,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\"}",
         "password_hash is an argon2 hash that is malformed or costs more than may be (1 GiB, t 10, p 16)"},
        {"{\"email\":\"a@b.co\",\"password_hash\":"
         "\"$argon2id$v=19$m=65537,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\"}",
         "password_hash asks for more memory than BUSI_PASSWORD_STORED_MEMORY allows"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_str_eq(json(rows[i][0]), rows[i][1], "%s: %s", rows[i][0], json(rows[i][0]));
}

/* No reason repeats what may be a secret at length. */
Test(import, reasons_are_short)
{
    struct busi_buf text;
    busi_buf_init(&text, 1 << 17);
    busi_buf_str(&text, BUSI_STR("{\""));
    for (int i = 0; i < 60000; i++)
        busi_buf_char(&text, 'f');
    busi_buf_str(&text, BUSI_STR("\":1}"));
    busi_buf_char(&text, '\0');
    cr_assert_lt(strlen(json(text.ptr)), 100);
    busi_buf_fini(&text);
}

Test(import, brackets_without_end_are_no_recursion)
{
    struct busi_buf text;
    busi_buf_init(&text, 1 << 17);
    busi_buf_str(&text, BUSI_STR("{\"email\":\"a@b.co\",\"meta\":{\"a\":"));
    for (int i = 0; i < 30000; i++)
        busi_buf_char(&text, '[');
    for (int i = 0; i < 30000; i++)
        busi_buf_char(&text, ']');
    busi_buf_str(&text, BUSI_STR("}}"));
    busi_buf_char(&text, '\0');
    cr_assert_str_eq(json(text.ptr), "meta should be at most 4096 character(s)");
    busi_buf_fini(&text);
}

Test(import, columns_are_named_by_the_first_line)
{
    struct auth_import_rules rules = {.csv = true};
    cr_assert_null(auth_import_header(&call, BUSI_STR("email,\"password_hash\",roles"), &rules));
    cr_assert_eq(rules.n_columns, 3);
    cr_assert_eq(rules.columns[2], AUTH_IMPORT_roles);
    cr_assert_str_eq(auth_import_header(&call, BUSI_STR("email,password"), &rules),
                     "unknown column 'password'");
    cr_assert_str_eq(auth_import_header(&call, BUSI_STR("email,email"), &rules),
                     "column 'email' stands twice");
    cr_assert_str_eq(auth_import_header(&call, BUSI_STR("email,"), &rules), "unknown column ''");
}

Test(import, a_record_is_an_account)
{
    cr_assert_str_eq(read_as(true, "a@b.co,\"" HASH "\",t,\"{\"\"a\"\":1}\""), "fine");
    cr_assert(says(AUTH_IMPORT_meta, "{\"a\":1}") && says(AUTH_IMPORT_confirmed_at, "now"));
    cr_assert_str_eq(read_as(true, "a@b.co,,FALSE,"), "fine");
    cr_assert(!row.field[AUTH_IMPORT_password_hash].ptr && !row.field[AUTH_IMPORT_confirmed_at].ptr);
    cr_assert_str_eq(read_as(true, "a@b.co,,maybe,"), "'confirmed' is neither true nor false");
    cr_assert_str_eq(read_as(true, "a@b.co,"), "has fewer fields than the first line");
    cr_assert_str_eq(read_as(true, "a@b.co,,t,{},x"), "has more fields than the first line");
    cr_assert_str_eq(read_as(true, ",,,"), "email can't be blank");
}
