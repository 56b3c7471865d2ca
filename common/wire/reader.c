#include "base/text.h"
#include "wire/msgpack.h"

/* The format bytes, https://github.com/msgpack/msgpack/blob/master/spec.md */
enum {
    FIXMAP = 0x80,
    FIXARRAY = 0x90,
    FIXSTR = 0xA0,
    NIL = 0xC0,
    FALSE_ = 0xC2,
    TRUE_ = 0xC3,
    BIN8 = 0xC4,
    EXT8 = 0xC7,
    FLOAT32 = 0xCA,
    UINT8 = 0xCC,
    INT8 = 0xD0,
    FIXEXT1 = 0xD4,
    STR8 = 0xD9,
    ARRAY16 = 0xDC,
    MAP16 = 0xDE,
    NEGATIVE_FIXINT = 0xE0
};

void busi_reader_init(struct busi_reader *r, const void *bytes, size_t n)
{
    *r = (struct busi_reader){.at = bytes, .end = (const uint8_t *)bytes + n};
}

bool busi_reader_ok(const struct busi_reader *r)
{
    return !r->error;
}

bool busi_reader_done(const struct busi_reader *r)
{
    return !r->error && r->at == r->end;
}

static void fail(struct busi_reader *r, const char *why)
{
    if (!r->error)
        r->error = why;
}

static size_t left(const struct busi_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* The next format byte without taking it; NIL's neighbour 0xC1 ("never used") when there is none. */
static uint8_t peek(struct busi_reader *r)
{
    if (r->error)
        return 0xC1;
    if (r->at == r->end) {
        fail(r, "truncated");
        return 0xC1;
    }
    return *r->at;
}

/* Takes the format byte of a value. */
static void take(struct busi_reader *r)
{
    r->at++;
    if (++r->items > BUSI_MSGPACK_ITEMS)
        fail(r, "too many values");
}

/* n bytes, big-endian; n <= 8. */
static uint64_t big_endian(struct busi_reader *r, size_t n)
{
    uint64_t value = 0;
    if (r->error || n > left(r)) {
        fail(r, "truncated");
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        value = value << 8 | *r->at++;
    return value;
}

static struct busi_str bytes(struct busi_reader *r, uint64_t n)
{
    if (r->error || n > left(r)) {
        fail(r, "truncated");
        return (struct busi_str){0};
    }
    struct busi_str s = {(const char *)r->at, (size_t)n};
    r->at += n;
    return s;
}

/* ---- containers ---- */

static uint32_t enter(struct busi_reader *r, uint64_t count, unsigned values_each)
{
    if (r->error)
        return 0;
    if (count * values_each > left(r)) { /* every value takes at least a byte */
        fail(r, "truncated");
        return 0;
    }
    if (++r->depth > BUSI_MSGPACK_DEPTH) {
        fail(r, "too deep");
        return 0;
    }
    return (uint32_t)count;
}

uint32_t busi_read_map(struct busi_reader *r)
{
    uint8_t c = peek(r);
    bool fixed = c >= FIXMAP && c < FIXARRAY;
    if (!fixed && c != MAP16 && c != MAP16 + 1) {
        fail(r, "not a map");
        return 0;
    }
    take(r);
    return enter(r, fixed ? c & 0x0Fu : big_endian(r, c == MAP16 ? 2 : 4), 2);
}

uint32_t busi_read_array(struct busi_reader *r)
{
    uint8_t c = peek(r);
    bool fixed = c >= FIXARRAY && c < FIXSTR;
    if (!fixed && c != ARRAY16 && c != ARRAY16 + 1) {
        fail(r, "not an array");
        return 0;
    }
    take(r);
    return enter(r, fixed ? c & 0x0Fu : big_endian(r, c == ARRAY16 ? 2 : 4), 1);
}

void busi_read_leave(struct busi_reader *r)
{
    if (!r->error)
        r->depth--;
}

/* ---- scalars ---- */

int64_t busi_read_int(struct busi_reader *r)
{
    uint8_t c = peek(r);
    if (c < FIXMAP || c >= NEGATIVE_FIXINT) {
        take(r);
        return r->error ? 0 : (int8_t)c;
    }
    if (c >= UINT8 && c < INT8) {
        take(r);
        uint64_t value = big_endian(r, (size_t)1 << (c - UINT8));
        if (value > INT64_MAX)
            fail(r, "out of range");
        return r->error ? 0 : (int64_t)value;
    }
    if (c >= INT8 && c < FIXEXT1) {
        take(r);
        size_t n = (size_t)1 << (c - INT8);
        uint64_t value = big_endian(r, n);
        unsigned shift = (unsigned)(64 - 8 * n);
        return (int64_t)(value << shift) >> shift; /* extends the sign */
    }
    fail(r, "not an integer");
    return 0;
}

bool busi_read_bool(struct busi_reader *r)
{
    uint8_t c = peek(r);
    if (c != FALSE_ && c != TRUE_) {
        fail(r, "not a boolean");
        return false;
    }
    take(r);
    return c == TRUE_ && !r->error;
}

bool busi_read_nil(struct busi_reader *r)
{
    if (r->error || r->at == r->end || *r->at != NIL)
        return false;
    take(r);
    return !r->error;
}

static struct busi_str any_text(struct busi_reader *r)
{
    uint8_t c = peek(r);
    if (c >= FIXSTR && c < NIL) {
        take(r);
        return bytes(r, c & 0x1Fu);
    }
    if (c >= STR8 && c < ARRAY16) {
        take(r);
        return bytes(r, big_endian(r, (size_t)1 << (c - STR8)));
    }
    fail(r, "not a text");
    return (struct busi_str){0};
}

static struct busi_str within(struct busi_reader *r, struct busi_str s, size_t limit)
{
    if (!r->error && s.len > limit)
        fail(r, "too long");
    return r->error ? (struct busi_str){0} : s;
}

struct busi_str busi_read_text(struct busi_reader *r, size_t limit)
{
    struct busi_str s = within(r, any_text(r), limit);
    if (s.len && memchr(s.ptr, 0, s.len))
        fail(r, "holds a NUL");
    else if (!busi_utf8_valid(s))
        fail(r, "not UTF-8");
    return r->error ? (struct busi_str){0} : s;
}

struct busi_str busi_read_bytes(struct busi_reader *r, size_t limit)
{
    uint8_t c = peek(r);
    if (c < BIN8 || c >= EXT8) {
        fail(r, "not binary");
        return (struct busi_str){0};
    }
    take(r);
    return within(r, bytes(r, big_endian(r, (size_t)1 << (c - BIN8))), limit);
}

/* ---- any value ---- */

/* Passes over a value's format byte and, unless it is a container, its content; the number of values
 * that follow inside it. */
static uint64_t pass(struct busi_reader *r)
{
    uint8_t c = peek(r);
    if (r->error)
        return 0;
    if (c == 0xC1) {
        fail(r, "reserved byte");
        return 0;
    }
    take(r);
    if (c < FIXMAP || c >= NEGATIVE_FIXINT || c == NIL || c == FALSE_ || c == TRUE_)
        return 0;
    if (c < FIXARRAY)
        return 2 * (uint64_t)(c & 0x0F);
    if (c < FIXSTR)
        return c & 0x0F;
    if (c < NIL)
        bytes(r, c & 0x1F);
    else if (c < EXT8)
        bytes(r, big_endian(r, (size_t)1 << (c - BIN8)));
    else if (c < FLOAT32)
        bytes(r, 1 + big_endian(r, (size_t)1 << (c - EXT8)));
    else if (c < UINT8)
        bytes(r, c == FLOAT32 ? 4 : 8);
    else if (c < FIXEXT1)
        bytes(r, (uint64_t)1 << ((c - UINT8) & 3));
    else if (c < STR8)
        bytes(r, 1 + ((uint64_t)1 << (c - FIXEXT1)));
    else if (c < ARRAY16)
        bytes(r, big_endian(r, (size_t)1 << (c - STR8)));
    else if (c < MAP16)
        return big_endian(r, c == ARRAY16 ? 2 : 4);
    else
        return 2 * big_endian(r, c == MAP16 ? 2 : 4);
    return 0;
}

void busi_skip(struct busi_reader *r)
{
    uint64_t open[BUSI_MSGPACK_DEPTH + 1] = {1}; /* values still to pass at each depth */
    unsigned top = 0;
    while (!r->error) {
        while (open[top] == 0) {
            if (top == 0)
                return;
            top--;
        }
        open[top]--;
        uint64_t inside = pass(r);
        if (inside == 0)
            continue;
        if (inside > left(r))
            fail(r, "truncated");
        else if (r->depth + top + 1 > BUSI_MSGPACK_DEPTH)
            fail(r, "too deep");
        else
            open[++top] = inside;
    }
}

struct busi_str busi_read_raw(struct busi_reader *r)
{
    const uint8_t *begin = r->at;
    busi_skip(r);
    if (r->error)
        return (struct busi_str){0};
    return (struct busi_str){(const char *)begin, (size_t)(r->at - begin)};
}
