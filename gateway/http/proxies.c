#include "http/proxies.h"
#include "http/forwarded.h"

#define BLANKS " \t"

/* Who trusts everybody lets everybody choose an address. */
static bool is_too_wide(const struct busi_network *network)
{
    enum { LEAST_V4 = 96 + 8, LEAST_V6 = 7 /* fc00::/7 */ };
    struct busi_network v4;
    bool known = busi_network_read(BUSI_STR("0.0.0.0/0"), &v4);
    bool some_v4 = known && (busi_network_has(network, &v4.first) || busi_network_has(&v4, &network->first));
    return network->bits < (some_v4 ? LEAST_V4 : LEAST_V6);
}

bool proxies_init(struct proxies *proxies, struct busi_str list, struct busi_str *bad)
{
    *proxies = (struct proxies){.header = BUSI_STR("x-forwarded-for")};
    *bad = (struct busi_str){0};
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
        struct busi_str part = busi_str_trim((struct busi_str){list.ptr, len}, BLANKS);
        if (proxies->n == PROXIES_MOST)
            return false;
        struct busi_network *network = &proxies->trusted[proxies->n++];
        if (!busi_network_read(part, network) || is_too_wide(network)) {
            *bad = part;
            return false;
        }
        len += comma != NULL;
        list = (struct busi_str){list.ptr + len, list.len - len};
    }
    return true;
}

bool proxies_write(struct proxies *proxies, struct busi_str header)
{
    proxies->header = header;
    proxies->rfc7239 = busi_str_eq(header, BUSI_STR("forwarded"));
    return proxies->rfc7239 || busi_str_eq(header, BUSI_STR("x-forwarded-for"));
}

static bool is_trusted(const struct proxies *proxies, const struct busi_address *address)
{
    for (size_t i = 0; i < proxies->n; i++)
        if (busi_network_has(&proxies->trusted[i], address))
            return true;
    return false;
}

/* Cuts the part behind the last comma off the list. */
static struct busi_str cut_last(struct busi_str *list)
{
    size_t at = list->len;
    while (at > 0 && list->ptr[at - 1] != ',')
        at--;
    struct busi_str last = {list->ptr + at, list->len - at};
    list->len = at > 0 ? at - 1 : 0;
    return busi_str_trim(last, BLANKS);
}

static bool read_last(const struct proxies *proxies, struct busi_str *list, struct busi_address *at)
{
    return proxies->rfc7239 ? forwarded_for(forwarded_cut_last(list), at)
                            : busi_address_read(cut_last(list), at);
}

/* Walks one header; false: the walk is over. */
static bool walk(const struct proxies *proxies, struct busi_str list, struct busi_address *at)
{
    while (list.len > 0) {
        if (!is_trusted(proxies, at) || !read_last(proxies, &list, at))
            return false;
    }
    return true;
}

bool proxies_client(const struct proxies *proxies, const struct http_request *request,
                    struct busi_address *out)
{
    struct busi_address peer, at;
    if (proxies->n == 0 || !busi_address_read(request->remote_addr, &peer))
        return false;
    at = peer;
    for (size_t i = request->n_headers; i > 0; i--) {
        const struct http_header *header = &request->headers[i - 1];
        if (busi_str_ieq(header->name, proxies->header) && !walk(proxies, header->value, &at))
            break;
    }
    *out = at;
    return memcmp(at.bytes, peer.bytes, sizeof at.bytes) != 0;
}
