#include "base/text.h"

#include <criterion/criterion.h>

Test(text, blank_is_white_space_of_any_kind)
{
    static const struct busi_str blank[] = {
        {"", 0},
        {" \t\n\v\f\r", 6},
        {"\xC2\x85\xC2\xA0\xE1\x9A\x80", 7},
        {"\xE2\x80\x80\xE2\x80\x8A\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAF\xE2\x81\x9F\xE3\x80\x80", 21},
    };
    /* U+200B (zero width space) and U+FEFF are no white space to Unicode, nor U+180E any more */
    static const struct busi_str dark[] = {
        {"a", 1},         {"  a ", 4}, {"\xE2\x80\x8B", 3}, {"\xEF\xBB\xBF", 3}, {"\xE1\xA0\x8E", 3},
        {" \xC2\xA1", 3}, {"\x1F", 1}};
    for (size_t i = 0; i < sizeof blank / sizeof blank[0]; i++)
        cr_expect(busi_utf8_blank(blank[i]), "%zu", i);
    for (size_t i = 0; i < sizeof dark / sizeof dark[0]; i++)
        cr_expect_not(busi_utf8_blank(dark[i]), "%zu", i);
}
