#include "base/str.h"

static bool is_one_of(char c, const char *set)
{
    return c != 0 && strchr(set, c);
}

struct busi_str busi_str_trim(struct busi_str s, const char *blanks)
{
    while (s.len > 0 && is_one_of(s.ptr[0], blanks))
        s = (struct busi_str){s.ptr + 1, s.len - 1};
    while (s.len > 0 && is_one_of(s.ptr[s.len - 1], blanks))
        s.len--;
    return s;
}

bool busi_str_int(struct busi_str s, int64_t *out)
{
    size_t i = 0;
    bool negative = s.len > 0 && s.ptr[0] == '-';
    if (negative)
        i = 1;
    size_t digits = s.len - i;
    if (digits == 0 || digits > 19 || (s.ptr[i] == '0' && (digits > 1 || negative)))
        return false;
    uint64_t value = 0;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(s.ptr[i] - '0'); /* 19 digits fit uint64 */
    }
    if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}
