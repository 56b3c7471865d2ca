#include "base/roles.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool busi_role_name_valid(struct busi_str name)
{
    if (name.len < 1 || name.len > BUSI_ROLE_MOST)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_name_char(name.ptr[i]))
            return false;
    return true;
}

struct busi_str busi_roles_next(struct busi_str *roles)
{
    if (roles->len == 0)
        return (struct busi_str){0};
    const char *comma = memchr(roles->ptr, ',', roles->len);
    struct busi_str name = {roles->ptr, comma ? (size_t)(comma - roles->ptr) : roles->len};
    size_t used = comma ? name.len + 1 : name.len;
    *roles = (struct busi_str){roles->ptr + used, roles->len - used};
    return name;
}

bool busi_roles_have(struct busi_str roles, struct busi_str name)
{
    for (struct busi_str one = busi_roles_next(&roles); one.ptr; one = busi_roles_next(&roles))
        if (busi_str_ieq(one, name))
            return true;
    return false;
}
