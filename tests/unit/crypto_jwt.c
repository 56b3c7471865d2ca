#include "crypto/jwt_claims.h"
#include "crypto_jwt_kit.h"
#include <stdio.h>
#include <stdlib.h>

/* Bad tokens are signed with the real key where that makes them harder to refuse. */

static const char payload[] =
    "{\"aud\":\"busi_api\",\"exp\":1700000100,\"iat\":1699999900,\"iss\":\"busi_api\",\"jti\":\"j\","
    "\"nbf\":1699999899,\"sid\":\"s\",\"sub\":\"7\",\"typ\":\"access\"}";

TestSuite(jwt, .init = start, .fini = end);

static struct busi_str signed_token(const char *head, const char *body)
{
    return signed_bytes(true, busi_str_of(head), busi_str_of(body));
}

static enum busi_jwt_verdict verify(struct busi_str token)
{
    struct busi_jwt_claims claims;
    enum busi_jwt_verdict verdict = busi_jwt_verify(&arena, &key, token, NOW, &claims);
    if (verdict == BUSI_JWT_INVALID)
        cr_assert(!claims.jti.ptr && !claims.subject.ptr && claims.expires_at == 0);
    return verdict;
}

/* payload with one claim replaced by `as`, or left out when as is "". */
static struct busi_str with(const char *claim, const char *as)
{
    char name[32];
    snprintf(name, sizeof(name), "\"%s\":", claim);
    const char *begin = strstr(payload, name), *stop = begin + strcspn(begin, ",}");
    cr_assert_not_null(begin);
    struct busi_str body =
        busi_arena_printf(&arena, "%.*s%s%s", (int)(begin - payload), payload, as, *as ? stop : stop + 1);
    if (!*as && *stop == '}')
        body = busi_arena_printf(&arena, "%.*s}", (int)(begin - payload - 1), payload);
    return signed_token(header512, body.ptr);
}

static struct busi_jwt_claims some_claims(void)
{
    return (struct busi_jwt_claims){.jti = BUSI_STR("6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69"),
                                    .subject = BUSI_STR("42"),
                                    .type = BUSI_STR("access"),
                                    .session_id = BUSI_STR("AAAAAAAAAAAAAAAAAAAAAA"),
                                    .issued_at = NOW,
                                    .not_before = NOW - 1,
                                    .expires_at = NOW + 100};
}

Test(jwt, what_is_signed_verifies)
{
    struct busi_jwt_claims claims = some_claims(), read;
    struct busi_jwt_key *const keys[] = {&key, &key256};
    for (int i = 0; i < 2; i++) {
        struct busi_str token = busi_jwt_sign(&arena, keys[i], &claims);
        cr_assert_not_null(token.ptr);
        cr_assert_eq(busi_jwt_verify(&arena, keys[i], token, NOW, &read), BUSI_JWT_OK);
        cr_assert(busi_str_eq(read.jti, claims.jti) && busi_str_eq(read.subject, claims.subject));
        cr_assert(busi_str_eq(read.type, claims.type) && busi_str_eq(read.session_id, claims.session_id));
        cr_assert(read.issued_at == NOW && read.not_before == NOW - 1 && read.expires_at == NOW + 100);
        /* the same secret under the other algorithm */
        cr_assert_eq(busi_jwt_verify(&arena, keys[1 - i], token, NOW, &read), BUSI_JWT_INVALID);
    }
}

Test(jwt, a_token_has_the_bytes_clients_know)
{
    struct busi_jwt_claims claims = some_claims();
    struct busi_str token = busi_jwt_sign(&arena, &key, &claims);
    cr_assert(busi_str_starts(token, BUSI_STR("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.")));
    struct busi_str expected = signed_token(
        header512, "{\"aud\":\"busi_api\",\"exp\":1700000100,\"iat\":1700000000,\"iss\":\"busi_api\","
                   "\"jti\":\"6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69\",\"nbf\":1699999999,\"sid\":"
                   "\"AAAAAAAAAAAAAAAAAAAAAA\","
                   "\"sub\":\"42\",\"typ\":\"access\"}");
    cr_assert(busi_str_eq(token, expected), "%.*s", BUSI_ARG(token));
}

Test(jwt, a_token_of_another_implementation_verifies)
{
    /* Made with Python's hmac, hashlib and base64. */
    static const char token[] =
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiJidXNpX2FwaSIsImV4cCI6MTcwMDAwMDEwMCwiaWF0I"
        "joxNjk5OTk5OTAwLCJpc3MiOiJidXNpX2FwaSIsImp0aSI6ImoiLCJuYmYiOjE2OTk5OTk4OTksInNpZCI6InMiLCJ"
        "zdWIiOiI3IiwidHlwIjoiYWNjZXNzIn0.uml76guNhanCrY-bB6A3_103FltSebPoIM6sWshKrmqueCvwlXm8KMu9T"
        "T189cpyBt_iz-WRGjdS-QnGqh297Q";
    cr_assert_eq(verify(busi_str_of(token)), BUSI_JWT_OK);
    cr_assert_eq(verify(signed_token(header512, payload)), BUSI_JWT_OK);
    /* Order of members, spaces and unknown members of the payload are free. */
    cr_assert_eq(
        verify(signed_token(
            header512, "{ \"typ\":\"access\",\"sub\":\"7\",\"sid\":\"s\",\"nbf\":1699999899,\"jti\":\"j\","
                       "\"iss\":\"busi_api\",\"iat\":1699999900,\"exp\":1700000100,\"aud\":\"busi_api\","
                       "\"more\":{\"a\":[1,2.5,null]}}\n")),
        BUSI_JWT_OK);
}

Test(jwt, quotes_in_issuer_and_audience_are_escaped)
{
    struct busi_jwt_claims claims = some_claims(), read;
    key.issuer = key.audience = BUSI_STR("a\"b\\c\n\xc3\xa9");
    struct busi_str token = busi_jwt_sign(&arena, &key, &claims);
    cr_assert_eq(busi_jwt_verify(&arena, &key, token, NOW, &read), BUSI_JWT_OK);
}

Test(jwt, only_the_one_header_is_accepted)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"typ\":\"JWT\"}",
        "{\"alg\":\"None\",\"typ\":\"JWT\"}",
        "{\"alg\":\"NONE\",\"typ\":\"JWT\"}",
        "{\"alg\":\"nOnE\",\"typ\":\"JWT\"}",
        "{\"alg\":\"\",\"typ\":\"JWT\"}",
        "{\"typ\":\"JWT\"}",
        "{}",
        "",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS384\",\"typ\":\"JWT\"}",
        "{\"alg\":\"hs512\",\"typ\":\"JWT\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES512\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":\"../../dev/null\"}",
        "{\"alg\":\"HS512\",\"kid\":\"' or 1=1\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":[1]}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"jku\":\"http://127.0.0.1/\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"jwk\":{}}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"x5u\":\"http://127.0.0.1/\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"x5c\":[]}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"crit\":[]}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"b64\":false,\"crit\":[\"b64\"]}",
        "{\"alg\":\"HS512\",\"typ\":\"JWE\"}",
        "{\"alg\":\"HS512\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS512\"}",
        "{\"alg\":\"HS512\",\"typ\":\"jwt\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"cty\":\"JWT\"}",
        "{\"alg\":\"HS512\",\"alg\":\"HS512\",\"typ\":\"JWT\"}",
        "{\"alg\":\"none\",\"alg\":\"HS512\",\"typ\":\"JWT\"}",
        "{\"typ\":\"JWT\",\"alg\":\"HS512\"}",
        "{ \"alg\":\"HS512\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\"} ",
        "{\"alg\": \"HS512\", \"typ\": \"JWT\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\"}\n",
        "{\"\\u0061lg\":\"HS512\",\"typ\":\"JWT\"}"};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        cr_assert_eq(verify(signed_token(headers[i], payload)), BUSI_JWT_INVALID, "%s", headers[i]);
        cr_assert_eq(verify(signed_bytes(false, busi_str_of(headers[i]), busi_str_of(payload))),
                     BUSI_JWT_INVALID, "%s", headers[i]);
        /* the same without a signature */
        struct busi_str h = encode(busi_str_of(headers[i])), b = encode(busi_str_of(payload));
        cr_assert_eq(verify(busi_arena_printf(&arena, "%.*s.%.*s.", BUSI_ARG(h), BUSI_ARG(b))),
                     BUSI_JWT_INVALID);
        cr_assert_eq(verify(busi_arena_printf(&arena, "%.*s.%.*s", BUSI_ARG(h), BUSI_ARG(b))),
                     BUSI_JWT_INVALID);
    }
    /* a kid of 10 KiB */
    char *long_header = malloc(12000);
    memset(long_header, 'k', 12000);
    memcpy(long_header, "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":\"", 35);
    strcpy(long_header + 11000, "\"}");
    cr_assert_eq(verify(signed_token(long_header, payload)), BUSI_JWT_INVALID);
    free(long_header);
    cr_assert_eq(verify(signed_bytes(false, busi_str_of(header256), busi_str_of(payload))), BUSI_JWT_INVALID);
}

Test(jwt, base64url_is_strict)
{
    struct busi_str good = signed_token(header512, payload);
    cr_assert_eq(verify(good), BUSI_JWT_OK);
    static const char *const tails[] = {"=",  "==",   "\n", " ",  "\r\n", "\t", "A",
                                        "AA", "AAAA", ".",  ".x", "%3D",  "&"};
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
        cr_assert_eq(verify(busi_arena_printf(&arena, "%.*s%s", BUSI_ARG(good), tails[i])), BUSI_JWT_INVALID,
                     "%s", tails[i]);
    static const char *const heads[] = {" ", "\n", ".", "Bearer ", "=", "\""};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        cr_assert_eq(verify(busi_arena_printf(&arena, "%s%.*s", heads[i], BUSI_ARG(good))), BUSI_JWT_INVALID,
                     "%s", heads[i]);
    char *text = malloc(good.len + 2);
    for (size_t i = 0; i <= good.len; i++) { /* one more byte anywhere */
        static const char more[] = {'=', ' ', '\n', '+', '/', '.', '\0', 'A'};
        for (size_t k = 0; k < sizeof(more); k++) {
            memcpy(text, good.ptr, i);
            text[i] = more[k];
            memcpy(text + i + 1, good.ptr + i, good.len - i);
            cr_assert_eq(verify((struct busi_str){text, good.len + 1}), BUSI_JWT_INVALID, "%zu %zu", i, k);
        }
    }
    free(text);
}

/* No other text has the meaning of a token; every bit counts, spare bits of a last character too.
 */
Test(jwt, every_bit_counts)
{
    struct busi_str good = signed_token(header512, payload);
    char *text = malloc(good.len);
    memcpy(text, good.ptr, good.len);
    for (size_t i = 0; i < good.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(good.ptr[i] ^ (1 << bit));
            cr_assert_eq(verify((struct busi_str){text, good.len}), BUSI_JWT_INVALID, "byte %zu bit %d", i,
                         bit);
            text[i] = good.ptr[i];
        }
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=";
    for (const char *c = alphabet; *c; c++) {
        text[good.len - 1] = *c;
        bool same = *c == good.ptr[good.len - 1];
        cr_assert_eq(verify((struct busi_str){text, good.len}), same ? BUSI_JWT_OK : BUSI_JWT_INVALID);
    }
    text[good.len - 1] = good.ptr[good.len - 1];
    for (size_t len = 0; len < good.len; len++) /* every truncation */
        cr_assert_eq(verify((struct busi_str){text, len}), BUSI_JWT_INVALID, "%zu", len);
    free(text);
    cr_assert_eq(verify((struct busi_str){0}), BUSI_JWT_INVALID);
}

Test(jwt, a_signature_belongs_to_its_token_and_key)
{
    struct busi_str a = signed_token(header512, payload), b = with("sub", "\"sub\":\"8\"");
    cr_assert_eq(verify(b), BUSI_JWT_OK);
    size_t head = (size_t)(strrchr(a.ptr, '.') - a.ptr);
    struct busi_str crossed = busi_arena_printf(&arena, "%.*s%s", (int)head, a.ptr, strrchr(b.ptr, '.'));
    cr_assert_eq(verify(crossed), BUSI_JWT_INVALID);
    key.secret = BUSI_STR("a-secret-of-sixty-four-bytes-for-tests-0123456789-0123456789-013");
    cr_assert_eq(verify(a), BUSI_JWT_INVALID);
    key.secret = BUSI_STR("");
    cr_assert_eq(verify(a), BUSI_JWT_INVALID);
    key.secret.len = 0;
    cr_assert_eq(verify(a), BUSI_JWT_INVALID);
}

Test(jwt, times)
{
    static const struct {
        const char *claim, *as;
        enum busi_jwt_verdict verdict;
    } rows[] = {
        {"exp", "\"exp\":1700000001", BUSI_JWT_OK},
        {"exp", "\"exp\":1700000000", BUSI_JWT_EXPIRED},
        {"exp", "\"exp\":1699999999", BUSI_JWT_EXPIRED},
        {"exp", "\"exp\":0", BUSI_JWT_EXPIRED},
        {"exp", "", BUSI_JWT_INVALID},
        {"exp", "\"exp\":null", BUSI_JWT_INVALID},
        {"exp", "\"exp\":\"1700000100\"", BUSI_JWT_INVALID},
        {"exp", "\"exp\":1700000100.0", BUSI_JWT_INVALID},
        {"exp", "\"exp\":17000001e2", BUSI_JWT_INVALID},
        {"exp", "\"exp\":-1700000100", BUSI_JWT_INVALID},
        {"exp", "\"exp\":9223372036854775807", BUSI_JWT_INVALID},
        {"exp", "\"exp\":9223372036854775808", BUSI_JWT_INVALID},
        {"exp", "\"exp\":1e300", BUSI_JWT_INVALID},
        {"exp", "\"exp\":1e999", BUSI_JWT_INVALID},
        {"exp", "\"exp\":true", BUSI_JWT_INVALID},
        {"exp", "\"exp\":[1700000100]", BUSI_JWT_INVALID},
        {"exp", "\"exp\":NaN", BUSI_JWT_INVALID},
        {"exp", "\"exp\":253402300799", BUSI_JWT_OK},
        {"exp", "\"exp\":253402300800", BUSI_JWT_INVALID},
        {"nbf", "\"nbf\":1700000000", BUSI_JWT_OK},
        {"nbf", "\"nbf\":1700000001", BUSI_JWT_NOT_YET},
        {"nbf", "", BUSI_JWT_INVALID},
        {"nbf", "\"nbf\":\"0\"", BUSI_JWT_INVALID},
        {"nbf", "\"nbf\":0.5", BUSI_JWT_INVALID},
        {"iat", "", BUSI_JWT_INVALID},
        {"iat", "\"iat\":\"x\"", BUSI_JWT_INVALID},
        {"iat", "\"iat\":-1", BUSI_JWT_INVALID},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_eq(verify(with(rows[i].claim, rows[i].as)), rows[i].verdict, "%s", rows[i].as);
}

Test(jwt, an_expired_token_still_tells_its_session)
{
    struct busi_jwt_claims claims;
    struct busi_str token = with("exp", "\"exp\":1699999999");
    cr_assert_eq(busi_jwt_verify(&arena, &key, token, NOW, &claims), BUSI_JWT_EXPIRED);
    cr_assert(busi_str_eq(claims.session_id, BUSI_STR("s")) && busi_str_eq(claims.subject, BUSI_STR("7")));
}

Test(jwt, claims_are_exact)
{
    static const struct {
        const char *claim, *as;
    } rows[] = {
        {"aud", ""},
        {"aud", "\"aud\":\"busi\""},
        {"aud", "\"aud\":\"busi_apis\""},
        {"aud", "\"aud\":\"BUSI_API\""},
        {"aud", "\"aud\":[\"busi_api\"]"},
        {"aud", "\"aud\":null"},
        {"aud", "\"aud\":\"\""},
        {"aud", "\"aud\":\"busi_api\\n\""},
        {"iss", ""},
        {"iss", "\"iss\":\"other\""},
        {"iss", "\"iss\":\"Busi_api\""},
        {"iss", "\"iss\":{}"},
        {"jti", ""},
        {"jti", "\"jti\":1"},
        {"jti", "\"jti\":null"},
        {"jti", "\"jti\":\"\""},
        {"jti", "\"jti\":\"\\u0000\""},
        {"sub", ""},
        {"sub", "\"sub\":7"},
        {"sub", "\"sub\":[\"7\"]"},
        {"sub", "\"sub\":\"\""},
        {"typ", ""},
        {"typ", "\"typ\":true"},
        {"sid", ""},
        {"sid", "\"sid\":5"},
        {"sid", "\"sid\":\"\""},
        {"exp", "\"exp\":1700000100,\"exp\":1700000100"},
        {"exp", "\"exp\":1,\"\\u0065xp\":1700000100"},
        {"sub", "\"sub\":\"7\",\"sub\":\"8\""},
        {"jti", "\"jti\":\"\xff\""},
        {"jti", "\"jti\":\"\xc0\xaf\""},
        {"jti", "\"jti\":\"\xed\xa0\x80\""},
        {"jti", "\"jti\":\"\\ud800\""},
        {"jti", "\"jti\":\"a\nb\""},
        {"sub", "\"sub\":\"7\",\"x\":{\"a\":1,\"a\":2}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_eq(verify(with(rows[i].claim, rows[i].as)), BUSI_JWT_INVALID, "%s %s", rows[i].claim,
                     rows[i].as);
    static const char *const bodies[] = {"",   "null", "[]",   "7",        "\"x\"",
                                         "{}", "{",    "{}{}", "not json", "[{}]"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        cr_assert_eq(verify(signed_token(header512, bodies[i])), BUSI_JWT_INVALID, "%s", bodies[i]);
    cr_assert_eq(verify(signed_token(header512, busi_arena_printf(&arena, "%s x", payload).ptr)),
                 BUSI_JWT_INVALID);
    /* a NUL behind or inside the JSON text */
    cr_assert_eq(
        verify(signed_bytes(true, busi_str_of(header512), (struct busi_str){payload, sizeof(payload)})),
        BUSI_JWT_INVALID);
}

Test(jwt, issuer_and_audience_are_free_where_the_key_says_so)
{
    key.issuer = key.audience = (struct busi_str){0};
    cr_assert_eq(verify(with("aud", "")), BUSI_JWT_OK);
    cr_assert_eq(verify(with("iss", "\"iss\":\"someone\"")), BUSI_JWT_OK);
    struct busi_jwt_claims claims = some_claims();
    cr_assert_eq(verify(busi_jwt_sign(&arena, &key, &claims)), BUSI_JWT_OK);
}

Test(jwt, deep_and_large_payloads_cost_nothing)
{
    char *body = malloc(20000);
    for (int depth = 9; depth < 2500; depth += 300) {
        memset(body, '[', (size_t)depth);
        memset(body + depth, ']', (size_t)depth);
        body[depth * 2] = '\0';
        cr_assert_eq(verify(with("sub", busi_arena_printf(&arena, "\"sub\":\"7\",\"x\":%s", body).ptr)),
                     BUSI_JWT_INVALID);
    }
    memset(body, 'x', 9000);
    body[9000] = '\0';
    cr_assert_eq(verify(with("sub", busi_arena_printf(&arena, "\"sub\":\"%s\"", body).ptr)),
                 BUSI_JWT_INVALID);
    free(body);
}

/* In the style of Wycheproof's HMAC vectors: RFC 4231 test case 7 is a key longer than a block; here the
 * secret is. */
Test(jwt, secrets_longer_than_a_block_are_whole)
{
    char long_secret[201];
    struct busi_jwt_claims claims = some_claims(), read;
    memset(long_secret, 's', 200);
    long_secret[200] = '\0';
    key.secret = busi_str_of(long_secret);
    struct busi_str token = busi_jwt_sign(&arena, &key, &claims);
    cr_assert_eq(busi_jwt_verify(&arena, &key, token, NOW, &read), BUSI_JWT_OK);
    long_secret[199] = 't';
    cr_assert_eq(busi_jwt_verify(&arena, &key, token, NOW, &read), BUSI_JWT_INVALID);
}

Test(jwt, out_of_memory_is_no_token_and_no_verdict_of_ok)
{
    struct busi_jwt_claims claims = some_claims();
    struct busi_str token = busi_jwt_sign(&arena, &key, &claims);
    struct busi_arena small;
    for (size_t bytes = 0; bytes < 64; bytes++) {
        busi_arena_init(&small, bytes);
        cr_assert_null(busi_jwt_sign(&small, &key, &claims).ptr);
        struct busi_jwt_claims read;
        cr_assert_eq(busi_jwt_verify(&small, &key, token, NOW, &read), BUSI_JWT_INVALID);
        busi_arena_fini(&small);
    }
}

static bool same_text(struct busi_str a, struct busi_str b)
{
    return !a.ptr == !b.ptr && busi_str_eq(a, b);
}

Test(jwt, the_quick_reader_of_payloads_sees_what_the_thorough_one_sees)
{
    static const struct {
        const char *json;
        bool own; /* read by the quick one */
    } cases[] = {
        {payload, true},
        {"{\"exp\":0}", true},
        {"{\"sub\":\"\"}", true},
        {"{\"typ\":\"a\",\"aud\":\"b }]\",\"exp\":999999999999999999}", true},
        {"{}", false},
        {"{\"exp\":1,}", false},
        {"{\"exp\":1}}", false},
        {"{\"exp\":1} ", false},
        {"{\"exp\": 1}", false},
        {"{\"exp\":01}", false},
        {"{\"exp\":-1}", false},
        {"{\"exp\":1.0}", false},
        {"{\"exp\":9999999999999999999}", false},
        {"{\"exp\":\"1\"}", false},
        {"{\"exp\":}", false},
        {"{\"exp\"}", false},
        {"{\"exp", false},
        {"{", false},
        {"", false},
        {"{\"sub\":1}", false},
        {"{\"sub\":\"\\u0061\"}", false},
        {"{\"sub\":\"\xc3\xa9\"}", false},
        {"{\"sub\":\"a\nb\"}", false},
        {"{\"sub\":\"a\",\"sub\":\"a\"}", false},
        {"{\"sub\":\"a\",\"more\":\"b\"}", false},
        {"{\"sub\":\"a\" ,\"typ\":\"b\"}", false},
    };
    struct busi_jwt_payload own, any;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct busi_str json = busi_str_of(cases[i].json);
        cr_assert_eq(busi_jwt_payload_read_own(json, &own), cases[i].own, "%s", cases[i].json);
        if (!cases[i].own)
            continue;
        cr_assert(busi_jwt_payload_read_any(&arena, json, &any), "%s", cases[i].json);
        cr_assert(same_text(own.audience, any.audience) && same_text(own.issuer, any.issuer));
        cr_assert(same_text(own.claims.subject, any.claims.subject) &&
                  same_text(own.claims.type, any.claims.type) && same_text(own.claims.jti, any.claims.jti) &&
                  same_text(own.claims.session_id, any.claims.session_id));
        cr_assert(own.claims.expires_at == any.claims.expires_at &&
                  own.claims.issued_at == any.claims.issued_at &&
                  own.claims.not_before == any.claims.not_before);
    }
}
