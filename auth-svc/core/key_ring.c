#include "core/key_ring.h"
#include "crypto/secret.h"

const char *auth_key_fault(struct busi_str secret, size_t least_bytes)
{
    bool seen[256] = {false};
    size_t different = 0;
    for (size_t i = 0; i < secret.len; i++) {
        bool *byte = &seen[(unsigned char)secret.ptr[i]];
        different += !*byte;
        *byte = true;
    }
    if (secret.len < least_bytes)
        return "is too short";
    return different < AUTH_KEY_LEAST_DIFFERENT ? "has too few different characters" : NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct busi_str trim(struct busi_str text)
{
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    return text;
}

static bool knows(const struct auth_key_ring *ring, struct busi_str secret)
{
    for (size_t i = 0; i < ring->n; i++)
        if (ring->keys[i].secret.len == secret.len &&
            busi_same_bytes(ring->keys[i].secret.ptr, secret.ptr, secret.len))
            return true;
    return false;
}

static bool names(const struct auth_key_ring *ring, struct busi_str kid)
{
    for (size_t i = 0; i < ring->n; i++)
        if (kid.ptr && ring->kids[i].ptr && busi_str_eq(ring->kids[i], kid))
            return true;
    return false;
}

static void add(struct auth_key_ring *ring, const struct busi_jwt_key *pattern, struct busi_str secret,
                struct busi_str kid)
{
    struct busi_jwt_key *key = &ring->keys[ring->n];
    *key = *pattern;
    key->secret = secret;
    if (kid.ptr)
        key->header = busi_jwt_header(ring->headers[ring->n], key->algorithm, kid);
    ring->kids[ring->n++] = kid;
}

static const char *add_line(struct auth_key_ring *ring, const struct busi_jwt_key *pattern,
                            struct busi_str line)
{
    struct busi_str kid = {0}, secret = line;
    const char *space = memchr(line.ptr, ' ', line.len);
    if (space) {
        kid = (struct busi_str){line.ptr, (size_t)(space - line.ptr)};
        secret = trim((struct busi_str){space, line.len - kid.len});
    }
    if (space && !busi_jwt_kid_valid(kid))
        return "has a space, but before it no kid: 1 to 64 of A-Z a-z 0-9 - _ .";
    if (memchr(secret.ptr, ' ', secret.len))
        return "has more than a kid, a space and a secret";
    const char *fault = auth_key_fault(secret, AUTH_KEY_LEAST_BYTES);
    if (fault)
        return fault;
    if (ring->n == AUTH_KEYS_MOST)
        return "is one key too many; at most 8 are held";
    if (knows(ring, secret) || names(ring, kid))
        return "has the secret or the kid of a line before";
    add(ring, pattern, secret, kid);
    return NULL;
}

const char *auth_key_ring_read(struct auth_key_ring *ring, const struct busi_jwt_key *pattern,
                               struct busi_str lines, int *line)
{
    const char *fault = NULL;
    ring->n = 0;
    for (*line = 1; lines.len > 0; ++*line) {
        const char *end = memchr(lines.ptr, '\n', lines.len);
        struct busi_str one = {lines.ptr, end ? (size_t)(end - lines.ptr) : lines.len};
        lines.ptr += one.len + (end != NULL);
        lines.len -= one.len + (end != NULL);
        one = trim(one);
        if (one.len > 0)
            fault = add_line(ring, pattern, one);
        if (fault)
            break;
    }
    if (fault)
        ring->n = 0;
    return fault;
}

/* Two halves, as the hash has 32 bytes. */
static void derive(uint8_t out[AUTH_KEY_LEAST_BYTES], struct busi_str secret, const char *purpose)
{
    enum { HALF = AUTH_KEY_LEAST_BYTES / 2 };
    uint8_t key[32];
    busi_sha256(key, secret); /* a key of the hash has 64 bytes at most */
    struct busi_str hash_key = {(const char *)key, sizeof(key)};
    for (int i = 0; i < 2; i++) {
        const struct busi_str parts[] = {BUSI_STR("busi jwt key "), busi_str_of(purpose), {i ? "2" : "1", 1}};
        busi_keyed_hash_parts(out + i * HALF, hash_key, parts, 3);
    }
    busi_wipe(key, sizeof(key));
}

void auth_key_ring_derive(struct auth_key_ring *ring, const struct busi_jwt_key *pattern,
                          const struct auth_key_ring *from, const char *purpose)
{
    ring->n = 0;
    for (size_t i = 0; i < from->n; i++) {
        derive(ring->derived[i], from->keys[i].secret, purpose);
        add(ring, pattern, (struct busi_str){(const char *)ring->derived[i], AUTH_KEY_LEAST_BYTES},
            from->kids[i]);
    }
}

bool auth_key_rings_share(const struct auth_key_ring *a, const struct auth_key_ring *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (knows(b, a->keys[i].secret))
            return true;
    return false;
}
