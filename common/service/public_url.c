#include "service/public_url.h"
#include "base/address.h"
#include "base/text.h"

enum { LABEL_MOST = 63, PORT_MOST = 65535, PORT_DIGITS = 5 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_plain(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* Cuts off what is before the first c, and c; all when there is none. */
static struct busi_str cut(struct busi_str *rest, char c)
{
    const char *end = rest->len ? memchr(rest->ptr, c, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    struct busi_str part = {rest->ptr, len};
    len += end != NULL;
    *rest = (struct busi_str){rest->ptr + len, rest->len - len};
    return part;
}

static bool is_label(struct busi_str label)
{
    for (size_t i = 0; i < label.len; i++)
        if (!is_plain(label.ptr[i]))
            return false;
    return label.len > 0 && label.len <= LABEL_MOST && label.ptr[0] != '-' && label.ptr[label.len - 1] != '-';
}

/* A name that ends in a number would be taken for an address by some, and not by others. */
static bool is_host(struct busi_str host)
{
    struct busi_address address;
    struct busi_str rest = host;
    if (host.len == 0)
        return false;
    if (is_digit(host.ptr[host.len - 1]) && busi_address_read(host, &address))
        return !memchr(host.ptr, ':', host.len);
    bool number = false;
    while (rest.len > 0) {
        struct busi_str label = cut(&rest, '.');
        if (!is_label(label))
            return false;
        number = true;
        for (size_t i = 0; i < label.len; i++)
            number = number && is_digit(label.ptr[i]);
    }
    return !number && host.ptr[host.len - 1] != '.';
}

static bool is_port(struct busi_str port)
{
    int64_t number = 0;
    return port.len <= PORT_DIGITS && busi_str_int(port, &number) && number >= 1 && number <= PORT_MOST;
}

static bool is_authority(struct busi_str authority)
{
    struct busi_address address;
    struct busi_str rest = authority;
    if (busi_str_starts(authority, BUSI_STR("["))) {
        struct busi_str bracket = cut(&rest, ']');
        struct busi_str inside = {bracket.ptr + 1, bracket.len - 1};
        if (bracket.len == authority.len || !memchr(inside.ptr, ':', inside.len) ||
            !busi_address_read(inside, &address))
            return false;
        return rest.len == 0 ||
               (rest.ptr[0] == ':' && is_port((struct busi_str){rest.ptr + 1, rest.len - 1}));
    }
    struct busi_str host = cut(&rest, ':');
    return is_host(host) && (host.len == authority.len || is_port(rest));
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_segment(struct busi_str part)
{
    for (size_t i = 0; i < part.len; i++) {
        bool escape =
            part.ptr[i] == '%' && part.len - i > 2 && is_hex(part.ptr[i + 1]) && is_hex(part.ptr[i + 2]);
        if (!escape && !is_plain(part.ptr[i]) && part.ptr[i] != '.' && part.ptr[i] != '~')
            return false;
    }
    return part.len > 0 && !busi_str_eq(part, BUSI_STR(".")) && !busi_str_eq(part, BUSI_STR(".."));
}

bool busi_public_url_valid(struct busi_str url)
{
    size_t scheme = busi_str_starts(url, BUSI_STR("https://"))  ? strlen("https://")
                    : busi_str_starts(url, BUSI_STR("http://")) ? strlen("http://")
                                                                : 0;
    if (scheme == 0)
        return false;
    struct busi_str rest = {url.ptr + scheme, url.len - scheme};
    if (!is_authority(cut(&rest, '/')))
        return false;
    while (rest.len > 0)
        if (!is_segment(cut(&rest, '/')))
            return false;
    return url.ptr[url.len - 1] != '/';
}
