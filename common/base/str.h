/* A run of bytes with its length. Never assume a NUL behind it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct busi_str {
    const char *ptr; /* NULL: absent. Borrowed unless the owner says otherwise */
    size_t len;      /* bytes */
};

#define BUSI_STR(literal) ((struct busi_str){(literal), sizeof(literal) - 1})
/* For printf's "%.*s". */
#define BUSI_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct busi_str busi_str_of(const char *text)
{
    return (struct busi_str){text, text ? strlen(text) : 0};
}

static inline bool busi_str_eq(struct busi_str a, struct busi_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII only, whatever the locale says. */
static inline char busi_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool busi_str_ieq(struct busi_str a, struct busi_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (busi_lower(a.ptr[i]) != busi_lower(b.ptr[i]))
            return false;
    return true;
}

static inline bool busi_str_starts(struct busi_str s, struct busi_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Value of a hexadecimal digit in either case, or -1. */
static inline int busi_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = busi_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* s without the bytes of blanks at both ends. */
struct busi_str busi_str_trim(struct busi_str s, const char *blanks);
/* Whole string as a canonical decimal (no sign but '-', no leading zero). False on anything else
 * and on overflow; *out is then untouched. */
bool busi_str_int(struct busi_str s, int64_t *out);
