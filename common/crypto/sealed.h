/* Tokens that look like nothing: 122 bits, sealed, as the unpadded base64 of a UUIDv4's text. They say which
 * record they belong to, and whoever has the key can tell at once whether they were ever made: nothing needs
 * to be stored to make one.
 *
 * The 122 free bits of a UUIDv4 are enciphered by AES-256, walked until the block is a UUIDv4 again (cycle
 * walking: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, method 2); 64 steps on
 * the average. Of the 122 bits 8 are zero: a guess gets past them once in 256 times, with a random kind and
 * time, and then names one of 2^64 records that do not exist. Over libcrypto; one thread for each sealer. */
#pragma once
#include "base/str.h"

enum {
    BUSI_SEALED_CHARS = 48,
    BUSI_LOCATOR_BYTES = 8,
    BUSI_LOCATOR_CHARS = 11, /* as base64url */
    BUSI_SEALED_KINDS = 4,
};

/* What a token says. */
struct busi_sealed {
    uint8_t locator[BUSI_LOCATOR_BYTES]; /* names the record it belongs to */
    uint32_t time_s;                     /* seconds since 1970; the kind says of what */
    unsigned kind;                       /* below BUSI_SEALED_KINDS */
    uint16_t salt;                       /* so that two that say the same need not look the same */
};

struct busi_sealer;
/* The key's 32 bytes are copied. NULL: out of memory, or libcrypto has no AES. */
[[nodiscard]] struct busi_sealer *busi_sealer_new(const uint8_t key[32]);
void busi_sealer_free(struct busi_sealer **sealer);

/* False (once in e^64 times, and when libcrypto fails): try another locator. */
[[nodiscard]] bool busi_seal(struct busi_sealer *sealer, const struct busi_sealed *content,
                             char out[BUSI_SEALED_CHARS]);
/* Whether the text was made by busi_seal() with this key; only then content is filled. Total. */
[[nodiscard]] bool busi_unseal(struct busi_sealer *sealer, struct busi_str text, struct busi_sealed *content);
