#include "crypto/sealed.h"
#include "base/text.h"
#include <openssl/evp.h>
#include <stdlib.h>

enum {
    BLOCK = 16,
    UUID_CHARS = 36,
    STEPS_MOST = 4096, /* of a walk, which is longer once in e^64 times */
};

struct busi_sealer {
    EVP_CIPHER_CTX *seal, *unseal; /* AES-256 of single blocks, deciphering and enciphering; owned */
};

struct busi_sealer *busi_sealer_new(const uint8_t key[32])
{
    struct busi_sealer *sealer = calloc(1, sizeof(*sealer));
    if (!sealer)
        return NULL;
    sealer->seal = EVP_CIPHER_CTX_new();
    sealer->unseal = EVP_CIPHER_CTX_new();
    if (!sealer->seal || !sealer->unseal ||
        !EVP_DecryptInit_ex(sealer->seal, EVP_aes_256_ecb(), NULL, key, NULL) ||
        !EVP_EncryptInit_ex(sealer->unseal, EVP_aes_256_ecb(), NULL, key, NULL) ||
        !EVP_CIPHER_CTX_set_padding(sealer->seal, 0) || !EVP_CIPHER_CTX_set_padding(sealer->unseal, 0))
        busi_sealer_free(&sealer);
    return sealer;
}

void busi_sealer_free(struct busi_sealer **sealer)
{
    if (!*sealer)
        return;
    EVP_CIPHER_CTX_free((*sealer)->seal); /* wipes */
    EVP_CIPHER_CTX_free((*sealer)->unseal);
    free(*sealer);
    *sealer = NULL;
}

/* ---- blocks ---- */

/* Version 4 and the variant of RFC 4122. */
static bool is_uuid4(const uint8_t block[BLOCK])
{
    return (block[6] & 0xf0) == 0x40 && (block[8] & 0xc0) == 0x80;
}

static void pack(uint8_t block[BLOCK], const struct busi_sealed *content)
{
    memcpy(block, content->locator, 6);
    block[6] = 0x40;
    block[7] = (uint8_t)(content->salt >> 8);
    block[8] = (uint8_t)(0x80 | content->kind << 4);
    memcpy(block + 9, content->locator + 6, 2);
    block[11] = (uint8_t)content->salt;
    for (int i = 0; i < 4; i++)
        block[12 + i] = (uint8_t)(content->time_s >> (24 - 8 * i));
}

/* False: not the bits that are always zero. */
static bool unpack(const uint8_t block[BLOCK], struct busi_sealed *content)
{
    if ((block[6] & 0x0f) | (block[8] & 0x0f))
        return false;
    memcpy(content->locator, block, 6);
    memcpy(content->locator + 6, block + 9, 2);
    content->salt = (uint16_t)(block[7] << 8 | block[11]);
    content->kind = block[8] >> 4 & 3;
    content->time_s = 0;
    for (int i = 0; i < 4; i++)
        content->time_s = content->time_s << 8 | block[12 + i];
    return true;
}

/* ---- walking ---- */

/* To the next block that is a UUIDv4. Enciphering and deciphering go the same circle, so what one does the
 * other undoes. */
static bool walk(EVP_CIPHER_CTX *cipher, uint8_t block[BLOCK])
{
    for (int step = 0; step < STEPS_MOST; step++) {
        int n = 0;
        if (!EVP_CipherUpdate(cipher, block, &n, block, BLOCK) || n != BLOCK)
            return false;
        if (is_uuid4(block))
            return true;
    }
    return false;
}

/* ---- text ---- */

static bool is_dash(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static void write_text(char out[BUSI_SEALED_CHARS], const uint8_t block[BLOCK])
{
    char hex[2 * BLOCK], uuid[UUID_CHARS];
    busi_hex_encode(hex, block, BLOCK);
    for (size_t i = 0, from = 0; i < UUID_CHARS; i++)
        uuid[i] = is_dash(i) ? '-' : hex[from++];
    busi_base64url_encode(out, uuid, UUID_CHARS);
}

/* One text for each block: 36 bytes fill 48 characters to the last bit, and the two base64 alphabets differ
 * only in characters that the text of a UUID never makes. */
static bool read_text(uint8_t block[BLOCK], struct busi_str text)
{
    char uuid[UUID_CHARS], hex[2 * BLOCK];
    size_t n = 0;
    if (text.len != BUSI_SEALED_CHARS || busi_base64url_decode(uuid, sizeof(uuid), text) != UUID_CHARS)
        return false;
    for (size_t i = 0; i < UUID_CHARS; i++) {
        if (is_dash(i) != (uuid[i] == '-'))
            return false;
        if (!is_dash(i))
            hex[n++] = uuid[i];
    }
    for (size_t i = 0; i < BLOCK; i++) {
        int high = busi_hex_digit(hex[2 * i]), low = busi_hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0 || hex[2 * i] != busi_lower(hex[2 * i]) ||
            hex[2 * i + 1] != busi_lower(hex[2 * i + 1]))
            return false;
        block[i] = (uint8_t)(high << 4 | low);
    }
    return is_uuid4(block);
}

bool busi_seal(struct busi_sealer *sealer, const struct busi_sealed *content, char out[BUSI_SEALED_CHARS])
{
    uint8_t block[BLOCK];
    pack(block, content);
    if (!walk(sealer->seal, block))
        return false;
    write_text(out, block);
    return true;
}

bool busi_unseal(struct busi_sealer *sealer, struct busi_str text, struct busi_sealed *content)
{
    uint8_t block[BLOCK];
    return read_text(block, text) && walk(sealer->unseal, block) && unpack(block, content);
}
