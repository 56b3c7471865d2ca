/* The JWT verifier. First byte even: the rest is a token as it came. Odd: the rest is a payload, which is
 * signed with the real key, so that the fuzzer gets past the signature to the claims. */
#include "base/text.h"
#include "crypto/jwt_claims.h"
#include "crypto/secret.h"
#include <sodium.h>
#include <stdlib.h>

enum { NOW = 1700000000, MOST_PAYLOAD_BYTES = 7000 };
static const char secret[] = "a-secret-of-sixty-four-bytes-for-tests-0123456789-0123456789-012";
static const char header[] = "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static struct busi_str sign(struct busi_arena *arena, struct busi_str payload)
{
    uint8_t mac[64];
    crypto_auth_hmacsha512_state state;
    char *text = busi_arena_alloc(arena, sizeof(header) + payload.len * 2 + 256);
    require(text);
    size_t len = sizeof(header) - 1;
    memcpy(text, header, len);
    len += busi_base64url_encode(text + len, payload.ptr, payload.len);
    crypto_auth_hmacsha512_init(&state, (const uint8_t *)secret, sizeof(secret) - 1);
    crypto_auth_hmacsha512_update(&state, (const uint8_t *)text, len);
    crypto_auth_hmacsha512_final(&state, mac);
    text[len++] = '.';
    len += busi_base64url_encode(text + len, mac, sizeof(mac));
    return (struct busi_str){text, len};
}

/* What is added is said, but for names of ours, and read again. */
static void check_more(struct busi_arena *arena, const struct busi_jwt_key *key, struct busi_str more)
{
    struct busi_jwt_claims read, claims = {.jti = BUSI_STR("j"),
                                           .subject = BUSI_STR("7"),
                                           .type = BUSI_STR("access"),
                                           .session_id = BUSI_STR("s"),
                                           .not_before = NOW,
                                           .issued_at = NOW,
                                           .expires_at = NOW + 1,
                                           .more = more};
    struct busi_str token = busi_jwt_sign(arena, key, &claims);
    if (!token.ptr || busi_jwt_verify(arena, key, token, NOW, &read) != BUSI_JWT_OK)
        return; /* no object, or too deep beside ours */
    require(busi_str_eq(read.session_id, claims.session_id) && busi_str_eq(read.subject, claims.subject) &&
            busi_str_eq(read.type, claims.type) && !read.purpose.ptr && !read.name.ptr);
    struct busi_str said = busi_jwt_more(arena, token);
    claims.more = said.ptr ? said : (struct busi_str){0};
    require(busi_str_eq(busi_jwt_sign(arena, key, &claims), token));
}

/* What was accepted can be said again and means the same. */
static void check_again(struct busi_arena *arena, const struct busi_jwt_key *key,
                        const struct busi_jwt_claims *claims)
{
    struct busi_jwt_claims again;
    struct busi_str token = busi_jwt_sign(arena, key, claims), more = busi_jwt_more(arena, token);
    require(!more.ptr || more.len > 2);
    require(token.ptr && busi_jwt_verify(arena, key, token, NOW, &again) == BUSI_JWT_OK);
    require(busi_str_eq(claims->jti, again.jti) && busi_str_eq(claims->subject, again.subject) &&
            busi_str_eq(claims->type, again.type) && busi_str_eq(claims->session_id, again.session_id));
    require(claims->issued_at == again.issued_at && claims->not_before == again.not_before &&
            claims->expires_at == again.expires_at);
}

static bool same(struct busi_str a, struct busi_str b)
{
    return !a.ptr == !b.ptr && busi_str_eq(a, b);
}

/* The quick way of reading a payload sees what the thorough one sees. */
static void check_readers(struct busi_arena *arena, struct busi_str json)
{
    struct busi_jwt_payload own, any;
    if (!busi_jwt_payload_read_own(json, &own))
        return;
    require(busi_jwt_payload_read_any(arena, json, &any));
    require(same(own.issuer, any.issuer) && same(own.audience, any.audience) &&
            same(own.claims.jti, any.claims.jti) && same(own.claims.subject, any.claims.subject) &&
            same(own.claims.type, any.claims.type) && same(own.claims.session_id, any.claims.session_id) &&
            same(own.claims.purpose, any.claims.purpose) && same(own.claims.name, any.claims.name) &&
            same(own.role, any.role));
    require(own.claims.issued_at == any.claims.issued_at && own.claims.not_before == any.claims.not_before &&
            own.claims.expires_at == any.claims.expires_at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || !busi_crypto_init())
        return 0;
    struct busi_jwt_key key = {.algorithm = BUSI_JWT_HS512,
                               .secret = BUSI_STR(secret),
                               .issuer = BUSI_STR("busi_api"),
                               .audience = BUSI_STR("busi_api")};
    struct busi_str rest = {(const char *)data + 1, size - 1};
    struct busi_jwt_claims claims;
    struct busi_arena arena;
    busi_arena_init(&arena, 1 << 20);
    bool signed_here = data[0] % 2 == 1 && rest.len <= MOST_PAYLOAD_BYTES;
    check_readers(&arena, rest);
    if (data[0] % 4 == 2 && rest.len < 600)
        check_more(&arena, &key, rest);
    enum busi_jwt_verdict verdict =
        busi_jwt_verify(&arena, &key, signed_here ? sign(&arena, rest) : rest, NOW, &claims);
    if (verdict == BUSI_JWT_INVALID)
        require(!claims.jti.ptr && !claims.session_id.ptr && claims.expires_at == 0);
    else
        require(claims.jti.len > 0 && claims.session_id.len > 0 && claims.subject.len > 0 &&
                busi_utf8_valid(claims.subject));
    if (verdict == BUSI_JWT_OK &&
        rest.len < 600) /* escaping makes six bytes of one: no longer than a token */
        check_again(&arena, &key, &claims);
    busi_arena_fini(&arena);
    return 0;
}
