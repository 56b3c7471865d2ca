#include "base/json_text.h"
#include <stdlib.h>

enum { NUMBER_MAX = 128 };

void busi_json_skip_space(struct busi_json_reader *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

char busi_json_peek(const struct busi_json_reader *in)
{
    return in->at < in->end ? *in->at : 0;
}

bool busi_json_take_char(struct busi_json_reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

bool busi_json_take_word(struct busi_json_reader *in, struct busi_str word)
{
    if ((size_t)(in->end - in->at) < word.len || memcmp(in->at, word.ptr, word.len) != 0)
        return false;
    in->at += word.len;
    return true;
}

/* ---- strings ---- */

/* Behind "\u": the unit, or -1. */
static int32_t take_unit(struct busi_json_reader *in)
{
    int32_t unit = 0;
    if (in->end - in->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = busi_hex_digit(*in->at++);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Behind "\u": the code point of one unit or of a pair, or -1. */
static int32_t take_code_point(struct busi_json_reader *in)
{
    int32_t high = take_unit(in);
    if (high < 0xD800 || high > 0xDFFF)
        return high;
    if (high > 0xDBFF || !busi_json_take_word(in, BUSI_STR("\\u")))
        return -1;
    int32_t low = take_unit(in);
    if (low < 0xDC00 || low > 0xDFFF)
        return -1;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* At most 4 bytes, fewer than the escape had. */
static char *put_utf8(char *to, int32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

/* Behind a backslash. NULL: no escape of JSON. */
static char *take_escape(struct busi_json_reader *in, char *to)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (in->at == in->end)
        return NULL;
    char c = *in->at++;
    if (c == 'u') {
        int32_t code_point = take_code_point(in);
        return code_point > 0 ? put_utf8(to, code_point) : NULL; /* and no U+0000 */
    }
    const char *name = c ? strchr(names, c) : NULL;
    if (!name)
        return NULL;
    *to++ = meanings[name - names];
    return to;
}

/* Behind the opening quote; at least one escape comes before the closing one. */
static bool unescape(struct busi_json_reader *in, struct busi_arena *arena, size_t most, struct busi_str *out)
{
    char *text = busi_arena_alloc(arena, most), *to = text;
    if (!text)
        return false;
    while (busi_json_peek(in) != '"') {
        if (!busi_json_take_char(in, '\\')) {
            *to++ = *in->at++;
            continue;
        }
        to = take_escape(in, to);
        if (!to)
            return false;
    }
    in->at++;
    *out = (struct busi_str){text, (size_t)(to - text)};
    return true;
}

bool busi_json_take_string(struct busi_json_reader *in, struct busi_arena *arena, struct busi_str *out)
{
    if (!busi_json_take_char(in, '"'))
        return false;
    const char *begin = in->at, *at = begin;
    bool escaped = false;
    for (; at < in->end && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return false;
        if (*at == '\\') {
            escaped = true;
            if (++at == in->end)
                return false;
        }
    }
    if (at == in->end)
        return false;
    if (escaped)
        return unescape(in, arena, (size_t)(at - begin), out);
    *out = (struct busi_str){begin, (size_t)(at - begin)};
    in->at = at + 1;
    return true;
}

/* ---- numbers ---- */

static size_t skip_digits(struct busi_json_reader *in)
{
    const char *begin = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return (size_t)(in->at - begin);
}

bool busi_json_take_number(struct busi_json_reader *in, struct busi_str *out, bool *integer)
{
    const char *begin = in->at;
    (void)busi_json_take_char(in, '-');
    *integer = true;
    if (!busi_json_take_char(in, '0') && skip_digits(in) == 0)
        return false; /* "01" fails later: no number goes on behind its 0 */
    if (busi_json_take_char(in, '.')) {
        *integer = false;
        if (skip_digits(in) == 0)
            return false;
    }
    if (busi_json_take_char(in, 'e') || busi_json_take_char(in, 'E')) {
        *integer = false;
        if (!busi_json_take_char(in, '+'))
            (void)busi_json_take_char(in, '-');
        if (skip_digits(in) == 0)
            return false;
    }
    *out = (struct busi_str){begin, (size_t)(in->at - begin)};
    return out->len <= NUMBER_MAX;
}

bool busi_json_integer(struct busi_str text, int64_t *out)
{
    if (busi_str_eq(text, BUSI_STR("-0"))) {
        *out = 0;
        return true;
    }
    return busi_str_int(text, out);
}

bool busi_json_real_finite(struct busi_str text)
{
    char copy[NUMBER_MAX + 1];
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return __builtin_isfinite(strtod(copy, NULL)); /* the locale is never set: '.' is the point */
}
