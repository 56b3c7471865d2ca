#include "base/buf.h"
#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void busi_buf_init(struct busi_buf *buf, size_t max_bytes)
{
    *buf = (struct busi_buf){.most = max_bytes};
}

static void wipe(struct busi_buf *buf)
{
    if (buf->ptr)
        explicit_bzero(buf->ptr, buf->used > buf->len ? buf->used : buf->len);
}

void busi_buf_fini(struct busi_buf *buf)
{
    wipe(buf);
    free(buf->ptr);
    *buf = (struct busi_buf){.most = buf->most};
}

void busi_buf_clear(struct busi_buf *buf)
{
    if (buf->used < buf->len)
        buf->used = buf->len;
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
    if (!bytes) {
        busi_memory_refused();
        return false;
    }
    if (buf->len)
        memcpy(bytes, buf->ptr, buf->len);
    wipe(buf);
    free(buf->ptr);
    buf->ptr = bytes;
    buf->room = room;
    buf->used = 0;
    return true;
}

char *busi_buf_grow(struct busi_buf *buf, size_t n)
{
    if (!buf->failed && n <= buf->most - buf->len && grow(buf, buf->len + n))
        return buf->ptr + buf->len;
    buf->failed = true;
    return NULL;
}

void busi_buf_int(struct busi_buf *buf, int64_t n)
{
    char digits[20]; /* and the sign: INT64_MIN has 19 */
    size_t at = sizeof digits;
    uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (n < 0)
        digits[--at] = '-';
    busi_buf_add(buf, digits + at, sizeof digits - at);
}

void busi_buf_printf(struct busi_buf *buf, const char *format, ...)
{
    if (buf->failed)
        return;
    va_list arguments;
    size_t room = buf->room - buf->len;
    va_start(arguments, format);
    int n = vsnprintf(room ? buf->ptr + buf->len : NULL, room, format, arguments);
    va_end(arguments);
    if (n < 0) {
        buf->failed = true;
        return;
    }
    if ((size_t)n >= room) {
        char *to = busi_buf_reserve(buf, (size_t)n + 1);
        if (!to)
            return;
        va_start(arguments, format);
        vsnprintf(to, (size_t)n + 1, format, arguments);
        va_end(arguments);
    }
    buf->len += (size_t)n;
}
