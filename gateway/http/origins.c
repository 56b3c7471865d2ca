#include "http/origins.h"

#define BLANKS " \t"

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '[' || c == ']' ||
           c == ':';
}

/* "scheme://host[:port]" as browsers write it: in lower case and without a slash at the end. */
static bool is_origin(struct busi_str text)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        struct busi_str scheme = busi_str_of(schemes[i]);
        if (!busi_str_starts(text, scheme))
            continue;
        for (size_t at = scheme.len; at < text.len; at++)
            if (!is_host_char(text.ptr[at]))
                return false;
        return text.len > scheme.len && text.ptr[scheme.len] != ':' && text.ptr[text.len - 1] != ':';
    }
    return false;
}

bool origins_init(struct origins *origins, struct busi_str list, struct busi_str *bad)
{
    *origins = (struct origins){0};
    *bad = (struct busi_str){0};
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        struct busi_str part = busi_str_trim((struct busi_str){list.ptr, len}, BLANKS);
        if (origins->n == ORIGINS_MOST)
            return false;
        if (!is_origin(part)) {
            *bad = part;
            return false;
        }
        origins->list[origins->n++] = part;
        len += comma != NULL;
        list = (struct busi_str){list.ptr + len, list.len - len};
    }
    return true;
}
