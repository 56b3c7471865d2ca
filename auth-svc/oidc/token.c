#include "oidc/token.h"
#include "base/text.h"
#include "oidc/json.h"
#include <cjose/cjose.h>
#include <stdlib.h>

enum {
    TOKEN_MOST = 16 * 1024,
    KEYS_TRIED_MOST = 16,
    DRIFT_S = 60,          /* clocks of two houses */
    OLD_S = 600,           /* iat: a token is read right after it was made */
    SUBJECT_MOST = 255,    /* Core, section 2 */
    RSA_LEAST_CHARS = 342, /* base64url of a modulus of 2,048 bits */
    RSA_MOST_CHARS = 1366, /* 8,192 */
};

/* Which keys may sign by an algorithm (RFC 7518, section 3.1). */
static const struct algorithm {
    const char *name, *key_type, *curve;
    size_t bytes; /* of a signature; 0: as many as the key has */
} algorithms[] = {
    {"RS256", "RSA", NULL, 0},    {"RS384", "RSA", NULL, 0},    {"RS512", "RSA", NULL, 0},
    {"PS256", "RSA", NULL, 0},    {"PS384", "RSA", NULL, 0},    {"PS512", "RSA", NULL, 0},
    {"ES256", "EC", "P-256", 64}, {"ES384", "EC", "P-384", 96}, {"ES512", "EC", "P-521", 132},
};

/* A token as three texts, decoded. */
struct parts {
    struct busi_str header, payload, signature;
};

static struct busi_str decode(struct busi_arena *arena, struct busi_str text)
{
    char *bytes = busi_arena_alloc(arena, text.len + 1);
    ptrdiff_t n = bytes ? busi_base64url_decode(bytes, text.len, text) : -1;
    return n < 0 ? (struct busi_str){0} : (struct busi_str){bytes, (size_t)n};
}

static bool cut(struct busi_arena *arena, struct busi_str token, struct parts *parts)
{
    const char *first = token.len && token.len <= TOKEN_MOST ? memchr(token.ptr, '.', token.len) : NULL;
    if (!first)
        return false;
    size_t left = token.len - (size_t)(first + 1 - token.ptr);
    const char *second = memchr(first + 1, '.', left);
    if (!second)
        return false;
    parts->header = decode(arena, (struct busi_str){token.ptr, (size_t)(first - token.ptr)});
    parts->payload = decode(arena, (struct busi_str){first + 1, (size_t)(second - first) - 1});
    /* cjose decodes it, too, but asserts that "=" stands at an end */
    parts->signature = decode(arena, (struct busi_str){second + 1, left - (size_t)(second - first)});
    return parts->header.ptr && parts->payload.ptr && parts->signature.len > 0;
}

/* ---- the signature ---- */

static const struct algorithm *find_algorithm(const json_t *header)
{
    const char *name = json_string_value(json_object_get(header, "alg"));
    for (size_t i = 0; name && i < sizeof(algorithms) / sizeof(algorithms[0]); i++)
        if (strcmp(name, algorithms[i].name) == 0)
            return &algorithms[i];
    return NULL;
}

static bool is(const json_t *object, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, wanted) == 0;
}

/* True also when it does not say. */
static bool may_be(const json_t *object, const char *name, const char *wanted)
{
    return !json_object_get(object, name) || is(object, name, wanted);
}

static bool is_strong(const json_t *key)
{
    size_t chars = json_string_length(json_object_get(key, "n"));
    return !is(key, "kty", "RSA") || (chars >= RSA_LEAST_CHARS && chars <= RSA_MOST_CHARS);
}

/* cjose reads the numbers of a key with the same decoder, which asserts what it should refuse. */
static bool is_readable(const json_t *key)
{
    static const char *const numbers[] = {"n", "e", "x", "y", "d", "p", "q", "dp", "dq", "qi"};
    char bytes[RSA_MOST_CHARS];
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const json_t *number = json_object_get(key, numbers[i]);
        struct busi_str text = {json_string_value(number), json_string_length(number)};
        if (number && busi_base64url_decode(bytes, sizeof(bytes), text) <= 0)
            return false;
    }
    return true;
}

static bool fits(const json_t *key, const struct algorithm *algorithm, const char *kid)
{
    return json_is_object(key) && is(key, "kty", algorithm->key_type) &&
           (!algorithm->curve || is(key, "crv", algorithm->curve)) && may_be(key, "alg", algorithm->name) &&
           may_be(key, "use", "sig") && (!kid || is(key, "kid", kid)) && is_strong(key) && is_readable(key);
}

static bool signed_by(struct busi_str token, json_t *key)
{
    cjose_err error;
    cjose_jwk_t *jwk = cjose_jwk_import_json(key, &error);
    cjose_jws_t *jws = jwk ? cjose_jws_import(token.ptr, token.len, &error) : NULL;
    bool good = jws && cjose_jws_verify(jws, jwk, &error);
    if (jws)
        cjose_jws_release(jws);
    if (jwk)
        cjose_jwk_release(jwk);
    return good;
}

/* signature_bytes: cjose takes half of what is there for either number, and leaves a byte over. */
static enum auth_oidc_verdict verify(struct busi_str token, size_t signature_bytes, const json_t *header,
                                     const json_t *jwks, const char **why)
{
    const struct algorithm *algorithm = find_algorithm(header);
    const json_t *id = json_object_get(header, "kid"), *keys = json_object_get(jwks, "keys");
    size_t tried = 0;
    *why = "its algorithm is none we take";
    if (!algorithm || json_object_get(header, "crit") || json_object_get(header, "b64") ||
        (id && !json_is_string(id)))
        return AUTH_OIDC_INVALID;
    *why = "its signature is wrong";
    if (algorithm->bytes && signature_bytes != algorithm->bytes)
        return AUTH_OIDC_INVALID;
    for (size_t i = 0; i < json_array_size(keys) && tried < KEYS_TRIED_MOST; i++) {
        json_t *key = json_array_get(keys, i);
        if (!fits(key, algorithm, json_string_value(id)))
            continue;
        tried++;
        if (signed_by(token, key))
            return AUTH_OIDC_GOOD;
    }
    *why = tried ? "its signature is wrong" : "its key is not published";
    return tried && id ? AUTH_OIDC_INVALID : AUTH_OIDC_UNKNOWN_KEY;
}

/* ---- the claims ---- */

static bool is_text(const json_t *value, struct busi_str wanted)
{
    return json_is_string(value) &&
           busi_str_eq((struct busi_str){json_string_value(value), json_string_length(value)}, wanted);
}

/* Ours alone, or ours among several and made for us. */
static bool is_for(const json_t *claims, struct busi_str client_id)
{
    const json_t *audience = json_object_get(claims, "aud"), *party = json_object_get(claims, "azp");
    if (party && !is_text(party, client_id))
        return false;
    if (!json_is_array(audience))
        return is_text(audience, client_id);
    for (size_t i = 0; i < json_array_size(audience); i++)
        if (is_text(json_array_get(audience, i), client_id))
            return json_array_size(audience) == 1 || party;
    return false;
}

static bool is_timely(const json_t *claims, int64_t now_s)
{
    const json_t *expires = json_object_get(claims, "exp"), *issued = json_object_get(claims, "iat"),
                 *begins = json_object_get(claims, "nbf");
    if (!json_is_integer(expires) || !json_is_integer(issued) || (begins && !json_is_integer(begins)))
        return false;
    int64_t made_s = json_integer_value(issued);
    return json_integer_value(expires) > now_s - DRIFT_S && made_s <= now_s + DRIFT_S &&
           made_s >= now_s - OLD_S && json_integer_value(begins) <= now_s + DRIFT_S;
}

/* json_integer_value(NULL) is 0, json_string_value(NULL) is NULL. */
static bool take(struct busi_arena *arena, const json_t *claims, struct auth_oidc_identity *identity)
{
    const json_t *subject = json_object_get(claims, "sub"), *email = json_object_get(claims, "email"),
                 *verified = json_object_get(claims, "email_verified");
    *identity = (struct auth_oidc_identity){0};
    if (!json_is_string(subject) || json_string_length(subject) < 1 ||
        json_string_length(subject) > SUBJECT_MOST)
        return false;
    identity->subject =
        busi_arena_dup(arena, (struct busi_str){json_string_value(subject), json_string_length(subject)});
    if (json_is_string(email) && json_string_length(email) > 0)
        identity->email =
            busi_arena_dup(arena, (struct busi_str){json_string_value(email), json_string_length(email)});
    /* some say it as a text */
    identity->email_verified = json_is_true(verified) || is_text(verified, BUSI_STR("true"));
    return identity->subject.ptr;
}

static const char *judge(const json_t *claims, const struct auth_oidc_expected *expected)
{
    if (!is_text(json_object_get(claims, "iss"), expected->issuer))
        return "it is another issuer's";
    if (!is_for(claims, expected->client_id))
        return "it is for somebody else";
    if (!is_text(json_object_get(claims, "nonce"), expected->nonce))
        return "its nonce is another sign-in's";
    return is_timely(claims, expected->now_s) ? NULL : "it has expired, or is not of now";
}

enum auth_oidc_verdict auth_oidc_token_read(struct busi_arena *arena, struct busi_str token,
                                            struct busi_str jwks, const struct auth_oidc_expected *expected,
                                            struct auth_oidc_identity *identity, const char **why)
{
    struct parts parts;
    *why = "it is no token";
    if (!cut(arena, token, &parts))
        return AUTH_OIDC_INVALID;
    json_t *header = auth_oidc_json(parts.header), *claims = auth_oidc_json(parts.payload),
           *keys = auth_oidc_json(jwks);
    enum auth_oidc_verdict verdict = AUTH_OIDC_INVALID;
    if (header && claims && keys)
        verdict = verify(token, parts.signature.len, header, keys, why);
    if (verdict == AUTH_OIDC_GOOD) {
        *why = judge(claims, expected);
        if (!*why && !take(arena, claims, identity))
            *why = "it names nobody";
        verdict = *why ? AUTH_OIDC_INVALID : AUTH_OIDC_GOOD;
    }
    json_decref(header);
    json_decref(claims);
    json_decref(keys);
    return verdict;
}

bool auth_oidc_user_info_read(struct busi_arena *arena, struct busi_str json,
                              struct auth_oidc_identity *identity)
{
    json_t *claims = auth_oidc_json(json);
    bool fine = claims && take(arena, claims, identity);
    json_decref(claims);
    return fine;
}
