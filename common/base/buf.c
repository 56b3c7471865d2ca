#include "base/buf.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void busi_buf_init(struct busi_buf *buf, size_t max_bytes)
{
    *buf = (struct busi_buf){.most = max_bytes};
}

void busi_buf_fini(struct busi_buf *buf)
{
    if (buf->ptr)
        explicit_bzero(buf->ptr, buf->len);
    free(buf->ptr);
    *buf = (struct busi_buf){.most = buf->most};
}

void busi_buf_clear(struct busi_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

/* Not realloc: the old bytes may be secret and must be wiped. */
static bool grow(struct busi_buf *buf, size_t need)
{
    size_t room = buf->room ? buf->room * 2 : 512;
    if (room < need)
        room = need;
    if (room > buf->most)
        room = buf->most;
    char *bytes = malloc(room);
    if (!bytes)
        return false;
    if (buf->len)
        memcpy(bytes, buf->ptr, buf->len);
    if (buf->ptr)
        explicit_bzero(buf->ptr, buf->len);
    free(buf->ptr);
    buf->ptr = bytes;
    buf->room = room;
    return true;
}

char *busi_buf_reserve(struct busi_buf *buf, size_t n)
{
    if (buf->failed)
        return NULL;
    if (n <= buf->room - buf->len)
        return buf->ptr + buf->len;
    if (n > buf->most - buf->len || !grow(buf, buf->len + n)) {
        buf->failed = true;
        return NULL;
    }
    return buf->ptr + buf->len;
}

void busi_buf_add(struct busi_buf *buf, const void *bytes, size_t n)
{
    char *to = n ? busi_buf_reserve(buf, n) : NULL;
    if (!to)
        return;
    memcpy(to, bytes, n);
    buf->len += n;
}

void busi_buf_str(struct busi_buf *buf, struct busi_str s)
{
    busi_buf_add(buf, s.ptr, s.len);
}

void busi_buf_char(struct busi_buf *buf, char c)
{
    busi_buf_add(buf, &c, 1);
}

void busi_buf_int(struct busi_buf *buf, int64_t n)
{
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (n < 0)
        busi_buf_char(buf, '-');
    busi_buf_add(buf, digits + at, sizeof digits - at);
}

void busi_buf_printf(struct busi_buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *to = n >= 0 ? busi_buf_reserve(buf, (size_t)n + 1) : NULL;
    if (!to) {
        buf->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(to, (size_t)n + 1, format, arguments);
    va_end(arguments);
    buf->len += (size_t)n;
}
