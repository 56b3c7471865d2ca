#include "base/text.h"

static bool continues(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Length of the code point at s, 0 when it is none (Unicode table 3-7). */
static size_t code_point(const unsigned char *s, size_t n)
{
    unsigned char a = s[0];
    if (a < 0x80)
        return 1;
    if (a >= 0xC2 && a <= 0xDF)
        return n >= 2 && continues(s[1]) ? 2 : 0;
    if (a >= 0xE0 && a <= 0xEF) {
        if (n < 3 || !continues(s[1]) || !continues(s[2]))
            return 0;
        return (a == 0xE0 && s[1] < 0xA0) || (a == 0xED && s[1] > 0x9F) ? 0 : 3;
    }
    if (a >= 0xF0 && a <= 0xF4) {
        if (n < 4 || !continues(s[1]) || !continues(s[2]) || !continues(s[3]))
            return 0;
        return (a == 0xF0 && s[1] < 0x90) || (a == 0xF4 && s[1] > 0x8F) ? 0 : 4;
    }
    return 0;
}

/* Most texts are ASCII: eight bytes at a time. */
static size_t ascii_run(const unsigned char *s, size_t n)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= n; i += sizeof word) {
        memcpy(&word, s + i, sizeof word);
        if (word & 0x8080808080808080u)
            break;
    }
    while (i < n && s[i] < 0x80)
        i++;
    return i;
}

bool busi_utf8_valid(struct busi_str s)
{
    const unsigned char *bytes = (const unsigned char *)s.ptr;
    for (size_t i = 0; i < s.len;) {
        i += ascii_run(bytes + i, s.len - i);
        if (i == s.len)
            break;
        size_t n = code_point(bytes + i, s.len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t busi_utf8_length(struct busi_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += !continues((unsigned char)s.ptr[i]);
    return n;
}

struct busi_str busi_utf8_cut(struct busi_str s, size_t max_bytes)
{
    if (s.len <= max_bytes)
        return s;
    size_t n = max_bytes;
    while (n > 0 && max_bytes - n < 3 && continues((unsigned char)s.ptr[n]))
        n--;
    s.len = n;
    return s;
}

/* Bytes of the white space (Unicode's White_Space property) that s begins with, 0 for anything else. */
static size_t white_space(struct busi_str s)
{
    static const struct busi_str wide[] = {
        {"\xC2\x85", 2},     {"\xC2\xA0", 2},     {"\xE1\x9A\x80", 3}, {"\xE2\x80\xA8", 3},
        {"\xE2\x80\xA9", 3}, {"\xE2\x80\xAF", 3}, {"\xE2\x81\x9F", 3}, {"\xE3\x80\x80", 3},
    };
    if (s.ptr[0] == ' ' || (s.ptr[0] >= '\t' && s.ptr[0] <= '\r'))
        return 1;
    if (s.len >= 3 && memcmp(s.ptr, "\xE2\x80", 2) == 0 && (unsigned char)s.ptr[2] <= 0x8A)
        return 3; /* U+2000..U+200A */
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        if (busi_str_starts(s, wide[i]))
            return wide[i].len;
    return 0;
}

bool busi_utf8_blank(struct busi_str s)
{
    for (size_t n; s.len > 0; s.ptr += n, s.len -= n)
        if ((n = white_space(s)) == 0)
            return false;
    return true;
}

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t busi_base64url_encode(char *out, const void *bytes, size_t n)
{
    const unsigned char *in = bytes;
    size_t at = 0;
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | in[i];
        for (have += 8; have >= 6; have -= 6)
            out[at++] = base64url[bits >> (have - 6) & 63];
    }
    if (have)
        out[at++] = base64url[bits << (6 - have) & 63];
    return at;
}

static int base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

ptrdiff_t busi_base64url_decode(void *out, size_t room, struct busi_str text)
{
    unsigned char *to = out;
    size_t at = 0;
    uint32_t bits = 0;
    int have = 0;
    if (text.len % 4 == 1)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        int value = base64url_value(text.ptr[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (at == room)
            return -1;
        to[at++] = (unsigned char)(bits >> have);
    }
    return bits & ((1u << have) - 1) ? -1 : (ptrdiff_t)at; /* bits left over must be zero */
}

void busi_hex_encode(char *out, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *in = bytes;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}
