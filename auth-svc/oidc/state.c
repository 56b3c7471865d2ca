#include "oidc/state.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { RANDOM_BYTES = 32, HASH_BYTES = 32, STATE_CHARS = 43 };

static struct busi_str text_of(struct busi_arena *arena, const void *bytes, size_t n)
{
    char *text = busi_arena_alloc(arena, (n * 4 + 2) / 3 + 1);
    return text ? (struct busi_str){text, busi_base64url_encode(text, bytes, n)} : (struct busi_str){0};
}

/* A text of its own for each purpose. */
static struct busi_str derive(struct busi_arena *arena, struct busi_str key, const char *purpose,
                              struct busi_str state)
{
    uint8_t hash[HASH_BYTES];
    const struct busi_str parts[] = {BUSI_STR("oidc "), busi_str_of(purpose), BUSI_STR(" "), state};
    busi_keyed_hash_parts(hash, key, parts, sizeof(parts) / sizeof(parts[0]));
    struct busi_str text = text_of(arena, hash, sizeof(hash));
    busi_wipe(hash, sizeof(hash));
    return text;
}

/* Over texts that cannot run into each other: none of them has a dot or a blank. */
static struct busi_str tag(struct busi_arena *arena, struct busi_str key, struct busi_str provider,
                           struct busi_str body)
{
    struct busi_str text = busi_arena_printf(arena, "%.*s %.*s", BUSI_ARG(provider), BUSI_ARG(body));
    return text.ptr ? derive(arena, key, "cookie", text) : (struct busi_str){0};
}

static bool fill(struct busi_arena *arena, struct busi_str key, struct auth_oidc_state *out)
{
    uint8_t hash[HASH_BYTES];
    out->nonce = derive(arena, key, "nonce", out->state);
    out->verifier = derive(arena, key, "verifier", out->state);
    if (!out->nonce.ptr || !out->verifier.ptr)
        return false;
    busi_sha256(hash, out->verifier);
    out->challenge = text_of(arena, hash, sizeof(hash));
    return out->challenge.ptr;
}

bool auth_oidc_state_make(struct busi_arena *arena, struct busi_str key, struct busi_str provider,
                          struct busi_str return_to, int64_t now_s, struct auth_oidc_state *out,
                          struct busi_str *cookie)
{
    if (return_to.len > AUTH_OIDC_RETURN_MOST)
        return false;
    *out = (struct auth_oidc_state){.state = busi_random_text(arena, RANDOM_BYTES),
                                    .return_to = return_to.ptr ? return_to : BUSI_STR("")};
    struct busi_str place = text_of(arena, out->return_to.ptr, out->return_to.len);
    if (!out->state.ptr || !place.ptr || !fill(arena, key, out))
        return false;
    struct busi_str body = busi_arena_printf(arena, "%.*s.%lld.%.*s", BUSI_ARG(out->state),
                                             (long long)now_s + AUTH_OIDC_STATE_S, BUSI_ARG(place));
    struct busi_str hash = body.ptr ? tag(arena, key, provider, body) : (struct busi_str){0};
    *cookie = hash.ptr ? busi_arena_printf(arena, "%.*s.%.*s", BUSI_ARG(body), BUSI_ARG(hash))
                       : (struct busi_str){0};
    return cookie->ptr;
}

/* The text before the first dot; *rest becomes what is behind it. */
static struct busi_str cut(struct busi_str *rest)
{
    const char *dot = rest->len ? memchr(rest->ptr, '.', rest->len) : NULL;
    if (!dot)
        return (struct busi_str){0};
    struct busi_str part = {rest->ptr, (size_t)(dot - rest->ptr)};
    *rest = (struct busi_str){dot + 1, rest->len - part.len - 1};
    return part;
}

static bool same(struct busi_str a, struct busi_str b)
{
    return a.len == b.len && busi_same_bytes(a.ptr, b.ptr, a.len);
}

static bool read_place(struct busi_arena *arena, struct busi_str place, struct busi_str *return_to)
{
    char *text = busi_arena_alloc(arena, place.len + 1);
    ptrdiff_t n = text ? busi_base64url_decode(text, place.len, place) : -1;
    if (n < 0)
        return false;
    *return_to = (struct busi_str){text, (size_t)n};
    return true;
}

bool auth_oidc_state_read(struct busi_arena *arena, struct busi_str key, struct busi_str provider,
                          struct busi_str cookie, struct busi_str state, int64_t now_s,
                          struct auth_oidc_state *out)
{
    int64_t until_s = 0;
    struct busi_str rest = cookie, own = cut(&rest), time = cut(&rest), place = cut(&rest);
    if (!place.ptr || rest.len != STATE_CHARS || own.len != STATE_CHARS || cookie.len > 4096)
        return false;
    struct busi_str body = {cookie.ptr, (size_t)(rest.ptr - cookie.ptr) - 1};
    struct busi_str hash = tag(arena, key, provider, body);
    if (!hash.ptr || !same(hash, rest) || !same(own, state) || !busi_str_int(time, &until_s) ||
        until_s <= now_s)
        return false;
    *out = (struct auth_oidc_state){.state = own};
    return read_place(arena, place, &out->return_to) && fill(arena, key, out);
}
