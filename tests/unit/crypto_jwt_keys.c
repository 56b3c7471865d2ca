#include "crypto_jwt_kit.h"
#include <stdio.h>

/* What keys may say besides their secret: a kid, another algorithm, claims that are missing, clocks that
 * differ. */

#define KID "2026-11.a_b"
static const char kid_header[] = "{\"alg\":\"HS512\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
                  bare[] = "{\"exp\":1700000100,\"iat\":1700000000,\"nbf\":1700000000,\"sid\":\"s\"}";
static char header_room[BUSI_JWT_HEADER_MOST];
static struct busi_jwt_key kid_key;

static void start_keys(void)
{
    start();
    kid_key = key;
    kid_key.header = busi_jwt_header(header_room, BUSI_JWT_HS512, BUSI_STR(KID));
}
TestSuite(jwt_keys, .init = start_keys, .fini = end);

static struct busi_jwt_claims some_claims(void)
{
    return (struct busi_jwt_claims){.jti = BUSI_STR("j"),
                                    .subject = BUSI_STR("42"),
                                    .type = BUSI_STR("access"),
                                    .session_id = BUSI_STR("s"),
                                    .issued_at = NOW,
                                    .not_before = NOW,
                                    .expires_at = NOW + 100};
}

static enum busi_jwt_verdict verify_at(const struct busi_jwt_key *by, struct busi_str token, int64_t now_s)
{
    struct busi_jwt_claims claims;
    return busi_jwt_verify(&arena, by, token, now_s, &claims);
}

static enum busi_jwt_verdict verify(const struct busi_jwt_key *by, struct busi_str token)
{
    return verify_at(by, token, NOW);
}

Test(jwt_keys, a_kid_stands_in_the_header)
{
    struct busi_jwt_claims claims = some_claims();
    struct busi_str token = busi_jwt_sign(&arena, &kid_key, &claims), head = encode(busi_str_of(kid_header));
    cr_assert(busi_str_eq(kid_key.header, head));
    cr_assert(busi_str_starts(token, head) && token.ptr[head.len] == '.');
    cr_assert_eq(verify(&kid_key, token), BUSI_JWT_OK);
}

Test(jwt_keys, a_token_is_of_the_key_its_header_names)
{
    struct busi_jwt_claims claims = some_claims();
    char room[BUSI_JWT_HEADER_MOST];
    struct busi_jwt_key other = kid_key;
    other.header = busi_jwt_header(room, BUSI_JWT_HS512, BUSI_STR("other"));
    /* the secret is the same in all of them */
    struct busi_jwt_key *const keys[] = {&key, &key256, &kid_key, &other};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            cr_assert_eq(verify(keys[j], busi_jwt_sign(&arena, keys[i], &claims)),
                         i == j ? BUSI_JWT_OK : BUSI_JWT_INVALID, "%d %d", i, j);
}

Test(jwt_keys, the_longest_kid_fits)
{
    char kid[BUSI_JWT_KID_MOST + 1] = "", room[BUSI_JWT_HEADER_MOST];
    struct busi_jwt_claims claims = some_claims();
    struct busi_jwt_key longest = key256;
    memset(kid, 'k', BUSI_JWT_KID_MOST);
    longest.header = busi_jwt_header(room, BUSI_JWT_HS256, busi_str_of(kid));
    cr_assert_leq(longest.header.len, sizeof(room));
    cr_assert_eq(verify(&longest, busi_jwt_sign(&arena, &longest, &claims)), BUSI_JWT_OK);
}

/* RFC 8725: no header but the key's own one, for each kind of key, with its own secret and any algorithm. */
Test(jwt_keys, only_the_keys_own_header)
{
    static const char *const algs[] = {"none",  "None",  "NONE",  "nOnE",  "",      "HS256", "HS384",
                                       "HS512", "hs512", "RS256", "ES256", "PS512", "EdDSA"};
    static const char *const forms[] = {
        "{\"alg\":\"%s\",\"typ\":\"JWT\"}",
        "{\"typ\":\"JWT\",\"alg\":\"%s\"}",
        "{\"alg\":\"%s\"}",
        "{\"alg\":\"%s\",\"typ\":\"jwt\"}",
        "{\"alg\":\"%s\",\"typ\":\"JWE\"}",
        "{\"alg\":\"%s\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"%s\",\"typ\":\"JWT\",\"cty\":\"JWT\"}",
        "{\"alg\":\"%s\",\"typ\":\"JWT\"} ",
        "{\"alg\": \"%s\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"alg\":\"HS512\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"kid\":\"" KID "\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"kid\":\"" KID "x\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"kid\":\"\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"kid\":[\"" KID "\"],\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"kid\":\"../../dev/null\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"kid\":\"' or 1=1 --\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"" KID "\"}",
        "{\"alg\":\"%s\",\"jku\":\"http://127.0.0.1/\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"},\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"x5u\":\"http://127.0.0.1/\",\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"x5c\":[\"AA\"],\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"crit\":[],\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"crit\":[\"exp\"],\"typ\":\"JWT\"}",
        "{\"alg\":\"%s\",\"b64\":false,\"crit\":[\"b64\"],\"typ\":\"JWT\"}"};
    const struct {
        const struct busi_jwt_key *key;
        const char *header;
    } kinds[] = {{&key, header512}, {&key256, header256}, {&kid_key, kid_header}};
    static const char body[] =
        "{\"aud\":\"busi_api\",\"exp\":1700000100,\"iat\":1700000000,\"iss\":\"busi_api\",\"jti\":\"j\","
        "\"nbf\":1700000000,\"sid\":\"s\",\"sub\":\"7\",\"typ\":\"access\"}";
    int good = 0;
    for (size_t k = 0; k < 3; k++)
        for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
            for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++)
                for (int sha512 = 0; sha512 < 2; sha512++) {
                    char head[256];
                    snprintf(head, sizeof(head), forms[f], algs[a]);
                    bool own = strcmp(head, kinds[k].header) == 0 &&
                               sha512 == (kinds[k].key->algorithm == BUSI_JWT_HS512);
                    good += own;
                    struct busi_str token = signed_bytes(sha512, busi_str_of(head), busi_str_of(body));
                    cr_assert_eq(verify(kinds[k].key, token), own ? BUSI_JWT_OK : BUSI_JWT_INVALID, "%s",
                                 head);
                }
    cr_assert_eq(good, 3);
}

Test(jwt_keys, clocks_may_differ_so_much_and_no_more)
{
    struct busi_jwt_claims claims = some_claims();
    struct busi_str token = busi_jwt_sign(&arena, &key, &claims);
    key.late_s = 5;
    key.early_s = 3;
    cr_assert_eq(verify_at(&key, token, NOW + 104), BUSI_JWT_OK);
    cr_assert_eq(verify_at(&key, token, NOW + 105), BUSI_JWT_EXPIRED);
    cr_assert_eq(verify_at(&key, token, NOW - 3), BUSI_JWT_OK);
    cr_assert_eq(verify_at(&key, token, NOW - 4), BUSI_JWT_NOT_YET);
}

/* Each by itself; never the session, nor a time. */
Test(jwt_keys, claims_a_key_goes_without)
{
    static const char *const needed[] = {"\"exp\":1700000100", "\"iat\":1700000000", "\"nbf\":1700000000",
                                         "\"sid\":\"s\""};
    struct busi_jwt_key all = {.algorithm = BUSI_JWT_HS512, .secret = key.secret};
    struct busi_str token = signed_bytes(true, busi_str_of(header512), busi_str_of(bare));
    for (unsigned bits = 0; bits < 8; bits++) {
        all.without = bits;
        cr_assert_eq(verify(&all, token), bits == 7 ? BUSI_JWT_OK : BUSI_JWT_INVALID);
    }
    for (size_t i = 0; i < 4; i++) {
        struct busi_str body = BUSI_STR("{\"x\":1");
        for (size_t j = 0; j < 4; j++)
            if (j != i)
                body = busi_arena_printf(&arena, "%.*s,%s", BUSI_ARG(body), needed[j]);
        body = busi_arena_printf(&arena, "%.*s}", BUSI_ARG(body));
        cr_assert_eq(verify(&all, signed_bytes(true, busi_str_of(header512), body)), BUSI_JWT_INVALID, "%s",
                     needed[i]);
    }
}

Test(jwt_keys, claims_of_other_doors_are_written_and_read)
{
    struct busi_jwt_key own = {.algorithm = BUSI_JWT_HS256, .secret = key.secret, .without = 7};
    struct busi_jwt_claims read, claims = {.session_id = BUSI_STR("s"),
                                           .purpose = BUSI_STR("user"),
                                           .name = BUSI_STR("Zo\xc3\xab \"Q\""),
                                           .issued_at = NOW,
                                           .not_before = NOW,
                                           .expires_at = NOW + 100};
    static const char *const roles[] = {NULL, "\"admin\"", "[\"admin\",\"guest\"]"};
    for (int i = 0; i < 3; i++) {
        claims.role = busi_str_of(roles[i]);
        struct busi_str token = busi_jwt_sign(&arena, &own, &claims);
        struct busi_str body =
            busi_arena_printf(&arena,
                              "{\"exp\":1700000100,\"iat\":1700000000,\"nbf\":1700000000,\"purpose\":"
                              "\"user\"%s%s,\"sid\":\"s\",\"unique_name\":\"Zo\xc3\xab \\\"Q\\\"\"}",
                              roles[i] ? ",\"role\":" : "", roles[i] ? roles[i] : "");
        cr_assert(busi_str_eq(token, signed_bytes(false, busi_str_of(header256), body)), "%.*s",
                  BUSI_ARG(token));
        cr_assert_eq(busi_jwt_verify(&arena, &own, token, NOW, &read), BUSI_JWT_OK);
        cr_assert(busi_str_eq(read.purpose, claims.purpose) && busi_str_eq(read.name, claims.name) &&
                  !read.role.ptr);
    }
}

/* What others add never says who somebody is or what they may, also where this kind of token does not say it.
 */
Test(jwt_keys, what_is_added_is_kept_and_is_none_of_ours)
{
    struct busi_jwt_key own = {.algorithm = BUSI_JWT_HS256, .secret = key.secret, .without = 7};
    struct busi_jwt_claims read,
        claims = {.session_id = BUSI_STR("s"),
                  .issued_at = NOW,
                  .not_before = NOW,
                  .expires_at = NOW + 100,
                  .more = BUSI_STR("{\"role\":\"root\",\"sub\":\"1\",\"typ\":\"access\",\"jti\":\"x\","
                                   "\"iss\":\"i\",\"sid\":\"t\","
                                   "\"unique_name\":\"root\",\"purpose\":\"p\",\"plan\":{\"a\":[1]}}")};
    struct busi_str token = busi_jwt_sign(&arena, &own, &claims);
    cr_assert_eq(busi_jwt_verify(&arena, &own, token, NOW, &read), BUSI_JWT_OK);
    cr_assert(busi_str_eq(read.session_id, claims.session_id) && !read.subject.ptr && !read.type.ptr &&
              !read.name.ptr);
    cr_assert(busi_str_eq(busi_jwt_more(&arena, token), BUSI_STR("{\"plan\":{\"a\":[1]}}")));
    claims.more = (struct busi_str){0};
    cr_assert_not(busi_jwt_more(&arena, busi_jwt_sign(&arena, &own, &claims)).ptr);
    cr_assert_not(busi_jwt_more(&arena, BUSI_STR("no token")).ptr);
}
