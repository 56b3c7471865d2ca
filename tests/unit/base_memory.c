/* Arenas and buffers: bounds, sticky failure, wiping, JSON strings. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/text.h"
#include <criterion/criterion.h>

/* Ours instead of the C library's, to see what is wiped. */
static size_t wiped_bytes;

void explicit_bzero(void *bytes, size_t n)
{
    wiped_bytes += n;
    memset(bytes, 0, n);
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

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

Test(base_arena, no_size_is_too_large_to_be_refused)
{
    struct busi_arena arena;
    busi_arena_init(&arena, SIZE_MAX);
    for (size_t i = 0; i < 100; i++)
        cr_expect_null(busi_arena_alloc(&arena, SIZE_MAX - i));
    cr_expect_not_null(busi_arena_alloc(&arena, 1));
    busi_arena_fini(&arena);
}

Test(base_arena, all_that_was_handed_out_is_wiped)
{
    struct busi_arena arena;
    busi_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < 100; i++)
        memset(busi_arena_alloc(&arena, 1000), 'x', 1000);
    wiped_bytes = 0;
    busi_arena_fini(&arena);
    cr_expect_geq(wiped_bytes, 100 * 1000);
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

static void add_many(struct busi_buf *buf, size_t n)
{
    while (n--)
        busi_buf_char(buf, 'x');
}

Test(base_buf, all_that_was_written_is_wiped)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 1 << 20);
    add_many(&buf, 500);
    busi_buf_clear(&buf);
    add_many(&buf, 3);
    wiped_bytes = 0;
    busi_buf_fini(&buf);
    cr_expect_geq(wiped_bytes, 500, "forgotten contents, too");

    add_many(&buf, 500);
    busi_buf_clear(&buf);
    wiped_bytes = 0;
    char room[1000] = "";
    busi_buf_add(&buf, room, sizeof room); /* moves to new memory */
    cr_expect_geq(wiped_bytes, 500);
    busi_buf_fini(&buf);
}

Test(base_buf, formatted_texts_of_every_length)
{
    struct busi_buf buf;
    char wanted[3000];
    busi_buf_init(&buf, sizeof wanted);
    memset(wanted, ' ', sizeof wanted);
    size_t n = 0;
    for (int width = 1; n + (size_t)width < sizeof wanted; width++) {
        busi_buf_printf(&buf, "%*s", width, "x");
        n += (size_t)width;
        wanted[n - 1] = 'x';
        cr_assert(!buf.failed && buf.len == n);
    }
    cr_expect(memcmp(buf.ptr, wanted, n) == 0);
    busi_buf_printf(&buf, "%*s", (int)sizeof wanted, "x");
    cr_expect(buf.failed && buf.len == n, "over the bound nothing is added");
    busi_buf_printf(&buf, "y");
    cr_expect_eq(buf.len, n);
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

/* ASCII as JSON writes it, a byte at a time. */
static void write_slowly(struct busi_buf *out, const char *text, size_t n)
{
    busi_buf_char(out, '"');
    for (size_t i = 0; i < n; i++) {
        const char *letter = text[i] ? strchr("\bb\tt\nn\ff\rr\"\"\\\\", text[i]) : NULL;
        if (text[i] >= 0x20 && text[i] < 0x7F && text[i] != '"' && text[i] != '\\')
            busi_buf_char(out, text[i]);
        else if (text[i] == '"' || text[i] == '\\' || (letter && text[i] < 0x20))
            busi_buf_printf(out, "\\%c", text[i] < 0x20 ? letter[1] : text[i]);
        else
            busi_buf_printf(out, "\\u%04x", (unsigned)text[i]);
    }
    busi_buf_char(out, '"');
}

/* Every pair of ASCII characters at every place of a word of eight bytes. */
Test(base_buf, json_strings_of_every_pair)
{
    struct busi_buf fast, slow;
    busi_buf_init(&fast, 1000);
    busi_buf_init(&slow, 1000);
    for (int pair = 0; pair < 128 * 128; pair++) {
        char text[19];
        memset(text, 'a', sizeof text);
        text[pair % 17] = (char)(pair / 128);
        text[pair % 17 + 1] = (char)(pair % 128);
        busi_buf_clear(&fast);
        busi_buf_clear(&slow);
        busi_buf_json(&fast, (struct busi_str){text, sizeof text});
        write_slowly(&slow, text, sizeof text);
        cr_expect(fast.len == slow.len && memcmp(fast.ptr, slow.ptr, fast.len) == 0, "%.*s instead of %.*s",
                  (int)fast.len, fast.ptr, (int)slow.len, slow.ptr);
    }
    busi_buf_fini(&fast);
    busi_buf_fini(&slow);
}

/* Whatever the bytes are, what comes out is UTF-8, in a buffer that just fits as in one with room. */
Test(base_buf, json_strings_of_any_bytes)
{
    struct busi_buf roomy, tight;
    uint64_t random = 88172645463325252u;
    char text[40];
    busi_buf_init(&roomy, 1000);
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof text; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            text[i] = (char)(random & 1 ? 'a' + random % 16 : random >> 20);
        }
        struct busi_str bytes = {text, (size_t)round % (sizeof text + 1)};
        busi_buf_clear(&roomy);
        busi_buf_json(&roomy, bytes);
        cr_assert(!roomy.failed && busi_utf8_valid((struct busi_str){roomy.ptr, roomy.len}));
        busi_buf_init(&tight, roomy.len);
        busi_buf_json(&tight, bytes);
        cr_assert(!tight.failed && tight.len == roomy.len && memcmp(tight.ptr, roomy.ptr, tight.len) == 0);
        busi_buf_fini(&tight);
        busi_buf_init(&tight, roomy.len - 1);
        busi_buf_json(&tight, bytes);
        cr_assert(tight.failed && tight.len < roomy.len);
        busi_buf_fini(&tight);
    }
    busi_buf_fini(&roomy);
}
