#include "http/head_target.h"
#include "http/chars.h"

/* The byte "%XX" at s.ptr[i] stands for, -1 when it is no escape. */
static int escaped_byte(struct busi_str s, size_t i)
{
    if (s.len - i < 3)
        return -1;
    int high = busi_hex_digit(s.ptr[i + 1]), low = busi_hex_digit(s.ptr[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool bytes_valid(struct busi_str s, bool is_path)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < 0x21 || c > 0x7E || c == '#' || c == '\\')
            return false;
        if (c != '%')
            continue;
        int byte = escaped_byte(s, i);
        if (byte <= 0 || (is_path && (byte == '.' || byte == '/' || byte == '\\' || byte == '%')))
            return false;
    }
    return true;
}

static bool has_dot_segment(struct busi_str path)
{
    size_t begin = 0;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        struct busi_str segment = {path.ptr + begin, i - begin};
        if (busi_str_eq(segment, BUSI_STR(".")) || busi_str_eq(segment, BUSI_STR("..")))
            return true;
        begin = i + 1;
    }
    return false;
}

bool head_target_valid(struct busi_str path, struct busi_str query)
{
    return path.len > 0 && path.ptr[0] == '/' && bytes_valid(path, true) && bytes_valid(query, false) &&
           !has_dot_segment(path);
}

/* ---- Host ---- */

static bool port_valid(struct busi_str port)
{
    unsigned n = 0;
    if (port.len == 0 || port.len > 5)
        return false;
    for (size_t i = 0; i < port.len; i++) {
        if (port.ptr[i] < '0' || port.ptr[i] > '9')
            return false;
        n = n * 10 + (unsigned)(port.ptr[i] - '0');
    }
    return n <= 65535;
}

static bool name_valid(struct busi_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!chars_is_alphanumeric(name.ptr[i]) && !chars_is_one_of(name.ptr[i], ".-_"))
            return false;
    }
    return name.len > 0 && name.len <= 255;
}

static bool ipv6_valid(struct busi_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (busi_hex_digit(text.ptr[i]) < 0 && text.ptr[i] != ':' && text.ptr[i] != '.')
            return false;
    return text.len >= 2 && text.len <= 45;
}

bool head_host_valid(struct busi_str host)
{
    if (host.len > 0 && host.ptr[0] == '[') {
        const char *close = memchr(host.ptr, ']', host.len);
        if (!close || !ipv6_valid((struct busi_str){host.ptr + 1, (size_t)(close - host.ptr - 1)}))
            return false;
        struct busi_str rest = {close + 1, host.len - (size_t)(close + 1 - host.ptr)};
        return rest.len == 0 ||
               (rest.ptr[0] == ':' && port_valid((struct busi_str){rest.ptr + 1, rest.len - 1}));
    }
    const char *colon = host.len > 0 ? memchr(host.ptr, ':', host.len) : NULL;
    if (!colon)
        return name_valid(host);
    struct busi_str name = {host.ptr, (size_t)(colon - host.ptr)};
    struct busi_str port = {colon + 1, host.len - name.len - 1};
    return name_valid(name) && port_valid(port);
}
