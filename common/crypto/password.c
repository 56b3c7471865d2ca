#include "crypto/password.h"
#include "crypto/argon_memory.h"
#include "crypto/bcrypt.h"
#include "crypto/phc.h"
#include <sodium.h>
#include <stdlib.h>

enum { USUAL_MOST_BYTES = 64 * 1024 * 1024, BASE64 = sodium_base64_VARIANT_ORIGINAL_NO_PADDING };

_Static_assert(BUSI_PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "libsodium fits");

void *busi_password_thread_init(void)
{
    return busi_argon_memory_init();
}

void busi_password_thread_fini(void *memory)
{
    busi_argon_memory_fini(memory);
}

void busi_password_thread_rest(void)
{
    busi_argon_memory_release();
}

/* argon2 works on a multiple of four blocks of 1 KiB. */
static size_t memory_used(size_t memory_bytes)
{
    return memory_bytes / 4096 * 4096;
}

bool busi_password_hash(char out[BUSI_PASSWORD_HASH_MAX], struct busi_str password,
                        struct busi_password_cost cost)
{
    busi_argon_memory_lend(memory_used(cost.memory_bytes));
    int failed = crypto_pwhash_str_alg(out, password.ptr, password.len, (unsigned long long)cost.passes,
                                       cost.memory_bytes, crypto_pwhash_ALG_ARGON2ID13);
    busi_argon_memory_take_back(cost.memory_bytes);
    return !failed;
}

/* As long as a check of a right password takes, for one there is nothing to check. */
static enum busi_password_verdict hash_nothing(struct busi_str password, struct busi_password_cost cost)
{
    char unused[BUSI_PASSWORD_HASH_MAX];
    bool computed = busi_password_hash(unused, password, cost);
    sodium_memzero(unused, sizeof(unused));
    return computed ? BUSI_PASSWORD_WRONG : BUSI_PASSWORD_NOT_COMPUTED;
}

/* As crypto_pwhash_str() makes them, and crypto_pwhash() can compute again. */
static bool is_ours(const struct busi_phc *phc)
{
    return phc->argon2id && phc->lanes == 1 &&
           phc->salt.len == sodium_base64_ENCODED_LEN(crypto_pwhash_SALTBYTES, BASE64) - 1;
}

static bool decode(uint8_t *out, size_t room, size_t *n, struct busi_str text)
{
    return sodium_base642bin(out, room, text.ptr, text.len, NULL, n, NULL, BASE64) == 0;
}

/* crypto_pwhash_str_verify() says "wrong" also when it had no memory to compute. */
static enum busi_password_verdict compare(const struct busi_phc *phc, struct busi_str password)
{
    uint8_t salt[crypto_pwhash_SALTBYTES], stored[BUSI_PHC_MOST_BYTES], computed[BUSI_PHC_MOST_BYTES];
    size_t n_salt, n;
    if (!decode(salt, sizeof(salt), &n_salt, phc->salt) || !decode(stored, sizeof(stored), &n, phc->hash))
        return BUSI_PASSWORD_WRONG;
    int failed = crypto_pwhash(computed, n, password.ptr, password.len, salt, (unsigned long long)phc->passes,
                               (size_t)phc->memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13);
    bool right = !failed && sodium_memcmp(computed, stored, n) == 0;
    sodium_memzero(computed, sizeof(computed));
    sodium_memzero(stored, sizeof(stored));
    return failed ? BUSI_PASSWORD_NOT_COMPUTED : right ? BUSI_PASSWORD_RIGHT : BUSI_PASSWORD_WRONG;
}

static enum busi_password_verdict compare_imported(struct busi_str stored, struct busi_str password)
{
    char text[BUSI_PASSWORD_HASH_MAX + 1] = {0};
    memcpy(text, stored.ptr, stored.len);
    bool right = crypto_pwhash_str_verify(text, password.ptr, password.len) == 0;
    sodium_memzero(text, sizeof(text));
    return right ? BUSI_PASSWORD_RIGHT : BUSI_PASSWORD_WRONG;
}

static enum busi_password_verdict verify_argon2(struct busi_str stored, const struct busi_phc *phc,
                                                struct busi_str password, struct busi_password_cost target)
{
    busi_argon_memory_lend(memory_used((size_t)phc->memory_kib * 1024));
    enum busi_password_verdict verdict =
        is_ours(phc) ? compare(phc, password) : compare_imported(stored, password);
    busi_argon_memory_take_back(target.memory_bytes);
    bool weak = !phc->argon2id || phc->lanes != 1 ||
                phc->memory_kib < (int64_t)(target.memory_bytes / 1024) || phc->passes < target.passes;
    return verdict == BUSI_PASSWORD_RIGHT && weak ? BUSI_PASSWORD_WEAK : verdict;
}

static bool is_affordable(const struct busi_phc *phc, struct busi_password_cost target)
{
    size_t most = target.most_bytes ? target.most_bytes : USUAL_MOST_BYTES;
    return (size_t)phc->memory_kib <= most / 1024;
}

const char *busi_password_fault(struct busi_str stored, struct busi_password_cost target)
{
    struct busi_phc phc;
    if (busi_phc_read(&phc, stored))
        return is_affordable(&phc, target) ? NULL
                                           : "asks for more memory than BUSI_PASSWORD_STORED_MEMORY allows";
    if (busi_str_starts(stored, BUSI_STR("$argon2id$")) || busi_str_starts(stored, BUSI_STR("$argon2i$")))
        return "is an argon2 hash that is malformed or costs more than may be (1 GiB, t 10, p 16)";
    if (busi_bcrypt_known(stored))
        return NULL;
    return busi_str_starts(stored, BUSI_STR("$2"))
               ? "is a bcrypt hash that is malformed or has a cost over 16"
               : "is neither a bcrypt nor an argon2 hash";
}

enum busi_password_verdict busi_password_verify(struct busi_str stored, struct busi_str password,
                                                struct busi_password_cost target)
{
    struct busi_phc phc;
    if (!stored.ptr)
        return hash_nothing(password, target);
    if (busi_phc_read(&phc, stored) && is_affordable(&phc, target))
        return verify_argon2(stored, &phc, password, target);
    if (busi_bcrypt_known(stored))
        return busi_bcrypt_verify(stored, password) ? BUSI_PASSWORD_WEAK : BUSI_PASSWORD_WRONG;
    return BUSI_PASSWORD_UNREADABLE;
}
