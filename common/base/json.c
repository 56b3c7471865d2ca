/* busi_buf_json(): text as a JSON string (RFC 8259 section 7). */
#include "base/buf.h"
#include "base/text.h"

static const char replacement[] = "\xEF\xBF\xBD";

/* Bytes that go out as they are: printable ASCII but '"' and '\\'. DEL is escaped for logs on terminals. */
static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
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
    size_t i = 0;
    while (i < s.len) {
        size_t run = i;
        while (run < s.len && plain((unsigned char)s.ptr[run]))
            run++;
        busi_buf_add(out, s.ptr + i, run - i);
        i = run;
        if (i == s.len)
            break;
        if ((unsigned char)s.ptr[i] < 0x80)
            escape(out, (unsigned char)s.ptr[i++]);
        else
            i += beyond_ascii(out, (struct busi_str){s.ptr + i, s.len - i});
    }
    busi_buf_char(out, '"');
}
