#include "base/address.h"
#include <arpa/inet.h>

enum { V4_AT = 12, V4_BITS = 32, ALL_BITS = 128 };

static const uint8_t v4_prefix[V4_AT] = {[10] = 0xFF, [11] = 0xFF};

bool busi_address_read(struct busi_str text, struct busi_address *out)
{
    char name[BUSI_ADDRESS_TEXT];
    struct busi_address read = {0};
    if (text.len == 0 || text.len >= sizeof name || memchr(text.ptr, 0, text.len))
        return false;
    memcpy(name, text.ptr, text.len);
    name[text.len] = 0;
    if (inet_pton(AF_INET, name, read.bytes + V4_AT) == 1)
        memcpy(read.bytes, v4_prefix, V4_AT);
    else if (inet_pton(AF_INET6, name, read.bytes) != 1)
        return false;
    *out = read;
    return true;
}

static bool is_v4(const struct busi_address *address)
{
    return memcmp(address->bytes, v4_prefix, V4_AT) == 0;
}

void busi_address_print(const struct busi_address *address, char out[BUSI_ADDRESS_TEXT])
{
    bool v4 = is_v4(address);
    out[0] = 0; /* never left so: the room suffices */
    inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? V4_AT : 0), out, BUSI_ADDRESS_TEXT);
}

struct busi_address busi_address_cut(const struct busi_address *address, unsigned bits)
{
    struct busi_address cut = *address;
    for (unsigned i = 0; i < sizeof cut.bytes; i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        if (kept < 8)
            cut.bytes[i] &= (uint8_t)(0xFF00 >> kept);
    }
    return cut;
}

struct busi_address busi_address_site(const struct busi_address *address)
{
    enum { BITS_V6 = 64 };
    return is_v4(address) ? *address : busi_address_cut(address, BITS_V6);
}

bool busi_network_read(struct busi_str text, struct busi_network *out)
{
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    struct busi_str first = {text.ptr, slash ? (size_t)(slash - text.ptr) : text.len};
    struct busi_network read = {.bits = ALL_BITS};
    if (!busi_address_read(first, &read.first))
        return false;
    if (slash) {
        bool v4 = !memchr(first.ptr, ':', first.len);
        int64_t bits;
        if (!busi_str_int((struct busi_str){slash + 1, text.len - first.len - 1}, &bits) || bits < 0 ||
            bits > (v4 ? V4_BITS : ALL_BITS))
            return false;
        read.bits = (unsigned)bits + (v4 ? ALL_BITS - V4_BITS : 0);
    }
    struct busi_address cut = busi_address_cut(&read.first, read.bits);
    if (memcmp(cut.bytes, read.first.bytes, sizeof cut.bytes) != 0)
        return false;
    *out = read;
    return true;
}

bool busi_network_has(const struct busi_network *network, const struct busi_address *address)
{
    struct busi_address cut = busi_address_cut(address, network->bits);
    return memcmp(cut.bytes, network->first.bytes, sizeof cut.bytes) == 0;
}
