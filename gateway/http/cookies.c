#include "http/cookies.h"

static struct busi_str cut(struct busi_str *rest)
{
    const char *stop = memchr(rest->ptr, ';', rest->len);
    struct busi_str part = {rest->ptr, stop ? (size_t)(stop - rest->ptr) : rest->len};
    size_t taken = part.len + (stop ? 1 : 0);
    *rest = (struct busi_str){rest->ptr + taken, rest->len - taken};
    return busi_str_trim(part, " \t");
}

static struct busi_str unquoted(struct busi_str value)
{
    bool quoted = value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"';
    return quoted ? (struct busi_str){value.ptr + 1, value.len - 2} : value;
}

struct busi_str cookie_find(const struct http_request *request, struct busi_str name)
{
    const struct http_header *header = http_find_header(request, BUSI_STR("cookie"));
    struct busi_str rest = header ? header->value : (struct busi_str){0};
    while (rest.len > 0) {
        struct busi_str pair = cut(&rest);
        if (pair.len > name.len && pair.ptr[name.len] == '=' && busi_str_starts(pair, name))
            return unquoted((struct busi_str){pair.ptr + name.len + 1, pair.len - name.len - 1});
    }
    return (struct busi_str){0};
}
