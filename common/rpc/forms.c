#include "rpc/forms.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool busi_form_id(struct busi_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '.' || c == '_' ||
                    c == '-';
        if (!fine)
            return false;
    }
    return s.len > 0;
}

bool busi_form_address(struct busi_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F') && c != '.' && c != ':')
            return false;
    }
    return s.len > 0;
}

bool busi_form_language(struct busi_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-')
            return false;
    }
    return s.len > 0;
}

bool busi_form_visible(struct busi_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7E)
            return false;
    return s.len > 0;
}

static bool hex_run(struct busi_str s, size_t from, size_t n)
{
    bool any = false;
    for (size_t i = from; i < from + n; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        any |= c != '0';
    }
    return any;
}

bool busi_form_trace(struct busi_str s)
{
    if (s.len != 55 || s.ptr[0] != '0' || s.ptr[1] != '0')
        return false;
    if (s.ptr[2] != '-' || s.ptr[35] != '-' || s.ptr[52] != '-')
        return false;
    bool no_flags = s.ptr[53] == '0' && s.ptr[54] == '0';
    return hex_run(s, 3, 32) && hex_run(s, 36, 16) && (no_flags || hex_run(s, 53, 2));
}
