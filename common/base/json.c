/* busi_buf_json(): text as a JSON string (RFC 8259 section 7). */
#include "base/buf.h"
#include "base/text.h"

static const char replacement[] = "\xEF\xBF\xBD";

/* Bytes that go out as they are: printable ASCII but '"' and '\\'. DEL is escaped for logs on terminals. */
static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

/* The same for eight bytes at once. Each term sets the high bit of some byte if and only if a byte is: beyond
 * ASCII, DEL, a control byte, '"', '\\'. */
static bool all_plain(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    uint64_t found = word | (word + ones) | ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
                     ((slash - ones) & ~slash);
    return !(found & highs);
}

/* Copies plain bytes up to the first that is none; how many. */
static size_t copy_plain(char *to, const char *from, size_t n)
{
    size_t i = 0;
    for (uint64_t word; i + sizeof word <= n; i += sizeof word) {
        memcpy(&word, from + i, sizeof word);
        if (!all_plain(word))
            break;
        memcpy(to + i, &word, sizeof word);
    }
    for (; i < n && plain((unsigned char)from[i]); i++)
        to[i] = from[i];
    return i;
}

static void escape(struct busi_buf *out, unsigned char c)
{
    static const char short_forms[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    static const char hex[] = "0123456789abcdef";
    if (c < sizeof short_forms && short_forms[c]) {
        busi_buf_add(out, (char[]){'\\', short_forms[c]}, 2);
        return;
    }
    busi_buf_add(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

/* One code point beyond ASCII; its length, or 1 for a byte that begins none. */
static size_t beyond_ascii(struct busi_buf *out, struct busi_str rest)
{
    static const struct busi_str separator = {"\xE2\x80", 2}; /* of U+2028 and U+2029 */
    unsigned char first = (unsigned char)rest.ptr[0];
    size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (n > rest.len || !busi_utf8_valid((struct busi_str){rest.ptr, n})) {
        busi_buf_add(out, replacement, sizeof replacement - 1);
        return 1;
    }
    if (n == 3 && busi_str_starts(rest, separator) && (rest.ptr[2] == '\xA8' || rest.ptr[2] == '\xA9'))
        busi_buf_str(out, rest.ptr[2] == '\xA8' ? BUSI_STR("\\u2028") : BUSI_STR("\\u2029"));
    else
        busi_buf_add(out, rest.ptr, n);
    return n;
}

void busi_buf_json(struct busi_buf *out, struct busi_str s)
{
    busi_buf_char(out, '"');
    for (size_t i = 0; i < s.len;) {
        /* no byte of s becomes less than a byte, so this much is needed in any case */
        char *to = busi_buf_reserve(out, s.len - i);
        if (!to)
            return;
        size_t run = copy_plain(to, s.ptr + i, s.len - i);
        out->len += run;
        i += run;
        if (i == s.len)
            break;
        if ((unsigned char)s.ptr[i] < 0x80)
            escape(out, (unsigned char)s.ptr[i++]);
        else
            i += beyond_ascii(out, (struct busi_str){s.ptr + i, s.len - i});
    }
    busi_buf_char(out, '"');
}

void busi_buf_json_or_null(struct busi_buf *buf, struct busi_str s)
{
    if (s.ptr)
        busi_buf_json(buf, s);
    else
        busi_buf_str(buf, BUSI_STR("null"));
}
