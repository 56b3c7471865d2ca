#include "crypto/jwt.h"
#include "base/buf.h"
#include "base/text.h"
#include "crypto/jwt_claims.h"
#include <assert.h>
#include <sodium.h>
#include <stdio.h>

enum {
    MOST_TOKEN_BYTES = 8192,
    MOST_PAYLOAD_BYTES = MOST_TOKEN_BYTES / 4 * 3,
    MOST_SIGNATURE_BYTES = 64,
};
/* Year 9999: a later time is a mistake, and times in microseconds must fit 64 bits. */
static const int64_t latest_s = 253402300799;

/* One per enum busi_jwt_algorithm. */
static const struct algorithm {
    const char *name;   /* alg */
    const char *header; /* the only one accepted of keys without a kid, encoded: as base64url is canonical,
                           equal text is equal bytes */
    size_t signature_bytes;
} algorithms[] = {
    /* {"alg":"HS256","typ":"JWT"} and {"alg":"HS512","typ":"JWT"} */
    [BUSI_JWT_HS256] = {"HS256", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", crypto_auth_hmacsha256_BYTES},
    [BUSI_JWT_HS512] = {"HS512", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9", crypto_auth_hmacsha512_BYTES},
};

bool busi_jwt_kid_valid(struct busi_str kid)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    for (size_t i = 0; i < kid.len; i++)
        if (!memchr(allowed, kid.ptr[i], sizeof(allowed) - 1))
            return false;
    return kid.len > 0 && kid.len <= BUSI_JWT_KID_MOST;
}

struct busi_str busi_jwt_header(char out[BUSI_JWT_HEADER_MOST], enum busi_jwt_algorithm algorithm,
                                struct busi_str kid)
{
    char json[BUSI_JWT_HEADER_MOST / 4 * 3];
    assert(busi_jwt_kid_valid(kid));
    int len = snprintf(json, sizeof(json), "{\"alg\":\"%s\",\"kid\":\"%.*s\",\"typ\":\"JWT\"}",
                       algorithms[algorithm].name, BUSI_ARG(kid));
    return (struct busi_str){out, busi_base64url_encode(out, json, (size_t)len)};
}

static struct busi_str header_of(const struct busi_jwt_key *key)
{
    return key->header.ptr ? key->header : busi_str_of(algorithms[key->algorithm].header);
}

static void sign(uint8_t out[MOST_SIGNATURE_BYTES], const struct busi_jwt_key *key, struct busi_str input)
{
    const uint8_t *secret = (const uint8_t *)key->secret.ptr, *bytes = (const uint8_t *)input.ptr;
    union {
        crypto_auth_hmacsha512_state sha512;
        crypto_auth_hmacsha256_state sha256;
    } state;
    if (key->algorithm == BUSI_JWT_HS512) {
        crypto_auth_hmacsha512_init(&state.sha512, secret, key->secret.len);
        crypto_auth_hmacsha512_update(&state.sha512, bytes, input.len);
        crypto_auth_hmacsha512_final(&state.sha512, out);
    } else {
        crypto_auth_hmacsha256_init(&state.sha256, secret, key->secret.len);
        crypto_auth_hmacsha256_update(&state.sha256, bytes, input.len);
        crypto_auth_hmacsha256_final(&state.sha256, out);
    }
    sodium_memzero(&state, sizeof(state));
}

/* ---- making ---- */

static void add_name(struct busi_buf *out, const char *name)
{
    busi_buf_char(out, out->len == 0 ? '{' : ',');
    busi_buf_json(out, busi_str_of(name));
    busi_buf_char(out, ':');
}

static void add_text(struct busi_buf *out, const char *name, struct busi_str value)
{
    if (!value.ptr)
        return;
    add_name(out, name);
    busi_buf_json(out, value);
}

static void add_time(struct busi_buf *out, const char *name, int64_t seconds)
{
    add_name(out, name);
    busi_buf_int(out, seconds);
}

static void add_json(struct busi_buf *out, const char *name, struct busi_str value)
{
    if (!value.ptr)
        return;
    add_name(out, name);
    busi_buf_str(out, value);
}

static void write_payload(struct busi_buf *out, const struct busi_jwt_key *key,
                          const struct busi_jwt_claims *claims)
{
    add_text(out, "aud", key->audience);
    add_time(out, "exp", claims->expires_at);
    add_time(out, "iat", claims->issued_at);
    add_text(out, "iss", key->issuer);
    add_text(out, "jti", claims->jti);
    add_time(out, "nbf", claims->not_before);
    add_text(out, "purpose", claims->purpose);
    add_json(out, "role", claims->role);
    add_text(out, "sid", claims->session_id);
    add_text(out, "sub", claims->subject);
    add_text(out, "typ", claims->type);
    add_text(out, "unique_name", claims->name);
    busi_buf_char(out, '}');
}

struct busi_str busi_jwt_sign(struct busi_arena *arena, const struct busi_jwt_key *key,
                              const struct busi_jwt_claims *claims)
{
    struct busi_str token = {0};
    const struct algorithm *algorithm = &algorithms[key->algorithm];
    uint8_t signature[MOST_SIGNATURE_BYTES];
    struct busi_buf payload;
    busi_buf_init(&payload, MOST_PAYLOAD_BYTES);
    write_payload(&payload, key, claims);
    struct busi_str said = {payload.ptr, payload.len};
    if (claims->more.ptr && !payload.failed)
        said = busi_jwt_payload_add(arena, said, claims->more);
    struct busi_str header = header_of(key);
    size_t room = header.len + 1 + (said.len * 4 + 2) / 3 + 1 + MOST_SIGNATURE_BYTES * 2;
    char *text =
        payload.failed || !said.ptr || room > MOST_TOKEN_BYTES ? NULL : busi_arena_alloc(arena, room);
    if (text) {
        memcpy(text, header.ptr, header.len);
        size_t len = header.len;
        text[len++] = '.';
        len += busi_base64url_encode(text + len, said.ptr, said.len);
        sign(signature, key, (struct busi_str){text, len});
        text[len++] = '.';
        len += busi_base64url_encode(text + len, signature, algorithm->signature_bytes);
        token = (struct busi_str){text, len};
    }
    busi_buf_fini(&payload);
    return token;
}

/* ---- checking ---- */

/* The three parts of a token, still encoded. */
struct parts {
    struct busi_str header, payload, signature;
    struct busi_str signed_text; /* header "." payload */
};

static bool split(struct parts *parts, struct busi_str token)
{
    if (!token.ptr || token.len > MOST_TOKEN_BYTES)
        return false;
    const char *end = token.ptr + token.len, *first = memchr(token.ptr, '.', token.len);
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    parts->header = (struct busi_str){token.ptr, (size_t)(first - token.ptr)};
    parts->payload = (struct busi_str){first + 1, (size_t)(second - first - 1)};
    parts->signature = (struct busi_str){second + 1, (size_t)(end - second - 1)};
    parts->signed_text = (struct busi_str){token.ptr, (size_t)(second - token.ptr)};
    return true;
}

static bool well_signed(const struct parts *parts, const struct busi_jwt_key *key)
{
    const struct algorithm *algorithm = &algorithms[key->algorithm];
    uint8_t given[MOST_SIGNATURE_BYTES], right[MOST_SIGNATURE_BYTES];
    if (!busi_str_eq(parts->header, header_of(key)) ||
        busi_base64url_decode(given, sizeof(given), parts->signature) !=
            (ptrdiff_t)algorithm->signature_bytes)
        return false;
    sign(right, key, parts->signed_text);
    bool same = sodium_memcmp(given, right, algorithm->signature_bytes) == 0;
    sodium_memzero(right, sizeof(right));
    return same;
}

static bool is_time(int64_t seconds)
{
    return seconds >= 0 && seconds <= latest_s;
}

static bool is_said(struct busi_str text)
{
    return text.ptr && text.len > 0;
}

static bool is_expected(struct busi_str text, struct busi_str expected)
{
    return !expected.ptr || (text.ptr && busi_str_eq(text, expected));
}

/* ptr NULL: not base64url, or out of memory. */
static struct busi_str decode(struct busi_arena *arena, struct busi_str encoded)
{
    size_t room = encoded.len / 4 * 3 + 3;
    char *bytes = busi_arena_alloc(arena, room);
    ptrdiff_t n = bytes ? busi_base64url_decode(bytes, room, encoded) : -1;
    return n < 0 ? (struct busi_str){0} : (struct busi_str){bytes, (size_t)n};
}

static bool read_claims(struct busi_arena *arena, const struct busi_jwt_key *key, struct busi_str encoded,
                        struct busi_jwt_claims *claims)
{
    struct busi_jwt_payload payload;
    struct busi_str json = decode(arena, encoded);
    if (!json.ptr || !busi_jwt_payload_read(arena, json, &payload))
        return false;
    *claims = payload.claims;
    return is_expected(payload.issuer, key->issuer) && is_expected(payload.audience, key->audience) &&
           is_time(claims->expires_at) && is_time(claims->issued_at) && is_time(claims->not_before) &&
           (is_said(claims->jti) || key->without & BUSI_JWT_NO_JTI) &&
           (is_said(claims->subject) || key->without & BUSI_JWT_NO_SUB) &&
           (is_said(claims->type) || key->without & BUSI_JWT_NO_TYP) && is_said(claims->session_id);
}

enum busi_jwt_verdict busi_jwt_verify(struct busi_arena *arena, const struct busi_jwt_key *key,
                                      struct busi_str token, int64_t now_s, struct busi_jwt_claims *claims)
{
    struct parts parts;
    *claims = (struct busi_jwt_claims){0};
    if (!split(&parts, token) || !well_signed(&parts, key) ||
        !read_claims(arena, key, parts.payload, claims)) {
        *claims = (struct busi_jwt_claims){0};
        return BUSI_JWT_INVALID;
    }
    if (claims->expires_at + key->late_s <= now_s)
        return BUSI_JWT_EXPIRED;
    return claims->not_before > now_s + key->early_s ? BUSI_JWT_NOT_YET : BUSI_JWT_OK;
}

struct busi_str busi_jwt_more(struct busi_arena *arena, struct busi_str token)
{
    struct parts parts;
    struct busi_str json = split(&parts, token) ? decode(arena, parts.payload) : (struct busi_str){0};
    return json.ptr ? busi_jwt_payload_more(arena, json) : json;
}
