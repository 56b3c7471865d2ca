#include "core/setting_words.h"

struct busi_str auth_words_next(struct busi_str *rest, const char *separators)
{
    *rest = busi_str_trim(*rest, AUTH_BLANKS);
    size_t n = 0;
    if (rest->len == 0)
        return (struct busi_str){0};
    while (n < rest->len && !strchr(separators, rest->ptr[n]))
        n++;
    struct busi_str text = busi_str_trim((struct busi_str){rest->ptr, n}, AUTH_BLANKS);
    n += n < rest->len;
    *rest = (struct busi_str){rest->ptr + n, rest->len - n};
    return text;
}

bool auth_words_cut(struct busi_str text, struct busi_str *name, struct busi_str *value)
{
    const char *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;
    if (!equals)
        return false;
    *name = (struct busi_str){text.ptr, (size_t)(equals - text.ptr)};
    *value = (struct busi_str){equals + 1, text.len - name->len - 1};
    return name->len > 0 && value->len > 0;
}

bool auth_words_name(struct busi_str name, size_t most)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = busi_lower(name.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return name.len > 0 && name.len <= most;
}
