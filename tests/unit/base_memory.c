/* Arenas and buffers: bounds, sticky failure, JSON strings. */
#include "base/arena.h"
#include "base/buf.h"
#include <criterion/criterion.h>

Test(base_arena, memory_is_zeroed_aligned_and_bounded)
{
    struct busi_arena arena;
    busi_arena_init(&arena, 100000);
    for (size_t i = 1; i < 300; i++) {
        unsigned char *p = busi_arena_alloc(&arena, i);
        cr_assert(p && (uintptr_t)p % 16 == 0);
        for (size_t k = 0; k < i; k++)
            cr_assert_eq(p[k], 0);
        memset(p, 0xAA, i);
    }
    cr_assert_null(busi_arena_alloc(&arena, 90000), "over the bound");
    cr_assert_not_null(busi_arena_alloc(&arena, 40000), "a refusal does no harm");
    cr_assert_not_null(busi_arena_alloc(&arena, 0));
    busi_arena_fini(&arena);
    cr_assert_not_null(busi_arena_alloc(&arena, 90000), "usable again");
    busi_arena_fini(&arena);
}

Test(base_arena, overflow_is_refused)
{
    struct busi_arena arena;
    busi_arena_init(&arena, SIZE_MAX);
    cr_assert_null(busi_arena_array(&arena, SIZE_MAX / 2, 3));
    cr_assert_null(busi_arena_array(&arena, (size_t)1 << 63, 2));
    busi_arena_fini(&arena);
}

Test(base_arena, texts)
{
    struct busi_arena arena;
    busi_arena_init(&arena, 1000);
    struct busi_str copy = busi_arena_dup(&arena, (struct busi_str){"ab\0cd", 5});
    cr_assert(copy.len == 5 && memcmp(copy.ptr, "ab\0cd\0", 6) == 0);
    cr_assert_null(busi_arena_dup(&arena, (struct busi_str){0}).ptr);
    cr_assert(busi_str_eq(busi_arena_printf(&arena, "%d-%s", 7, "x"), BUSI_STR("7-x")));
    busi_arena_fini(&arena);
}

Test(base_buf, failure_is_sticky_and_keeps_the_bound)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 10);
    busi_buf_str(&buf, BUSI_STR("12345678"));
    cr_assert(!buf.failed);
    busi_buf_str(&buf, BUSI_STR("abc"));
    cr_assert(buf.failed && buf.len == 8);
    busi_buf_char(&buf, 'x');
    cr_assert(buf.failed && buf.len == 8, "nothing is added behind a gap");
    busi_buf_clear(&buf);
    busi_buf_str(&buf, BUSI_STR("1234567890"));
    cr_assert(!buf.failed && buf.len == 10);
    busi_buf_fini(&buf);
}

Test(base_buf, numbers)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 1000);
    busi_buf_int(&buf, INT64_MIN);
    busi_buf_char(&buf, ' ');
    busi_buf_int(&buf, INT64_MAX);
    busi_buf_char(&buf, ' ');
    busi_buf_int(&buf, 0);
    busi_buf_printf(&buf, " %s", "end");
    cr_assert(busi_str_eq((struct busi_str){buf.ptr, buf.len},
                          BUSI_STR("-9223372036854775808 9223372036854775807 0 end")));
    busi_buf_fini(&buf);
}

static void expect_json(struct busi_str text, const char *wanted)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 10000);
    busi_buf_json(&buf, text);
    cr_expect(busi_str_eq((struct busi_str){buf.ptr, buf.len}, busi_str_of(wanted)), "%.*s instead of %s",
              (int)buf.len, buf.ptr, wanted);
    busi_buf_fini(&buf);
}

Test(base_buf, json_strings)
{
    expect_json(BUSI_STR(""), "\"\"");
    expect_json(BUSI_STR("plain <b>&'/"), "\"plain <b>&'/\"");
    expect_json(BUSI_STR("\"\\\b\f\n\r\t\x01\x1b\x7f"), "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001b\\u007f\"");
    expect_json((struct busi_str){"a\0b", 3}, "\"a\\u0000b\"");
    expect_json(BUSI_STR("\xE2\x80\xA8\xE2\x80\xA9\xE2\x82\xAC"), "\"\\u2028\\u2029\xE2\x82\xAC\"");
    expect_json(BUSI_STR("x\xFFy"), "\"x\xEF\xBF\xBDy\"");
    expect_json(BUSI_STR("cut \xE2\x82"), "\"cut \xEF\xBF\xBD\xEF\xBF\xBD\"");
    expect_json(BUSI_STR("\xF0\x9F\x98\x80"), "\"\xF0\x9F\x98\x80\"");
}
