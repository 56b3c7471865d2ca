#include "service/config_lines.h"
#include <criterion/criterion.h>

static struct busi_config_lines lines_of(const char *text)
{
    struct busi_config_lines lines;
    busi_config_lines_init(&lines, busi_str_of(text));
    return lines;
}

static void expect_pair(struct busi_config_lines *lines, unsigned line, const char *key, const char *value)
{
    cr_assert(busi_config_lines_next(lines));
    cr_expect_null(lines->error, "%s", lines->error);
    cr_expect_eq(lines->line, line);
    cr_expect(busi_str_eq(lines->key, busi_str_of(key)), "key '%.*s'", BUSI_ARG(lines->key));
    cr_expect(busi_str_eq(lines->value, busi_str_of(value)), "value '%.*s'", BUSI_ARG(lines->value));
}

Test(config_lines, blank_lines_and_comments_say_nothing)
{
    struct busi_config_lines lines = lines_of("\n# a\n  # b\n\t\nkey = 1\n\n#end");
    expect_pair(&lines, 5, "key", "1");
    cr_expect_not(busi_config_lines_next(&lines));
}

Test(config_lines, a_byte_order_mark_and_crlf_are_fine) /* D-08 */
{
    struct busi_config_lines lines = lines_of("\xef\xbb\xbfhttp_port = 1\r\nb=2\r\n");
    expect_pair(&lines, 1, "http_port", "1");
    expect_pair(&lines, 2, "b", "2");
    cr_expect_not(busi_config_lines_next(&lines));
}

Test(config_lines, a_value_keeps_everything_but_outer_blanks)
{
    struct busi_config_lines lines = lines_of("a = x = y # z \"q\" \nempty =\nlast=1");
    expect_pair(&lines, 1, "a", "x = y # z \"q\"");
    expect_pair(&lines, 2, "empty", "");
    expect_pair(&lines, 3, "last", "1");
    cr_expect_not(busi_config_lines_next(&lines));
}

Test(config_lines, wrong_lines_are_named_and_the_next_is_read)
{
    struct busi_config_lines lines = lines_of("no equals\n= 1\nBig = 1\nsp ace = 1\nok = 1");
    for (unsigned line = 1; line <= 4; line++) {
        cr_assert(busi_config_lines_next(&lines));
        cr_expect_not_null(lines.error, "line %u", line);
        cr_expect_eq(lines.line, line);
    }
    expect_pair(&lines, 5, "ok", "1");
}

Test(config_lines, a_nul_byte_is_an_error) /* D-08 */
{
    struct busi_config_lines lines;
    busi_config_lines_init(&lines, BUSI_STR("a = b\0c\nd = 1"));
    cr_assert(busi_config_lines_next(&lines));
    cr_expect_str_eq(lines.error, "holds a NUL byte");
    expect_pair(&lines, 2, "d", "1");
}

Test(config_lines, an_empty_file_has_no_lines)
{
    struct busi_config_lines lines = lines_of("");
    cr_expect_not(busi_config_lines_next(&lines));
    lines = lines_of("\xef\xbb\xbf");
    cr_expect_not(busi_config_lines_next(&lines));
}
