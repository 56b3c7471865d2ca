/* Secrets that work once, as statements take them. */
#pragma once
#include "base/arena.h"
#include "service/settings.h"

enum auth_one_time_kind {
#define ONE_TIME(kind, lifetime) AUTH_ONE_TIME_##kind,
#include "core/one_time.def"
#undef ONE_TIME
    AUTH_ONE_TIME_KINDS
};
struct auth_one_time_rules {
    struct busi_str key;                     /* of the hashes; borrowed from the settings */
    int64_t lifetime_s[AUTH_ONE_TIME_KINDS]; /* of each kind */
};
void auth_one_time_init(struct auth_one_time_rules *rules, const struct busi_settings *settings);
/* "confirm_email" */
struct busi_str auth_one_time_name(enum auth_one_time_kind kind);

enum { AUTH_ONE_TIME_LEN = 48 };
/* Texts are in the arena; parameters of statements but for the secret also, which mails carry. */
struct auth_one_time {
    struct busi_str secret;     /* AUTH_ONE_TIME_LEN characters: base64 of a random UUID's text */
    struct busi_str hash;       /* of the secret, as Postgres reads bytea */
    struct busi_str lifetime_s; /* a number */
};
/* False: out of memory. */
[[nodiscard]] bool auth_one_time_make(struct busi_arena *arena, const struct auth_one_time_rules *rules,
                                      enum auth_one_time_kind kind, struct auth_one_time *out);
/* Of a secret as somebody gives it, whatever it is. ptr NULL: out of memory. */
[[nodiscard]] struct busi_str auth_one_time_hash(struct busi_arena *arena,
                                                 const struct auth_one_time_rules *rules,
                                                 enum auth_one_time_kind kind, struct busi_str secret);
