/* The rows of proto/settings.def as one struct, read from environment and file. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum busi_user { BUSI_USER_G = 1, BUSI_USER_A = 2, BUSI_USER_D = 4, BUSI_USER_M = 8 };

/* "5/10m 10/15m": at most 5 in 10 minutes and 10 in 15. */
struct busi_rate {
    int64_t count, window_ms;
};
enum { BUSI_RATES_MOST = 4, BUSI_RATE_MOST_COUNT = 1000000 };
struct busi_rates {
    struct busi_rate rate[BUSI_RATES_MOST];
    size_t n; /* 0: off */
};

#define BUSI_SETTING_CTYPE_TEXT struct busi_str
#define BUSI_SETTING_CTYPE_PATH struct busi_str
#define BUSI_SETTING_CTYPE_SECRET struct busi_str
#define BUSI_SETTING_CTYPE_COUNT int64_t
#define BUSI_SETTING_CTYPE_MS int64_t
#define BUSI_SETTING_CTYPE_BYTES int64_t
#define BUSI_SETTING_CTYPE_FLAG bool
#define BUSI_SETTING_CTYPE_RATES struct busi_rates

struct busi_settings {
#define SETTING(name, env, type, value, least, most, users, help) BUSI_SETTING_CTYPE_##type name;
#include "proto/settings.def"
#undef SETTING
};

/* Reads defaults, then the file ("key = value" lines, see config_lines.h; at most 64 KiB; NULL: none), then
 * the environment; SECRETs also from the file that BUSI_X_FILE (in the file: x_file) names, without one
 * trailing newline. Every value is copied into arena. Rows of other processes keep their defaults and may be
 * given, so that all can share one file. BUSI_ variables of proto/environment.def are ignored. Returns false
 * after writing one line per wrong setting to errors ("BUSI_HTTP_PORT: 99999 is not within 1..65535"; never a
 * secret's value): unknown names, values that do not parse or are out of range, a setting given twice by one
 * source. */
[[nodiscard]] bool busi_settings_read(struct busi_settings *settings, enum busi_user user, const char *file,
                                      char *const environment[], struct busi_arena *arena,
                                      struct busi_buf *errors);
/* "BUSI_HTTP_PORT=4000" lines of this process's settings, secrets as ***. */
void busi_settings_print(struct busi_buf *out, const struct busi_settings *settings, enum busi_user user);
/* For --help: name, default, help. */
void busi_settings_help(struct busi_buf *out, enum busi_user user);
