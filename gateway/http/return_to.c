#include "http/return_to.h"

/* Browsers drop tabs and line breaks within URLs, and take a backslash for a slash. */
static bool is_plain(struct busi_str target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.ptr[i] <= ' ' || target.ptr[i] > '~' || target.ptr[i] == '\\')
            return false;
    return target.len > 0 && target.len <= RETURN_TO_MOST;
}

/* The origin must end where it ends: in "https://good.example@evil.example" it does not. */
static bool begins_with_origin(struct busi_str target, struct busi_str origin)
{
    if (target.len < origin.len || !busi_str_ieq((struct busi_str){target.ptr, origin.len}, origin))
        return false;
    char next = target.len > origin.len ? target.ptr[origin.len] : '/';
    return next == '/' || next == '?' || next == '#';
}

/* "//evil.example" is another host, and "/..//evil.example" is that to who resolves dots. */
static bool is_path(struct busi_str target)
{
    for (size_t i = 1; i < target.len && target.ptr[i] != '?' && target.ptr[i] != '#'; i++)
        if (target.ptr[i] == '/' && target.ptr[i - 1] == '/')
            return false;
    return true;
}

bool return_to_ok(struct busi_str target, const struct origins *origins)
{
    if (!is_plain(target))
        return false;
    if (target.ptr[0] == '/')
        return is_path(target);
    for (size_t i = 0; i < origins->n; i++)
        if (begins_with_origin(target, origins->list[i]))
            return true;
    return false;
}
