/* Passwords that everybody tries first: a file of the operator's, one a line. Compared by ASCII lower case.
 * Read once; then any thread. */
#pragma once
#include "base/arena.h"

enum { AUTH_COMMON_MOST_BYTES = 64 * 1024 * 1024 };

struct auth_common_passwords {
    struct busi_arena arena; /* of the file and the list */
    struct busi_str *lines;  /* sorted, lower case; NULL: there is no file, nothing is common */
    size_t n;
};
/* NULL: read. Otherwise why not (static). path empty: there is no file. */
[[nodiscard]] const char *auth_common_passwords_open(struct auth_common_passwords *common,
                                                     struct busi_str path);
void auth_common_passwords_close(struct auth_common_passwords *common);
/* Whether it is in the file, or, when there is one, a name of its owner: those absent are none. */
bool auth_password_is_common(const struct auth_common_passwords *common, struct busi_str password,
                             struct busi_str email, struct busi_str username);
