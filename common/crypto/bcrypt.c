#include "crypto/bcrypt.h"
#include "crypto/secret.h"
#include <crypt.h>

enum { HASH_LEN = 60, SALT_END = 29, PASSWORD_BYTES = 72, LEAST_COST = 4, MOST_COST = 16 };

static bool is_bcrypt_digit(char c)
{
    return (busi_lower(c) >= 'a' && busi_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '/';
}

bool busi_bcrypt_known(struct busi_str stored)
{
    if (stored.len != HASH_LEN || memcmp(stored.ptr, "$2", 2) != 0 || !memchr("aby", stored.ptr[2], 3) ||
        stored.ptr[3] != '$' || stored.ptr[6] != '$')
        return false;
    for (size_t i = 7; i < HASH_LEN; i++)
        if (!is_bcrypt_digit(stored.ptr[i]))
            return false;
    char tens = stored.ptr[4], ones = stored.ptr[5];
    if (tens < '0' || tens > '9' || ones < '0' || ones > '9')
        return false;
    int cost = (tens - '0') * 10 + (ones - '0');
    return cost >= LEAST_COST && cost <= MOST_COST;
}

bool busi_bcrypt_verify(struct busi_str stored, struct busi_str password)
{
    if (password.len > 0 && memchr(password.ptr, '\0', password.len))
        return false;
    struct crypt_data data = {0}; /* 32 KiB; not of malloc(), which might have none */
    char phrase[PASSWORD_BYTES + 1] = {0}, setting[HASH_LEN + 1] = {0};
    if (password.len > 0)
        memcpy(phrase, password.ptr, password.len < PASSWORD_BYTES ? password.len : PASSWORD_BYTES);
    memcpy(setting, stored.ptr, HASH_LEN);
    /* libxcrypt gives $2a$ a twist against hashes of an old PHP bug; Erlang's and OpenBSD's $2a$ is $2b$. */
    setting[2] = 'b';
    const char *hash = crypt_rn(phrase, setting, &data, (int)sizeof(data));
    /* Only the hash counts: spare bits in the salt's last character come back cleared. */
    bool same = hash && strlen(hash) == HASH_LEN &&
                busi_same_bytes(hash + SALT_END, stored.ptr + SALT_END, HASH_LEN - SALT_END);
    busi_wipe(phrase, sizeof(phrase));
    busi_wipe(&data, sizeof(data));
    return same;
}
