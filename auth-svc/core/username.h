/* User names. Pure, and the same in every locale.
 *
 * A name is 3 to 36 characters: ASCII letters and digits and . _ - or letters of one other script that
 * Unicode recommends for identifiers (UTS 39), in Unicode's composed form (NFC). It has a letter or digit, no
 * dot at either end, and nothing that cannot be seen, is only another spelling of a character, or makes it
 * look like an ASCII name. Two names are the same when they differ in case alone, character by character: no
 * two of them meet by way of what lengthens or leaves its alphabet when its case changes. */
#pragma once
#include "base/arena.h"

enum { AUTH_USERNAME_LEAST = 3, AUTH_USERNAME_MOST = 36 }; /* characters */

struct auth_username {
    struct busi_str text; /* as it is kept and shown */
    struct busi_str key;  /* what is compared */
};
/* Once at start: Unicode's tables are read on a stack that is large enough. False: they are not there. */
[[nodiscard]] bool auth_username_prepare(void);
/* False: its characters make no user name, or out of memory. The length is the caller's business. Both texts
 * are in the arena. */
[[nodiscard]] bool auth_username_read(struct busi_arena *arena, struct busi_str typed,
                                      struct auth_username *out);
/* One that would pass for somebody in charge, or for none: a row of reserved_names.def. */
bool auth_username_reserved(struct busi_str key);
