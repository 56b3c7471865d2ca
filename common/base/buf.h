/* A growing byte buffer with a bound and a sticky error: write freely, ask once at the end. */
#pragma once
#include "base/str.h"

struct busi_buf {
    char *ptr;   /* owned; NULL until something is written */
    size_t len;  /* bytes written */
    size_t room; /* bytes allocated */
    size_t most; /* never grows past this */
    bool failed; /* a write did not fit: contents are incomplete */
    size_t used; /* the longest that forgotten contents were: they are still there and must be wiped */
};

void busi_buf_init(struct busi_buf *buf, size_t max_bytes);
/* Wipes and frees; the buffer can be used again with the same bound. */
void busi_buf_fini(struct busi_buf *buf);
/* Forget the contents, keep the memory. */
void busi_buf_clear(struct busi_buf *buf);

/* The slow half of busi_buf_reserve(): memory must grow, or the buffer has failed. */
char *busi_buf_grow(struct busi_buf *buf, size_t n);

/* Make room for n > 0 more bytes; NULL (and failed) when over the bound. Add to len yourself. */
static inline char *busi_buf_reserve(struct busi_buf *buf, size_t n)
{
    return n <= buf->room - buf->len && !buf->failed ? buf->ptr + buf->len : busi_buf_grow(buf, n);
}

static inline void busi_buf_add(struct busi_buf *buf, const void *bytes, size_t n)
{
    char *to = n ? busi_buf_reserve(buf, n) : NULL;
    if (!to)
        return;
    memcpy(to, bytes, n);
    buf->len += n;
}

static inline void busi_buf_str(struct busi_buf *buf, struct busi_str s)
{
    busi_buf_add(buf, s.ptr, s.len);
}

static inline void busi_buf_char(struct busi_buf *buf, char c)
{
    busi_buf_add(buf, &c, 1);
}

void busi_buf_int(struct busi_buf *buf, int64_t n);
/* Needs room for a NUL behind the text, which is not counted. */
[[gnu::format(printf, 2, 3)]] void busi_buf_printf(struct busi_buf *buf, const char *format, ...);
/* s as a JSON string with its quotes; s should be valid UTF-8 (invalid bytes become U+FFFD). '<', '>',
 * '&' stay; control bytes, DEL, '"', '\\', U+2028 and U+2029 are escaped. */
void busi_buf_json(struct busi_buf *buf, struct busi_str s);
/* The same; null when s is absent. */
void busi_buf_json_or_null(struct busi_buf *buf, struct busi_str s);
