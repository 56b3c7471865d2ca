#include "crypto/phc.h"

/* Takes what is expected off the front of rest. */
static bool take(struct busi_str *rest, struct busi_str expected)
{
    if (!busi_str_starts(*rest, expected))
        return false;
    rest->ptr += expected.len;
    rest->len -= expected.len;
    return true;
}

/* Takes everything up to the mark, and the mark. */
static bool take_until(struct busi_str *rest, char mark, struct busi_str *out)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, mark, rest->len) : NULL;
    if (!end)
        return false;
    *out = (struct busi_str){rest->ptr, (size_t)(end - rest->ptr)};
    rest->ptr = end + 1;
    rest->len -= out->len + 1;
    return true;
}

static bool take_number(struct busi_str *rest, char mark, int64_t least, int64_t most, int64_t *out)
{
    struct busi_str digits;
    return take_until(rest, mark, &digits) && busi_str_int(digits, out) && *out >= least && *out <= most;
}

/* Standard base64 without padding, for least..most bytes. */
static bool is_base64(struct busi_str s, size_t least, size_t most)
{
    if (s.len < (least * 4 + 2) / 3 || s.len > (most * 4 + 2) / 3 || s.len % 4 == 1)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((busi_lower(c) >= 'a' && busi_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
              c == '/'))
            return false;
    }
    return true;
}

bool busi_phc_read(struct busi_phc *phc, struct busi_str stored)
{
    struct busi_str rest = stored;
    if (stored.len > BUSI_PHC_MOST_BYTES)
        return false;
    phc->argon2id = take(&rest, BUSI_STR("$argon2id$"));
    bool fine = (phc->argon2id || take(&rest, BUSI_STR("$argon2i$"))) && take(&rest, BUSI_STR("v=19$m=")) &&
                take_number(&rest, ',', 8, BUSI_PHC_MOST_KIB, &phc->memory_kib) &&
                take(&rest, BUSI_STR("t=")) &&
                take_number(&rest, ',', 1, BUSI_PHC_MOST_PASSES, &phc->passes) &&
                take(&rest, BUSI_STR("p=")) && take_number(&rest, '$', 1, BUSI_PHC_MOST_LANES, &phc->lanes) &&
                take_until(&rest, '$', &phc->salt) && is_base64(phc->salt, 8, 48) && is_base64(rest, 16, 64);
    phc->hash = rest;
    return fine && phc->memory_kib >= 8 * phc->lanes;
}
