#define _GNU_SOURCE /* memrchr */
#include "rpc/endpoints.h"

/* "host:port", which spaces may stand around. */
static bool parse(struct busi_str text, struct busi_host_port *out)
{
    while (text.len > 0 && text.ptr[0] == ' ')
        text = (struct busi_str){text.ptr + 1, text.len - 1};
    while (text.len > 0 && text.ptr[text.len - 1] == ' ')
        text.len--;
    const char *colon = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
    if (!colon)
        return false;
    struct busi_str host = {text.ptr, (size_t)(colon - text.ptr)};
    int64_t port;
    if (!busi_str_int((struct busi_str){colon + 1, text.len - host.len - 1}, &port) || port < 1 ||
        port > UINT16_MAX)
        return false;
    *out = (struct busi_host_port){.host = host, .port = (uint16_t)port};
    return host.len > 0 && host.len <= 255 && !memchr(host.ptr, ':', host.len) &&
           !memchr(host.ptr, ' ', host.len);
}

bool busi_endpoints_take(struct busi_str *list, struct busi_host_port *out)
{
    const char *comma = list->len ? memchr(list->ptr, ',', list->len) : NULL;
    size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
    if (!parse((struct busi_str){list->ptr, len}, out))
        return false;
    len += comma != NULL;
    *list = (struct busi_str){list->ptr + len, list->len - len};
    return true;
}

bool busi_endpoints_valid(struct busi_str list)
{
    struct busi_host_port endpoint;
    size_t n = 0;
    while (list.len > 0)
        if (n++ == BUSI_MOST_ENDPOINTS || !busi_endpoints_take(&list, &endpoint))
            return false;
    return n > 0;
}
