/* The Authorization header's Basic credentials (RFC 7617, in UTF-8). Pure; any thread. */
#pragma once
#include "base/arena.h"

struct basic {
    struct busi_str user, password; /* in the arena; user absent: the header is no such */
};

enum basic_verdict { BASIC_FOUND, BASIC_NONE /* another scheme */, BASIC_BROKEN };
/* "Basic <base64>": the scheme regardless of case; the user name ends at the first colon. */
[[nodiscard]] enum basic_verdict basic_read(struct busi_arena *arena, struct busi_str header,
                                            struct basic *out);
