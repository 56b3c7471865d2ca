/* JSON lines on stderr, written by a thread of their own: a caller never waits for the pipe. Lines
 * that do not fit the queue, or that stderr does not take, are dropped and counted
 * (busi_log_lines_dropped_total). Any thread. */
#pragma once
#include "base/str.h"

enum busi_log_level { BUSI_DEBUG, BUSI_INFO, BUSI_WARN, BUSI_ERR };

/* service is static. Starts the writer; before that (and after fini) lines are written directly. */
void busi_log_init(const char *service, enum busi_log_level least);
/* Flushes (at most 1 s) and stops the writer. */
void busi_log_fini(void);
/* Last words, flushed likewise, and abort(): for what a library leaves no other way to survive. */
[[gnu::noreturn]] void busi_log_abort(const char *event, const char *why);
bool busi_log_level_of(struct busi_str name, enum busi_log_level *out);
bool busi_log_enabled(enum busi_log_level level);

enum busi_log_kind { BUSI_LOG_END, BUSI_LOG_STR, BUSI_LOG_INT };
struct busi_log_field {
    const char *name;        /* static, [a-z_] */
    enum busi_log_kind kind; /* END closes the list */
    struct busi_str str;     /* escaped; cut at 256 bytes with a mark */
    int64_t number;
};
#define BUSI_S(field, value) ((struct busi_log_field){.name = (field), .kind = BUSI_LOG_STR, .str = (value)})
#define BUSI_C(field, value) BUSI_S((field), busi_str_of(value))
#define BUSI_I(field, value)                                                                                 \
    ((struct busi_log_field){.name = (field), .kind = BUSI_LOG_INT, .number = (value)})

/* {"ts":"...","level":"info","service":"...","event":"<event>",<fields>}. Fields that would make the line
 * longer than 8 KiB are left out, and "cut":true says so. Never pass a secret, a token, a password or a query
 * string. */
void busi_log_write(enum busi_log_level level, const char *event, const struct busi_log_field *field);
#define busi_log(level, event, ...)                                                                          \
    do {                                                                                                     \
        if (busi_log_enabled(level))                                                                         \
            busi_log_write(                                                                                  \
                (level), (event),                                                                            \
                (const struct busi_log_field[]){__VA_ARGS__ __VA_OPT__(, ){.kind = BUSI_LOG_END}});          \
    } while (0)
