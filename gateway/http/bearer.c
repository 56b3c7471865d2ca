#include "http/bearer.h"

struct busi_str bearer_token(struct busi_str header)
{
    struct busi_str scheme = BUSI_STR("Bearer"), none = {0};
    if (header.len <= scheme.len || !busi_str_ieq((struct busi_str){header.ptr, scheme.len}, scheme))
        return none;
    const char *at = header.ptr + scheme.len, *end = header.ptr + header.len;
    if (*at == ':')
        at++;
    const char *spaces = at;
    while (at < end && *at == ' ')
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (at == spaces || at == end)
        return none;
    return (struct busi_str){at, (size_t)(end - at)};
}

bool bearer_plausible(struct busi_str token)
{
    if (token.len == 0 || token.len > BEARER_MOST)
        return false;
    for (size_t i = 0; i < token.len; i++)
        if (token.ptr[i] <= ' ' || token.ptr[i] > '~')
            return false;
    return true;
}
