/* Numbers, UTF-8, base64url, hex. */
#include "base/code.h"
#include "base/text.h"
#include <criterion/criterion.h>

static bool parses(const char *text, int64_t wanted)
{
    int64_t got = 12345;
    return busi_str_int(busi_str_of(text), &got) && got == wanted;
}

Test(base_int, canonical_numbers_are_read)
{
    cr_assert(parses("0", 0));
    cr_assert(parses("-1", -1));
    cr_assert(parses("9223372036854775807", INT64_MAX));
    cr_assert(parses("-9223372036854775808", INT64_MIN));
}

Test(base_int, anything_else_is_refused)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "-0",
                                      "00",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999",
                                      "\xd9\xa1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t untouched = 7;
        cr_expect(!busi_str_int(busi_str_of(bad[i]), &untouched) && untouched == 7, "'%s'", bad[i]);
    }
}

Test(base_utf8, well_formed)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "eight bytes and \xE2\x82\xAC more"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(busi_utf8_valid(busi_str_of(good[i])), "case %zu", i);
}

Test(base_utf8, ill_formed)
{
    static const char *const bad[] = {"\x80",
                                      "\xC0\xAF",
                                      "\xC1\xBF",
                                      "\xC2",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xE2\x82",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "twelve bytes\xFE and more",
                                      "\xE2\x28\xA1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect(!busi_utf8_valid(busi_str_of(bad[i])), "case %zu", i);
}

Test(base_utf8, length_counts_code_points)
{
    cr_assert_eq(busi_utf8_length(BUSI_STR("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")), 4);
}

Test(base_utf8, cuts_between_code_points)
{
    static const struct {
        const char *text;
        size_t most, left;
    } cuts[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"abc", 4, 3},
        {"abc", 2, 2},
        {"abc", 0, 0},
        {"a\xC3\xA9", 3, 3},
        {"a\xC3\xA9", 2, 1},
        {"\xE2\x82\xAC", 2, 0},
        {"a\xE2\x82\xAC\xE2\x82\xAC", 6, 4},
        {"a\xF0\x9F\x98\x80", 4, 1},
        {"a\xF0\x9F\x98\x80", 5, 5},
        {"a\x80\x80\x80\x80\x80\x80", 6, 3}, /* no text; three bytes are given up at most */
    };
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
        cr_expect_eq(busi_utf8_cut(busi_str_of(cuts[i].text), cuts[i].most).len, cuts[i].left, "case %zu", i);
}

Test(base_base64url, round_trip_of_every_length)
{
    unsigned char bytes[67], back[67];
    char text[90];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + 250);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t length = busi_base64url_encode(text, bytes, n);
        cr_assert_eq(length, (n * 4 + 2) / 3);
        cr_assert_eq(busi_base64url_decode(back, sizeof back, (struct busi_str){text, length}), (ptrdiff_t)n);
        cr_assert_arr_eq(back, bytes, n);
    }
}

Test(base_base64url, strictness)
{
    static const char *const bad[] = {"A",    "AA=",  "AA==", "A A", "AA\n",
                                      "A+AA", "A/AA", "AB",   "AAB", "AAAAA"};
    unsigned char out[16];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(busi_base64url_decode(out, sizeof out, busi_str_of(bad[i])), -1, "'%s'", bad[i]);
    cr_assert_eq(busi_base64url_decode(out, 2, BUSI_STR("AAAA")), -1, "too small a room");
    cr_assert_eq(busi_base64url_decode(out, 3, BUSI_STR("AAAA")), 3);
}

Test(base_hex, lower_case)
{
    char out[6];
    busi_hex_encode(out, "\x00\x7f\xff", 3);
    cr_assert_arr_eq(out, "007fff", 6);
}

Test(base_code, rows)
{
    cr_assert_str_eq(busi_code_name(BUSI_NOT_FOUND), "NOT_FOUND");
    cr_assert_eq(busi_code_http(BUSI_UNAVAILABLE), 503);
    cr_assert_str_eq(busi_code_name(-1), "UNKNOWN");
    cr_assert_str_eq(busi_code_name(9999), "UNKNOWN");
    cr_assert_str_eq(busi_rule_text(BUSI_RULE_TOO_SHORT), "should be at least %d character(s)");
    cr_assert_str_eq(busi_rule_text(99), "is invalid");
    cr_assert(busi_str_ieq(BUSI_STR("Bearer"), BUSI_STR("bEARER")) &&
              !busi_str_ieq(BUSI_STR("a"), BUSI_STR("ab")));
}
