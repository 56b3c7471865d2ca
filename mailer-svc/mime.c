#include "mime.h"
#include "base/text.h"
#include <time.h>

enum { LINE_CHARS = 76 };

static bool is_plain(char c)
{
    return c >= ' ' && c < 0x7f;
}

static void add_hex(struct busi_buf *out, char c)
{
    busi_buf_printf(out, "=%02X", (unsigned)(unsigned char)c);
}

/* ---- headers ---- */

static bool is_clean(struct busi_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    return busi_utf8_valid(text);
}

/* Whether it can stand in a header as it is. */
static bool is_raw(struct busi_str text, size_t column)
{
    if (column + text.len > LINE_CHARS)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_plain(text.ptr[i]) || (text.ptr[i] == '=' && i + 1 < text.len && text.ptr[i + 1] == '?'))
            return false;
    return text.len == 0 || (text.ptr[0] != ' ' && text.ptr[text.len - 1] != ' ');
}

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (busi_lower(c) >= 'a' && busi_lower(c) <= 'z');
}

/* Bytes of the UTF-8 character that begins here: an encoded word must not split one. */
static size_t character_bytes(char first)
{
    unsigned char c = (unsigned char)first;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Encoded words of RFC 2047, Q form, that are fit for text and for phrases; folded. Returns the column. */
static size_t add_words(struct busi_buf *out, struct busi_str text, size_t column)
{
    static const char begin[] = "=?UTF-8?Q?", end[] = "?=";
    busi_buf_add(out, begin, sizeof(begin) - 1);
    column += sizeof(begin) - 1;
    for (size_t i = 0; i < text.len;) {
        size_t n = character_bytes(text.ptr[i]);
        size_t width = is_alphanumeric(text.ptr[i]) || text.ptr[i] == ' ' ? 1 : 3 * n;
        if (column + width + sizeof(end) - 1 > LINE_CHARS) {
            busi_buf_printf(out, "%s\r\n %s", end, begin);
            column = sizeof(begin);
        }
        for (size_t j = i; j < i + n; j++)
            if (width == 1)
                busi_buf_char(out, text.ptr[j] == ' ' ? '_' : text.ptr[j]);
            else
                add_hex(out, text.ptr[j]);
        column += width;
        i += n;
    }
    busi_buf_add(out, end, sizeof(end) - 1);
    return column + sizeof(end) - 1;
}

bool mime_header(struct busi_buf *out, const char *name, struct busi_str text)
{
    if (!is_clean(text))
        return false;
    size_t column = strlen(name) + 2;
    busi_buf_printf(out, "%s: ", name);
    if (is_raw(text, column))
        busi_buf_str(out, text);
    else
        add_words(out, text, column);
    busi_buf_str(out, BUSI_STR("\r\n"));
    return true;
}

bool mime_mailbox(struct busi_buf *out, const char *header, struct busi_str name, struct busi_str address)
{
    if (!is_clean(name) || !is_clean(address))
        return false;
    size_t column = strlen(header) + 2;
    bool words = false;
    busi_buf_printf(out, "%s: ", header);
    for (size_t i = 0; i < name.len; i++)
        words |= !is_alphanumeric(name.ptr[i]) && name.ptr[i] != ' ';
    if (words || !is_raw(name, column))
        column = add_words(out, name, column);
    else
        busi_buf_str(out, name);
    if (name.len == 0)
        busi_buf_str(out, address);
    else /* folded before the address: a long one must not make the line too long */
        busi_buf_printf(out, "%s<%.*s>", column + address.len + 3 > LINE_CHARS ? "\r\n " : " ",
                        BUSI_ARG(address));
    busi_buf_str(out, BUSI_STR("\r\n"));
    return true;
}

void mime_date(struct busi_buf *out, int64_t wall_us)
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {0};
    time_t seconds = (time_t)(wall_us / 1000000);
    gmtime_r(&seconds, &tm);
    busi_buf_printf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d +0000\r\n", days + 3 * tm.tm_wday,
                    tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* ---- bodies ---- */

/* Whether a line ends at i: at LF, CRLF or the end. */
static bool ends_at(struct busi_str text, size_t i)
{
    if (i < text.len && text.ptr[i] == '\r')
        return i + 1 < text.len && text.ptr[i + 1] == '\n';
    return i >= text.len || text.ptr[i] == '\n';
}

/* Beside what RFC 2045 asks: a dot and "From " at the start of a line, which mail programs may alter. */
static bool needs_hex(struct busi_str text, size_t i, size_t column)
{
    char c = text.ptr[i];
    if (c == ' ' || c == '\t')
        return ends_at(text, i + 1);
    if (column == 0 && (c == '.' || c == 'F'))
        return true;
    return !is_plain(c) || c == '=';
}

void mime_quoted_printable(struct busi_buf *out, struct busi_str text)
{
    size_t column = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (ends_at(text, i)) {
            i += text.ptr[i] == '\r';
            busi_buf_str(out, BUSI_STR("\r\n"));
            column = 0;
            continue;
        }
        /* one column stays free for the = of a soft line end */
        if (column + (needs_hex(text, i, column) ? 3 : 1) > LINE_CHARS - 1) {
            busi_buf_str(out, BUSI_STR("=\r\n"));
            column = 0;
        }
        bool hex = needs_hex(text, i, column);
        if (hex)
            add_hex(out, text.ptr[i]);
        else
            busi_buf_char(out, text.ptr[i]);
        column += hex ? 3 : 1;
    }
    if (column > 0)
        busi_buf_str(out, BUSI_STR("\r\n"));
}
