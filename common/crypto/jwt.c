#include "crypto/jwt.h"
#include "base/buf.h"
#include "base/text.h"
#include <jansson.h>
#include <sodium.h>

enum {
    MOST_TOKEN_BYTES = 8192,
    MOST_PAYLOAD_BYTES = MOST_TOKEN_BYTES / 4 * 3,
    MOST_DEPTH = 8,
    HEADER_LEN = 36,
    MOST_SIGNATURE_BYTES = 64,
};
/* Year 9999: a later time is a mistake, and times in microseconds must fit 64 bits. */
static const int64_t latest_s = 253402300799;

/* One per enum busi_jwt_algorithm. */
static const struct algorithm {
    const char *header; /* the only one accepted, encoded: as base64url is canonical, equal text is equal
                           bytes; HEADER_LEN characters */
    size_t signature_bytes;
} algorithms[] = {
    // {"alg":"HS256","typ":"JWT"} and {"alg":"HS512","typ":"JWT"}
    [BUSI_JWT_HS256] = {"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", crypto_auth_hmacsha256_BYTES},
    [BUSI_JWT_HS512] = {"eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9", crypto_auth_hmacsha512_BYTES},
};

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

static void add_text(struct busi_buf *out, const char *name, struct busi_str value)
{
    if (!value.ptr)
        return;
    busi_buf_char(out, out->len == 0 ? '{' : ',');
    busi_buf_json(out, busi_str_of(name));
    busi_buf_char(out, ':');
    busi_buf_json(out, value);
}

static void add_time(struct busi_buf *out, const char *name, int64_t seconds)
{
    busi_buf_char(out, out->len == 0 ? '{' : ',');
    busi_buf_json(out, busi_str_of(name));
    busi_buf_char(out, ':');
    busi_buf_int(out, seconds);
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
    add_text(out, "sid", claims->session_id);
    add_text(out, "sub", claims->subject);
    add_text(out, "typ", claims->type);
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
    size_t room = HEADER_LEN + 1 + (payload.len * 4 + 2) / 3 + 1 + MOST_SIGNATURE_BYTES * 2;
    char *text = payload.failed ? NULL : busi_arena_alloc(arena, room);
    if (text) {
        memcpy(text, algorithm->header, HEADER_LEN);
        size_t len = HEADER_LEN;
        text[len++] = '.';
        len += busi_base64url_encode(text + len, payload.ptr, payload.len);
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
    if (!busi_str_eq(parts->header, (struct busi_str){algorithm->header, HEADER_LEN}) ||
        busi_base64url_decode(given, sizeof(given), parts->signature) !=
            (ptrdiff_t)algorithm->signature_bytes)
        return false;
    sign(right, key, parts->signed_text);
    bool same = sodium_memcmp(given, right, algorithm->signature_bytes) == 0;
    sodium_memzero(right, sizeof(right));
    return same;
}

/* Brackets nest at most MOST_DEPTH deep: jansson recurses, and this runs on a fiber's small stack. Brackets
 * inside strings count as well, which is strict but never wrong in the other direction. */
static bool is_shallow(struct busi_str json)
{
    int depth = 0;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        if ((c == '{' || c == '[') && ++depth > MOST_DEPTH)
            return false;
    }
    return true;
}

static bool read_time(const json_t *object, const char *name, int64_t *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value))
        return false;
    *out = json_integer_value(value);
    return *out >= 0 && *out <= latest_s;
}

static bool read_text(struct busi_arena *arena, const json_t *object, const char *name, struct busi_str *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value) || json_string_length(value) == 0)
        return false;
    *out = busi_arena_dup(arena, (struct busi_str){json_string_value(value), json_string_length(value)});
    return out->ptr != NULL;
}

static bool is_text(const json_t *object, const char *name, struct busi_str expected)
{
    const json_t *value = json_object_get(object, name);
    return !expected.ptr ||
           (json_is_string(value) &&
            busi_str_eq((struct busi_str){json_string_value(value), json_string_length(value)}, expected));
}

static bool read_claims(struct busi_arena *arena, const struct busi_jwt_key *key, const json_t *object,
                        struct busi_jwt_claims *claims)
{
    return json_is_object(object) && is_text(object, "iss", key->issuer) &&
           is_text(object, "aud", key->audience) && read_time(object, "exp", &claims->expires_at) &&
           read_time(object, "iat", &claims->issued_at) && read_time(object, "nbf", &claims->not_before) &&
           read_text(arena, object, "jti", &claims->jti) &&
           read_text(arena, object, "sub", &claims->subject) &&
           read_text(arena, object, "typ", &claims->type) &&
           read_text(arena, object, "sid", &claims->session_id);
}

static bool read_payload(struct busi_arena *arena, const struct busi_jwt_key *key, struct busi_str encoded,
                         struct busi_jwt_claims *claims)
{
    char bytes[MOST_PAYLOAD_BYTES];
    ptrdiff_t n = busi_base64url_decode(bytes, sizeof(bytes), encoded);
    if (n < 0 || !is_shallow((struct busi_str){bytes, (size_t)n}))
        return false;
    json_t *object = json_loadb(bytes, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    bool good = read_claims(arena, key, object, claims);
    json_decref(object);
    return good;
}

enum busi_jwt_verdict busi_jwt_verify(struct busi_arena *arena, const struct busi_jwt_key *key,
                                      struct busi_str token, int64_t now_s, struct busi_jwt_claims *claims)
{
    struct parts parts;
    *claims = (struct busi_jwt_claims){0};
    if (!split(&parts, token) || !well_signed(&parts, key) ||
        !read_payload(arena, key, parts.payload, claims)) {
        *claims = (struct busi_jwt_claims){0};
        return BUSI_JWT_INVALID;
    }
    if (claims->expires_at <= now_s)
        return BUSI_JWT_EXPIRED;
    return claims->not_before > now_s ? BUSI_JWT_NOT_YET : BUSI_JWT_OK;
}
