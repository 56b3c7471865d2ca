/* Project Wycheproof's tokens signed with HMAC (tests/vectors/jws.txt), under their own keys.
 */
#define _GNU_SOURCE /* memrchr */
#include "base/text.h"
#include "crypto/jwt.h"
#include "crypto/secret.h"
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>

enum { NOW = 1700000000 };

static size_t unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        bool space = at[0] == '\\' && at[1] == 's';
        *to++ = space ? ' ' : *at;
        at += space;
    }
    return (size_t)(to - text);
}

/* What follows the one exact header decides then, too: payload and signature as the vector has them. */
static struct busi_str with_our_header(struct busi_arena *arena, struct busi_str token)
{
    const char *dot = token.len ? memchr(token.ptr, '.', token.len) : NULL;
    struct busi_str rest = dot ? (struct busi_str){dot, (size_t)(token.ptr + token.len - dot)} : BUSI_STR("");
    return busi_arena_printf(arena, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9%.*s", BUSI_ARG(rest));
}

static void expect_refused(struct busi_arena *arena, const struct busi_jwt_key *key, struct busi_str token,
                           const char *id)
{
    struct busi_jwt_claims claims;
    cr_expect_eq(busi_jwt_verify(arena, key, token, NOW, &claims), BUSI_JWT_INVALID, "%s: %.*s", id,
                 BUSI_ARG(token));
    cr_expect(!claims.subject.ptr && claims.expires_at == 0, "%s: nothing of it is told", id);
}

/* A right signature, by the same streaming calls the verifier makes. */
static bool is_signed(const struct busi_jwt_key *key, struct busi_str token)
{
    uint8_t given[64], right[crypto_auth_hmacsha256_BYTES];
    const char *dot = token.len ? memrchr(token.ptr, '.', token.len) : NULL;
    if (!dot)
        return false;
    struct busi_str signature = {dot + 1, (size_t)(token.ptr + token.len - dot - 1)};
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const uint8_t *)key->secret.ptr, key->secret.len);
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)token.ptr, (size_t)(dot - token.ptr));
    crypto_auth_hmacsha256_final(&state, right);
    return busi_base64url_decode(given, sizeof(given), signature) == sizeof(right) &&
           sodium_memcmp(given, right, sizeof(right)) == 0;
}

Test(jws_vectors, none_is_a_token_of_ours)
{
    char line[1024], secret[64];
    int seen = 0, valid = 0;
    FILE *file = fopen(BUSI_SOURCE "/tests/vectors/jws.txt", "r");
    cr_assert(file && busi_crypto_init());
    while (fgets(line, sizeof(line), file)) {
        struct busi_arena arena;
        char *saved = NULL;
        if (line[0] == '#')
            continue;
        busi_arena_init(&arena, 1 << 20);
        const char *id = strtok_r(line, " ", &saved), *verdict = strtok_r(NULL, " ", &saved);
        struct busi_str encoded = busi_str_of(strtok_r(NULL, " \n", &saved));
        char *text = strtok_r(NULL, " \n", &saved);
        struct busi_str token = {text ? text : "", text ? unescape(text) : 0};
        cr_assert_eq(busi_base64url_decode(secret, sizeof(secret), encoded), 32, "%s", id);
        struct busi_jwt_key key = {.algorithm = BUSI_JWT_HS256, .secret = {secret, 32}};
        valid += strcmp(verdict, "valid") == 0 && is_signed(&key, token);
        expect_refused(&arena, &key, token, id);
        expect_refused(&arena, &key, with_our_header(&arena, token), id);
        key.algorithm = BUSI_JWT_HS512;
        expect_refused(&arena, &key, token, id);
        busi_arena_fini(&arena);
        seen++;
    }
    fclose(file);
    cr_assert_eq(seen, 38);
    cr_assert_eq(valid, 6, "the valid ones are well signed: %d", valid);
}
