/* Sign-in by OpenID providers, as far as it needs none: settings, cookies, ID tokens, addresses. */
#include "base/text.h"
#include "crypto/secret.h"
#include "oidc/fetch.h"
#include "oidc/rules.h"
#include "oidc/state.h"
#include "oidc/token.h"
#include <arpa/inet.h>
#include <cjose/cjose.h>
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- settings ---- */

static const char *fault_of(const char *providers, const char *secrets)
{
    struct auth_oidc_rules rules;
    struct busi_str culprit;
    return auth_oidc_rules_read(&rules, busi_str_of(providers), busi_str_of(secrets), &culprit);
}

Test(oidc_rules, providers_and_secrets)
{
    struct auth_oidc_rules rules;
    struct busi_str culprit;
    cr_assert_null(auth_oidc_rules_read(
        &rules,
        BUSI_STR("google=https://accounts.google.com abc.apps ; corp=https://id.corp/realms/x busi known;"),
        BUSI_STR("corp  s3cret/+\n\ngoogle other\n"), &culprit));
    cr_assert_eq(rules.n, 2);
    cr_assert(busi_str_eq(rules.list[0].issuer, BUSI_STR("https://accounts.google.com")));
    cr_assert(busi_str_eq(rules.list[0].client_id, BUSI_STR("abc.apps")));
    cr_assert(busi_str_eq(rules.list[0].secret, BUSI_STR("other")));
    cr_assert_not(rules.list[0].known_only);
    cr_assert(rules.list[1].known_only);
    cr_assert(busi_str_eq(rules.list[1].secret, BUSI_STR("s3cret/+")));
    cr_assert_null(fault_of("", ""));
    cr_assert_null(fault_of("a=https://h client", ""));
}

Test(oidc_rules, what_cannot_be_is_named)
{
    cr_assert_not_null(fault_of("google", ""));
    cr_assert_not_null(fault_of("google=https://accounts.google.com", ""));
    cr_assert_not_null(fault_of("goo/gle=https://h c", ""));
    cr_assert_not_null(fault_of("password=https://h c", ""));
    cr_assert_not_null(fault_of("a=ftp://h c", ""));
    cr_assert_not_null(fault_of("a=https://user@h c", ""));
    cr_assert_not_null(fault_of("a=https://h?x=1 c", ""));
    cr_assert_not_null(fault_of("a=https://h c sometimes", ""));
    cr_assert_not_null(fault_of("a=https://h c known more", ""));
    cr_assert_not_null(fault_of("a=https://h c; a=https://i d", ""));
    cr_assert_not_null(fault_of("a=https://h c", "b secret"));
    cr_assert_not_null(fault_of("a=https://h c", "a"));
    cr_assert_not_null(fault_of("a=https://h c", "a one\na two"));
}

Test(oidc_rules, a_secret_is_never_the_culprit)
{
    struct auth_oidc_rules rules;
    struct busi_str culprit;
    cr_assert_not_null(
        auth_oidc_rules_read(&rules, BUSI_STR("a=https://h c"), BUSI_STR("hunter2"), &culprit));
    cr_assert_not(busi_str_eq(culprit, BUSI_STR("hunter2")));
}

/* ---- cookies ---- */

#define key BUSI_STR("0123456789abcdef0123456789abcdef")
enum { NOW_S = 1800000000 };

static struct busi_arena arena;
static void begin(void)
{
    busi_arena_init(&arena, 1 << 20);
    cr_assert(busi_crypto_init());
}
static void end(void)
{
    busi_arena_fini(&arena);
}

static bool reads(struct busi_str cookie, struct busi_str provider, struct busi_str state, int64_t now_s)
{
    struct auth_oidc_state out;
    return auth_oidc_state_read(&arena, key, provider, cookie, state, now_s, &out);
}

Test(oidc_state, comes_back_whole, .init = begin, .fini = end)
{
    struct auth_oidc_state made, read;
    struct busi_str cookie, provider = BUSI_STR("corp");
    cr_assert(auth_oidc_state_make(&arena, key, provider, BUSI_STR("/a?b=1.2"), NOW_S, &made, &cookie));
    cr_assert(auth_oidc_state_read(&arena, key, provider, cookie, made.state, NOW_S + 599, &read));
    cr_assert(busi_str_eq(read.nonce, made.nonce));
    cr_assert(busi_str_eq(read.verifier, made.verifier));
    cr_assert(busi_str_eq(read.challenge, made.challenge));
    cr_assert(busi_str_eq(read.return_to, BUSI_STR("/a?b=1.2")));
    cr_assert_eq(made.verifier.len, 43);
    cr_assert_not(busi_str_eq(made.verifier, made.nonce));
    cr_assert(auth_oidc_state_make(&arena, key, provider, (struct busi_str){0}, NOW_S, &read, &cookie));
    cr_assert_not(busi_str_eq(read.state, made.state));
    cr_assert(auth_oidc_state_read(&arena, key, provider, cookie, read.state, NOW_S, &made));
    cr_assert_eq(made.return_to.len, 0);
}

Test(oidc_state, belongs_to_one_provider_one_visit_and_ten_minutes, .init = begin, .fini = end)
{
    struct auth_oidc_state made, other;
    struct busi_str cookie, foreign, provider = BUSI_STR("corp");
    cr_assert(auth_oidc_state_make(&arena, key, provider, BUSI_STR("/"), NOW_S, &made, &cookie));
    cr_assert(auth_oidc_state_make(&arena, BUSI_STR("another key of thirty-two bytes!"), provider,
                                   BUSI_STR("/"), NOW_S, &other, &foreign));
    cr_assert(reads(cookie, provider, made.state, NOW_S));
    cr_assert_not(reads(cookie, BUSI_STR("other"), made.state, NOW_S));
    cr_assert_not(reads(cookie, provider, other.state, NOW_S));
    cr_assert_not(reads(cookie, provider, (struct busi_str){0}, NOW_S));
    cr_assert_not(reads(foreign, provider, other.state, NOW_S));
    cr_assert_not(reads(cookie, provider, made.state, NOW_S + AUTH_OIDC_STATE_S));
    cr_assert_not(reads((struct busi_str){0}, provider, made.state, NOW_S));
    cr_assert_not(reads(BUSI_STR("..."), provider, BUSI_STR(""), NOW_S));
}

Test(oidc_state, any_changed_letter_is_seen, .init = begin, .fini = end)
{
    struct auth_oidc_state made;
    struct busi_str cookie, provider = BUSI_STR("corp");
    cr_assert(auth_oidc_state_make(&arena, key, provider, BUSI_STR("/home"), NOW_S, &made, &cookie));
    char *text = busi_arena_alloc(&arena, cookie.len);
    memcpy(text, cookie.ptr, cookie.len);
    for (size_t i = 0; i < cookie.len; i++) {
        text[i] = cookie.ptr[i] == '1' ? '2' : '1';
        cr_assert_not(reads((struct busi_str){text, cookie.len}, provider, made.state, NOW_S), "at %zu", i);
        text[i] = cookie.ptr[i];
        cr_assert_not(reads((struct busi_str){text, i}, provider, made.state, NOW_S), "cut at %zu", i);
    }
}

/* ---- ID tokens ---- */

struct signer {
    cjose_jwk_t *jwk;
    char jwks[4096]; /* its public half as a set */
};

static void make_signer(struct signer *signer, cjose_jwk_t *jwk, const char *kid)
{
    cjose_err error;
    cr_assert_not_null(jwk);
    cr_assert(cjose_jwk_set_kid(jwk, kid, strlen(kid), &error));
    char *json = cjose_jwk_to_json(jwk, false, &error);
    cr_assert_not_null(json);
    snprintf(signer->jwks, sizeof(signer->jwks), "{\"keys\":[%s]}", json);
    free(json);
    signer->jwk = jwk;
}

static struct signer rsa, ec, weak;

static void begin_tokens(void)
{
    cjose_err error;
    begin();
    make_signer(&rsa, cjose_jwk_create_RSA_random(2048, NULL, 0, &error), "r1");
    make_signer(&ec, cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &error), "e1");
    make_signer(&weak, cjose_jwk_create_RSA_random(1024, NULL, 0, &error), "w1");
}

static void end_tokens(void)
{
    cjose_jwk_release(rsa.jwk);
    cjose_jwk_release(ec.jwk);
    cjose_jwk_release(weak.jwk);
    end();
}

static struct busi_str sign(cjose_jwk_t *jwk, const char *header, const char *claims)
{
    cjose_err error;
    const char *text = NULL;
    cjose_header_t *fields = json_loads(header, 0, NULL);
    cjose_jws_t *jws = cjose_jws_sign(jwk, fields, (const uint8_t *)claims, strlen(claims), &error);
    cr_assert_not_null(jws, "%s", error.message);
    cr_assert(cjose_jws_export(jws, &text, &error));
    struct busi_str copy = busi_arena_dup(&arena, busi_str_of(text));
    cjose_jws_release(jws);
    json_decref(fields);
    return copy;
}

static const char good_claims[] =
    "{\"iss\":\"https://id\",\"aud\":\"busi\",\"sub\":\"u1\",\"nonce\":\"n\",\"exp\":1800000300,"
    "\"iat\":1800000000,\"email\":\"a@b.example\",\"email_verified\":true}";

static enum auth_oidc_verdict judge(struct busi_str token, const char *jwks)
{
    struct auth_oidc_identity identity;
    const struct auth_oidc_expected expected = {BUSI_STR("https://id"), BUSI_STR("busi"), BUSI_STR("n"),
                                                NOW_S};
    const char *why;
    return auth_oidc_token_read(&arena, token, busi_str_of(jwks), &expected, &identity, &why);
}

Test(oidc_token, of_both_kinds_of_keys, .init = begin_tokens, .fini = end_tokens)
{
    struct auth_oidc_identity identity;
    const struct auth_oidc_expected expected = {BUSI_STR("https://id"), BUSI_STR("busi"), BUSI_STR("n"),
                                                NOW_S};
    const char *why;
    cr_assert_eq(auth_oidc_token_read(&arena,
                                      sign(rsa.jwk, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", good_claims),
                                      busi_str_of(rsa.jwks), &expected, &identity, &why),
                 AUTH_OIDC_GOOD);
    cr_assert(busi_str_eq(identity.subject, BUSI_STR("u1")));
    cr_assert(busi_str_eq(identity.email, BUSI_STR("a@b.example")));
    cr_assert(identity.email_verified);
    cr_assert_eq(judge(sign(ec.jwk, "{\"alg\":\"ES256\"}", good_claims), ec.jwks), AUTH_OIDC_GOOD);
    cr_assert_eq(judge(sign(rsa.jwk, "{\"alg\":\"PS384\"}", good_claims), rsa.jwks), AUTH_OIDC_GOOD);
}

Test(oidc_token, unknown_keys_are_told_from_wrong_signatures, .init = begin_tokens, .fini = end_tokens)
{
    cjose_err error;
    struct signer other;
    make_signer(&other, cjose_jwk_create_RSA_random(2048, NULL, 0, &error), "r2");
    cr_assert_eq(judge(sign(other.jwk, "{\"alg\":\"RS256\",\"kid\":\"r2\"}", good_claims), rsa.jwks),
                 AUTH_OIDC_UNKNOWN_KEY);
    cr_assert_eq(judge(sign(other.jwk, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", good_claims), rsa.jwks),
                 AUTH_OIDC_INVALID);
    cr_assert_eq(judge(sign(other.jwk, "{\"alg\":\"RS256\"}", good_claims), rsa.jwks), AUTH_OIDC_UNKNOWN_KEY);
    cr_assert_eq(judge(sign(weak.jwk, "{\"alg\":\"RS256\",\"kid\":\"w1\"}", good_claims), weak.jwks),
                 AUTH_OIDC_UNKNOWN_KEY, "1,024 bits are too few");
    cjose_jwk_release(other.jwk);
}

/* RFC 8725, sections 2.1 and 3.1: the public key as the secret of an HMAC, and no signature at all. */
Test(oidc_token, the_key_decides_the_algorithm, .init = begin_tokens, .fini = end_tokens)
{
    cjose_err error;
    size_t n = strlen(rsa.jwks);
    cjose_jwk_t *secret = cjose_jwk_create_oct_spec((const uint8_t *)rsa.jwks, n, &error);
    cr_assert_eq(judge(sign(secret, "{\"alg\":\"HS256\",\"kid\":\"r1\"}", good_claims), rsa.jwks),
                 AUTH_OIDC_INVALID);
    cjose_jwk_release(secret);
    struct busi_str good = sign(rsa.jwk, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", good_claims);
    const char *payload = memchr(good.ptr, '.', good.len);
    const char *tail = strrchr(good.ptr, '.');
    /* {"alg":"none"} */
    struct busi_str none =
        busi_arena_printf(&arena, "eyJhbGciOiJub25lIn0%.*s.", (int)(tail - payload), payload);
    cr_assert_eq(judge(none, rsa.jwks), AUTH_OIDC_INVALID);
    cr_assert_eq(judge(sign(rsa.jwk, "{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", good_claims), rsa.jwks),
                 AUTH_OIDC_INVALID);
    cr_assert_eq(judge(sign(rsa.jwk, "{\"alg\":\"RS256\",\"kid\":7}", good_claims), rsa.jwks),
                 AUTH_OIDC_INVALID);
    cr_assert_eq(judge(sign(ec.jwk, "{\"alg\":\"ES256\",\"kid\":\"r1\"}", good_claims), rsa.jwks),
                 AUTH_OIDC_UNKNOWN_KEY);
}

/* The token with other bytes for its signature, and with another header if one is given. */
static struct busi_str forge(struct busi_str token, const char *header, const uint8_t *signature, size_t n)
{
    static char head[512], tail[1024];
    const char *first = memchr(token.ptr, '.', token.len), *last = first;
    for (const char *at = first; at < token.ptr + token.len; at++)
        last = *at == '.' ? at : last;
    snprintf(head, sizeof(head), "%.*s", (int)(first - token.ptr), token.ptr);
    if (header)
        head[busi_base64url_encode(head, header, strlen(header))] = '\0';
    tail[busi_base64url_encode(tail, signature, n)] = '\0';
    return busi_arena_printf(&arena, "%s%.*s%s", head, (int)(last + 1 - first), first, tail);
}

static size_t signature_of(struct busi_str token, uint8_t out[512])
{
    const char *last = token.ptr;
    for (const char *at = token.ptr; at < token.ptr + token.len; at++)
        last = *at == '.' ? at + 1 : last;
    struct busi_str text = {last, (size_t)(token.ptr + token.len - last)};
    ptrdiff_t n = busi_base64url_decode(out, 512, text);
    cr_assert_gt(n, 0);
    return (size_t)n;
}

/* After Wycheproof's vectors for ECDSA: numbers that an inversion or a comparison left out lets pass, the
 * other encoding, other lengths. */
Test(oidc_token, signatures_that_anybody_can_make, .init = begin_tokens, .fini = end_tokens)
{
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                      0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    static const char header[] = "{\"alg\":\"ES256\",\"kid\":\"e1\"}";
    struct busi_str good = sign(ec.jwk, header, good_claims);
    uint8_t right[512], parts[4][32] = {0}, forged[512];
    cr_assert_eq(signature_of(good, right), 64);
    cr_assert_eq(judge(forge(good, NULL, right, 64), ec.jwks), AUTH_OIDC_GOOD,
                 "put together again it is good");
    parts[1][31] = 1;
    memcpy(parts[2], order, sizeof(order));
    memset(parts[3], 0xff, sizeof(parts[3]));
    for (size_t r = 0; r < 5; r++)
        for (size_t s = 0; s < 5; s++) {
            memcpy(forged, r < 4 ? parts[r] : right, 32);
            memcpy(forged + 32, s < 4 ? parts[s] : right + 32, 32);
            if (r < 4 || s < 4)
                cr_expect_eq(judge(forge(good, NULL, forged, 64), ec.jwks), AUTH_OIDC_INVALID, "%zu, %zu", r,
                             s);
        }
    for (size_t n = 0; n < 64; n++)
        cr_expect_eq(judge(forge(good, NULL, right, n), ec.jwks), AUTH_OIDC_INVALID, "%zu bytes", n);
    memcpy(forged, right, 64);
    memset(forged + 64, 0, 64);
    cr_expect_eq(judge(forge(good, NULL, forged, 65), ec.jwks), AUTH_OIDC_INVALID, "one too many");
    cr_expect_eq(judge(forge(good, NULL, forged, 96), ec.jwks), AUTH_OIDC_INVALID, "as long as of ES384");
    memmove(forged + 4, forged, 32); /* SEQUENCE { INTEGER r, INTEGER s } */
    memcpy(forged, "\x30\x44\x02\x20", 4);
    memcpy(forged + 36, "\x02\x20", 2);
    memcpy(forged + 38, right + 32, 32);
    cr_expect_eq(judge(forge(good, NULL, forged, 70), ec.jwks), AUTH_OIDC_INVALID, "in DER");
    static const char *const others[] = {"ES384", "ES512", "ES256K", "RS256", "PS256",
                                         "EdDSA", "es256", "none",   ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char other[64];
        snprintf(other, sizeof(other), "{\"alg\":\"%s\",\"kid\":\"e1\"}", others[i]);
        cr_expect_neq(judge(forge(good, other, right, 64), ec.jwks), AUTH_OIDC_GOOD, "%s", others[i]);
    }
}

/* One made for an algorithm is none of another's, nor are numbers that are their own power. */
Test(oidc_token, signatures_of_other_algorithms, .init = begin_tokens, .fini = end_tokens)
{
    static const char *const names[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
    enum { NAMES = sizeof(names) / sizeof(names[0]) };
    struct busi_str good = {0};
    uint8_t bytes[512], forged[512];
    size_t n = 0;
    for (size_t made = 0; made < NAMES; made++)
        for (size_t said = 0; said < NAMES; said++) {
            char header[64];
            snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"r1\"}", names[made]);
            good = sign(rsa.jwk, header, good_claims);
            n = signature_of(good, bytes);
            snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"r1\"}", names[said]);
            cr_expect_eq(judge(forge(good, header, bytes, n), rsa.jwks) == AUTH_OIDC_GOOD, made == said,
                         "%s as %s", names[made], names[said]);
        }
    for (int fill = 0; fill < 3; fill++) {
        memset(forged, fill == 2 ? 0xff : 0, sizeof(forged));
        forged[n - 1] = fill == 2 ? 0xff : (uint8_t)fill;
        cr_expect_eq(judge(forge(good, NULL, forged, n), rsa.jwks), AUTH_OIDC_INVALID, "%d", fill);
    }
    memset(forged, 0, sizeof(forged));
    memcpy(forged + 1, bytes, n);
    cr_expect_eq(judge(forge(good, NULL, forged, n + 1), rsa.jwks), AUTH_OIDC_INVALID, "a leading nought");
    cr_expect_eq(judge(forge(good, NULL, bytes, n - 1), rsa.jwks), AUTH_OIDC_INVALID);
    cr_expect_eq(judge(forge(good, NULL, bytes, 0), rsa.jwks), AUTH_OIDC_INVALID);
}

/* What the header says of keys is not looked at. */
Test(oidc_token, brings_no_key_of_its_own, .init = begin_tokens, .fini = end_tokens)
{
    char header[5000];
    cjose_err error;
    struct signer own;
    make_signer(&own, cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &error), "own");
    snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"jku\":\"https://evil/keys\",\"jwk\":%.*s}",
             (int)strlen(own.jwks) - 11, own.jwks + 9);
    cr_assert_neq(judge(sign(own.jwk, header, good_claims), ec.jwks), AUTH_OIDC_GOOD);
    cjose_jwk_release(own.jwk);
}

static bool claims_pass(const char *claims)
{
    return judge(sign(rsa.jwk, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", claims), rsa.jwks) == AUTH_OIDC_GOOD;
}

Test(oidc_token, claims, .init = begin_tokens, .fini = end_tokens)
{
#define REST ",\"sub\":\"u1\",\"exp\":1800000300,\"iat\":1800000000}"
#define WHO "{\"iss\":\"https://id\",\"nonce\":\"n\",\"aud\":\"busi\",\"sub\":\"u1\""
    cr_assert(claims_pass("{\"iss\":\"https://id\",\"nonce\":\"n\",\"aud\":[\"busi\"]" REST));
    cr_assert(claims_pass(
        "{\"iss\":\"https://id\",\"nonce\":\"n\",\"aud\":[\"x\",\"busi\"],\"azp\":\"busi\"" REST));
    cr_assert_not(claims_pass("{\"iss\":\"https://id\",\"nonce\":\"n\",\"aud\":[\"x\",\"busi\"]" REST));
    cr_assert_not(claims_pass("{\"iss\":\"https://id\",\"nonce\":\"n\",\"aud\":\"busi\",\"azp\":\"x\"" REST));
    cr_assert_not(claims_pass("{\"iss\":\"https://id\",\"nonce\":\"n\",\"aud\":\"Busi\"" REST));
    cr_assert_not(claims_pass("{\"iss\":\"https://id\",\"nonce\":\"n\"" REST));
    cr_assert_not(claims_pass("{\"iss\":\"https://id/\",\"nonce\":\"n\",\"aud\":\"busi\"" REST));
    cr_assert_not(claims_pass("{\"iss\":\"https://id\",\"nonce\":\"m\",\"aud\":\"busi\"" REST));
    cr_assert_not(claims_pass("{\"iss\":\"https://id\",\"aud\":\"busi\"" REST));
    cr_assert_not(claims_pass(WHO ",\"exp\":1799999940,\"iat\":1799999900}"), "expired");
    cr_assert_not(claims_pass(WHO ",\"exp\":1800009999,\"iat\":1799990000}"), "long ago");
    cr_assert_not(claims_pass(WHO ",\"exp\":1800009999,\"iat\":1800000100}"), "to come");
    cr_assert_not(claims_pass(WHO ",\"exp\":\"1800009999\",\"iat\":1800000000}"));
    cr_assert_not(claims_pass(WHO ",\"exp\":1800009999}"));
    cr_assert_not(claims_pass(WHO ",\"exp\":1800009999,\"iat\":1800000000,\"nbf\":1800000999}"));
    cr_assert_not(claims_pass("{\"iss\":\"https://id\",\"nonce\":\"n\",\"aud\":\"busi\",\"exp\":1800000300,"
                              "\"iat\":1800000000}"),
                  "nobody");
}

Test(oidc_token, rubbish, .init = begin_tokens, .fini = end_tokens)
{
    struct busi_str good = sign(rsa.jwk, "{\"alg\":\"RS256\",\"kid\":\"r1\"}", good_claims);
    for (size_t i = 0; i < good.len; i++)
        cr_assert_neq(judge((struct busi_str){good.ptr, i}, rsa.jwks), AUTH_OIDC_GOOD, "cut at %zu", i);
    cr_assert_eq(judge(good, "{}"), AUTH_OIDC_UNKNOWN_KEY);
    cr_assert_eq(judge(good, "{\"keys\":[1,null,{},{\"kty\":\"RSA\",\"kid\":\"r1\"}]}"),
                 AUTH_OIDC_UNKNOWN_KEY);
    cr_assert_eq(judge(good, "[]"), AUTH_OIDC_INVALID);
    cr_assert_eq(judge(BUSI_STR("a.b.c"), rsa.jwks), AUTH_OIDC_INVALID);
    cr_assert_eq(judge(BUSI_STR(""), rsa.jwks), AUTH_OIDC_INVALID);
}

/* ---- addresses ---- */

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return auth_oidc_address_public((const struct sockaddr *)&v4);
    cr_assert_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1, "%s", text);
    return auth_oidc_address_public((const struct sockaddr *)&v6);
}

Test(oidc_fetch, asks_nobody_whom_only_we_can_reach)
{
    static const char *const within[] = {"127.0.0.1",
                                         "10.1.2.3",
                                         "172.16.0.1",
                                         "172.31.255.255",
                                         "192.168.1.1",
                                         "0.0.0.0",
                                         "100.64.1.1",
                                         "169.254.169.254",
                                         "224.0.0.1",
                                         "::1",
                                         "::",
                                         "fe80::1",
                                         "fd00::1",
                                         "::ffff:127.0.0.1",
                                         "::ffff:10.0.0.1",
                                         "64:ff9b::a00:1",
                                         "2002:7f00:1::",
                                         "ff02::1"};
    static const char *const outside[] = {"8.8.8.8", "172.32.0.1", "192.169.0.1", "2606:4700::1111"};
    for (size_t i = 0; i < sizeof(within) / sizeof(within[0]); i++)
        cr_assert_not(is_public(within[i]), "%s", within[i]);
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        cr_assert(is_public(outside[i]), "%s", outside[i]);
}
