#include "core/one_time.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { HASH_BYTES = 32, UUID_LEN = 36 };

static const char *const names[] = {
#define ONE_TIME(kind, lifetime) #kind,
#include "core/one_time.def"
#undef ONE_TIME
};

void auth_one_time_init(struct auth_one_time_rules *rules, const struct busi_settings *settings)
{
    rules->key = settings->token_hash_key;
#define ONE_TIME(kind, lifetime) rules->lifetime_s[AUTH_ONE_TIME_##kind] = settings->lifetime / 1000;
#include "core/one_time.def"
#undef ONE_TIME
}

struct busi_str auth_one_time_name(enum auth_one_time_kind kind)
{
    return busi_str_of(names[kind]);
}

/* The kind is part of what is hashed: a secret of one is none of another. */
struct busi_str auth_one_time_hash(struct busi_arena *arena, const struct auth_one_time_rules *rules,
                                   enum auth_one_time_kind kind, struct busi_str secret)
{
    uint8_t sum[HASH_BYTES];
    char hex[2 * HASH_BYTES];
    struct busi_str message = busi_arena_printf(arena, "one-time %s %.*s", names[kind], BUSI_ARG(secret));
    if (!message.ptr)
        return (struct busi_str){0};
    busi_keyed_hash(sum, rules->key, message);
    busi_hex_encode(hex, sum, sizeof(sum));
    return busi_arena_printf(arena, "\\x%.*s", (int)sizeof(hex), hex);
}

bool auth_one_time_make(struct busi_arena *arena, const struct auth_one_time_rules *rules,
                        enum auth_one_time_kind kind, struct auth_one_time *out)
{
    char uuid[UUID_LEN + 1], *text = busi_arena_alloc(arena, AUTH_ONE_TIME_LEN + 1);
    if (!text)
        return false;
    busi_uuid4(uuid);
    /* Of such a text both alphabets of base64 make the same. */
    out->secret = (struct busi_str){text, busi_base64url_encode(text, uuid, UUID_LEN)};
    busi_wipe(uuid, sizeof(uuid));
    out->hash = auth_one_time_hash(arena, rules, kind, out->secret);
    out->lifetime_s = busi_arena_int(arena, rules->lifetime_s[kind]);
    return out->hash.ptr && out->lifetime_s.ptr;
}
