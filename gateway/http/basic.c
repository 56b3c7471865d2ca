#include "http/basic.h"
#include "base/text.h"

enum { MOST = 16 * 1024 }; /* characters of base64 */

/* The same in base64url without padding, whose reader is strict. Absent: it is neither. */
static struct busi_str as_base64url(struct busi_arena *arena, struct busi_str text)
{
    if (text.len == 0 || text.len % 4 != 0 || text.len > MOST)
        return (struct busi_str){0};
    for (int i = 0; i < 2 && text.ptr[text.len - 1] == '='; i++)
        text.len--;
    char *copy = busi_arena_alloc(arena, text.len);
    for (size_t i = 0; copy && i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '-' || c == '_')
            return (struct busi_str){0};
        copy[i] = c;
        if (c == '+')
            copy[i] = '-';
        else if (c == '/')
            copy[i] = '_';
    }
    return (struct busi_str){copy, text.len};
}

static enum basic_verdict decode(struct busi_arena *arena, struct busi_str text, struct basic *out)
{
    struct busi_str encoded = as_base64url(arena, text);
    char *plain = encoded.ptr ? busi_arena_alloc(arena, encoded.len) : NULL;
    ptrdiff_t n = plain ? busi_base64url_decode(plain, encoded.len, encoded) : -1;
    const char *colon = n > 0 ? memchr(plain, ':', (size_t)n) : NULL;
    struct busi_str both = {plain, n > 0 ? (size_t)n : 0};
    if (!colon || !busi_utf8_valid(both) || memchr(plain, '\0', both.len))
        return BASIC_BROKEN;
    out->user = (struct busi_str){plain, (size_t)(colon - plain)};
    out->password = (struct busi_str){colon + 1, (size_t)(plain + both.len - colon - 1)};
    return BASIC_FOUND;
}

enum basic_verdict basic_read(struct busi_arena *arena, struct busi_str header, struct basic *out)
{
    const struct busi_str scheme = BUSI_STR("Basic ");
    *out = (struct basic){0};
    if (header.len < scheme.len || !busi_str_ieq((struct busi_str){header.ptr, scheme.len}, scheme))
        return BASIC_NONE;
    struct busi_str rest = {header.ptr + scheme.len, header.len - scheme.len};
    return decode(arena, busi_str_trim(rest, " \t"), out);
}
