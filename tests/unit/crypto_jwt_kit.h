/* Tokens that are really signed, whatever they say. */
#pragma once
#include "base/text.h"
#include "crypto/jwt.h"
#include "crypto/secret.h"
#include <criterion/criterion.h>
#include <sodium.h>

enum { NOW = 1700000000 };
static const char secret64[] = "a-secret-of-sixty-four-bytes-for-tests-0123456789-0123456789-012";
static struct busi_jwt_key key, key256;
static struct busi_arena arena;
static const char header512[] = "{\"alg\":\"HS512\",\"typ\":\"JWT\"}",
                  header256[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

static inline void start(void)
{
    cr_assert(busi_crypto_init());
    busi_arena_init(&arena, 1 << 24);
    key = (struct busi_jwt_key){.algorithm = BUSI_JWT_HS512,
                                .secret = busi_str_of(secret64),
                                .issuer = BUSI_STR("busi_api"),
                                .audience = BUSI_STR("busi_api")};
    key256 = key;
    key256.algorithm = BUSI_JWT_HS256;
}
static inline void end(void)
{
    busi_arena_fini(&arena);
}
static inline struct busi_str encode(struct busi_str bytes)
{
    char *text = busi_arena_alloc(&arena, bytes.len * 2 + 4);
    return (struct busi_str){text, busi_base64url_encode(text, bytes.ptr, bytes.len)};
}

/* header.payload.signature, all three really signed, whatever the header claims. */
static inline struct busi_str signed_bytes(bool sha512, struct busi_str head, struct busi_str body)
{
    uint8_t mac[64];
    struct busi_str h = encode(head), b = encode(body);
    struct busi_str input = busi_arena_printf(&arena, "%.*s.%.*s", BUSI_ARG(h), BUSI_ARG(b));
    crypto_auth_hmacsha512_state s512;
    crypto_auth_hmacsha256_state s256;
    if (sha512) {
        crypto_auth_hmacsha512_init(&s512, (const uint8_t *)secret64, 64);
        crypto_auth_hmacsha512_update(&s512, (const uint8_t *)input.ptr, input.len);
        crypto_auth_hmacsha512_final(&s512, mac);
    } else {
        crypto_auth_hmacsha256_init(&s256, (const uint8_t *)secret64, 64);
        crypto_auth_hmacsha256_update(&s256, (const uint8_t *)input.ptr, input.len);
        crypto_auth_hmacsha256_final(&s256, mac);
    }
    struct busi_str m = encode((struct busi_str){(char *)mac, sha512 ? 64 : 32});
    return busi_arena_printf(&arena, "%.*s.%.*s", BUSI_ARG(input), BUSI_ARG(m));
}
