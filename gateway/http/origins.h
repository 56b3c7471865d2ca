/* Origins of the web named in a setting. Pure; any thread. */
#pragma once
#include "base/str.h"

enum { ORIGINS_MOST = 64 };

struct origins {
    struct busi_str list[ORIGINS_MOST]; /* borrowed from the setting */
    size_t n;
};

/* "https://app.example.com, http://localhost:3000" or "". False: *bad is the part that no browser sends as an
 * origin ("*", "null", a path, a capital), or absent: too many. */
[[nodiscard]] bool origins_init(struct origins *origins, struct busi_str list, struct busi_str *bad);
