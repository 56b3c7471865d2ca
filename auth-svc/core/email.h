/* E-mail addresses as names of accounts. Pure. */
#pragma once
#include "base/arena.h"

enum { AUTH_EMAIL_MOST_BYTES = 254 };

/* A mailbox as RFC 5321 knows it in daily life: a dot-string of ASCII before the @ (at most 64 bytes), a
 * domain of at least two labels behind it. Not: quoted local parts, address literals, route characters. */
bool auth_email_valid(struct busi_str email);
/* What is compared: ASCII lower case, whatever the locale. ptr NULL: out of memory. */
[[nodiscard]] struct busi_str auth_name_key(struct busi_arena *arena, struct busi_str name);
