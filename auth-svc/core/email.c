#include "core/email.h"

enum { LOCAL_MOST_BYTES = 64, LABEL_MOST_BYTES = 63 };

static bool is_letter(char c)
{
    return busi_lower(c) >= 'a' && busi_lower(c) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 5322's atext without '%', which old relays read as a route. */
static bool is_local(char c)
{
    return is_letter(c) || is_digit(c) || (c && strchr("!#$&'*+-/=?^_`{|}~", c));
}

/* Non-empty runs of what is_local accepts, with single dots between. */
static bool is_dot_string(struct busi_str local)
{
    bool after_dot = true;
    if (local.len == 0 || local.len > LOCAL_MOST_BYTES)
        return false;
    for (size_t i = 0; i < local.len; i++) {
        bool dot = local.ptr[i] == '.';
        if (dot ? after_dot : !is_local(local.ptr[i]))
            return false;
        after_dot = dot;
    }
    return !after_dot;
}

static bool is_label(struct busi_str label)
{
    if (label.len == 0 || label.len > LABEL_MOST_BYTES || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_letter(label.ptr[i]) && !is_digit(label.ptr[i]) && label.ptr[i] != '-')
            return false;
    return true;
}

/* Two labels or more; the last is no number, so that 127.0.0.1 is no domain, and at least two characters. */
static bool is_domain(struct busi_str domain)
{
    const char *end = domain.ptr + domain.len;
    size_t labels = 1;
    for (const char *dot; (dot = memchr(domain.ptr, '.', (size_t)(end - domain.ptr))); domain.ptr = dot + 1) {
        if (!is_label((struct busi_str){domain.ptr, (size_t)(dot - domain.ptr)}))
            return false;
        labels++;
    }
    struct busi_str last = {domain.ptr, (size_t)(end - domain.ptr)};
    return labels >= 2 && last.len >= 2 && is_label(last) && is_letter(last.ptr[0]);
}

bool auth_email_valid(struct busi_str email)
{
    const char *at = email.len > 0 ? memchr(email.ptr, '@', email.len) : NULL;
    if (!at || email.len > AUTH_EMAIL_MOST_BYTES)
        return false;
    struct busi_str local = {email.ptr, (size_t)(at - email.ptr)};
    struct busi_str domain = {at + 1, email.len - local.len - 1};
    return is_dot_string(local) && is_domain(domain);
}

struct busi_str auth_name_key(struct busi_arena *arena, struct busi_str name)
{
    char *key = busi_arena_alloc(arena, name.len + 1);
    for (size_t i = 0; key && i < name.len; i++)
        key[i] = busi_lower(name.ptr[i]);
    return (struct busi_str){key, key ? name.len : 0};
}
