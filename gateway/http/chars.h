/* Classes of characters in what clients send: ASCII, whatever the locale says. */
#pragma once
#include "base/str.h"

static inline bool chars_is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (busi_lower(c) >= 'a' && busi_lower(c) <= 'z');
}

static inline bool chars_is_one_of(char c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

/* Of a token, RFC 9110 section 5.6.2. */
static inline bool chars_is_token(char c)
{
    return chars_is_alphanumeric(c) || chars_is_one_of(c, "!#$%&'*+-.^_`|~");
}
