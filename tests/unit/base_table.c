/* Tables for a person at a terminal. */
#include "base/table.h"
#include <criterion/criterion.h>

static const char *const heads[] = {"ID", "NAME", "NOTE"};
static struct busi_buf out;

static const char *written(struct busi_table *table)
{
    busi_buf_clear(&out);
    busi_table_write(table, &out);
    busi_buf_char(&out, 0);
    cr_assert_not(out.failed || table->failed);
    return out.ptr;
}

static void add(struct busi_table *table, const char *text)
{
    busi_table_add(table, busi_str_of(text));
}

Test(table, has_columns_as_wide_as_what_stands_in_them)
{
    struct busi_table table;
    busi_buf_init(&out, 1 << 20);
    busi_table_init(&table, heads, 3);
    cr_expect_str_eq(written(&table), "ID  NAME  NOTE\n");
    for (int i = 0; i < 2; i++)
        add(&table, i ? "longer than its head" : "1"), add(&table, i ? "Bob" : "J\xc3\xbcrgen"),
            add(&table, NULL);
    cr_expect_str_eq(written(&table), "ID                    NAME    NOTE\n"
                                      "1                     J\xc3\xbcrgen  -\n"
                                      "longer than its head  Bob     -\n");
    for (int i = 0; i < 3000; i++)
        add(&table, "x");
    cr_expect_eq(strlen(written(&table)), out.len - 1);
    busi_table_fini(&table);
    busi_buf_fini(&out);
}

Test(table, moves_no_cursor)
{
    struct busi_table table;
    busi_buf_init(&out, 1 << 20);
    busi_table_init(&table, heads, 1);
    add(&table, "a\x1b[2J\nb\tc\x7f");
    add(&table, "\xc2\x9b"
                "31m \xc2\xa9 \xe2\x82\xac");
    cr_expect_str_eq(written(&table), "ID\na?[2J?b?c?\n?31m \xc2\xa9 \xe2\x82\xac\n");
    busi_table_fini(&table);
    busi_buf_fini(&out);
}
