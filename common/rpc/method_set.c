#include "rpc/method_set.h"

static void put(struct busi_method_set *set, size_t id)
{
    set->bits[id / 64] |= UINT64_C(1) << id % 64;
}

void busi_method_set_fill(struct busi_method_set *set)
{
    for (size_t i = 0; i < BUSI_METHODS; i++)
        put(set, i);
}

static bool is_separator(char c)
{
    return c == ' ' || c == ',' || c == '\t';
}

/* The next name, cut off *rest; absent at the end. */
static struct busi_str next(struct busi_str *rest)
{
    size_t from = 0, to;
    while (from < rest->len && is_separator(rest->ptr[from]))
        from++;
    for (to = from; to < rest->len && !is_separator(rest->ptr[to]);)
        to++;
    struct busi_str name = {rest->ptr + from, to - from};
    *rest = (struct busi_str){rest->ptr + to, rest->len - to};
    return name.len > 0 ? name : (struct busi_str){0};
}

static bool names(struct busi_str pattern, struct busi_str method)
{
    if (pattern.ptr[pattern.len - 1] != '*')
        return busi_str_eq(pattern, method);
    return busi_str_starts(method, (struct busi_str){pattern.ptr, pattern.len - 1});
}

void busi_method_set_read(struct busi_method_set *set, struct busi_str list, struct busi_str *unknown)
{
    *set = (struct busi_method_set){0};
    *unknown = (struct busi_str){0};
    for (size_t i = 0; i < BUSI_METHODS; i++)
        if (busi_str_eq(busi_str_of(busi_method_get((enum busi_method_id)i)->service), BUSI_STR("rpc")))
            put(set, i);
    for (struct busi_str name = next(&list); name.ptr; name = next(&list)) {
        bool found = false;
        for (size_t i = 0; i < BUSI_METHODS; i++)
            if (names(name, busi_str_of(busi_method_get((enum busi_method_id)i)->wire))) {
                put(set, i);
                found = true;
            }
        if (!found && !unknown->ptr)
            *unknown = name;
    }
}

bool busi_method_set_has(const struct busi_method_set *set, enum busi_method_id id)
{
    return set->bits[id / 64] >> id % 64 & 1;
}
