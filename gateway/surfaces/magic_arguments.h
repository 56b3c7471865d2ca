/* The rows of magic_arguments.def: what a route takes, judged before its handler starts, which then reads
 * values that are as their rows say. Pure but for the answers; any thread. */
#pragma once
#include "core/exchange.h"

enum magic_argument_need { MAGIC_OPTIONAL, MAGIC_MANDATORY, MAGIC_CREDENTIAL };
enum magic_argument_kind {
    MAGIC_TEXT,
    MAGIC_NAME,
    MAGIC_PASSWORD,
    MAGIC_SECRET,
    MAGIC_ENUM,
    MAGIC_INTEGER,
    MAGIC_DATE,
    MAGIC_URL,
    MAGIC_OBJECT
};
struct magic_argument {
    route_handler *handler;
    const char *name;
    enum magic_argument_need need;
    enum magic_argument_kind kind;
    int64_t least, most; /* PASSWORD: characters; texts: bytes; INTEGER: itself */
    const char *words;   /* ENUM: with commas between; NAME: the pattern */
};

/* The surface's check: true when all of them are right; otherwise it is answered. */
[[nodiscard]] bool magic_arguments_check(struct exchange *x);

/* Absent when it was not given. Borrowed from the request. */
struct busi_str magic_text(const struct exchange *x, const char *name);
int64_t magic_integer(const struct exchange *x, const char *name, int64_t otherwise);
/* Microseconds since 1970; otherwise when it was not given. */
int64_t magic_date(const struct exchange *x, const char *name, int64_t otherwise);
/* NULL when it was not given. */
const struct param *magic_object(const struct exchange *x, const char *name);

/* Pages as BUSI_MAGIC_FRONTEND_URLS names them. False: *bad is none. */
[[nodiscard]] bool magic_urls_valid(struct busi_str list, struct busi_str *bad);
/* May mailed links lead there? allowed: of BUSI_MAGIC_FRONTEND_URLS, or else what they begin with. */
bool magic_url_allowed(struct busi_str url, struct busi_str allowed, struct busi_str base_url);
