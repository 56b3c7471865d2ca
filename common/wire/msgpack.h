/* msgpack, bounded. The reader works on the received bytes, allocates nothing, and remembers the
 * first error: after it every read gives zero and the caller asks once. The writer is msgpack-c's
 * packer on a busi_buf. (msgpack-c's own unpacker is never used: five bytes can make it ask for 4 GiB.) */
#pragma once
#include "base/buf.h"
#include <msgpack/pack.h>

enum { BUSI_MSGPACK_DEPTH = 8, BUSI_MSGPACK_ITEMS = 65536 };

struct busi_reader {
    const uint8_t *at, *end; /* unread bytes */
    const char *error;       /* NULL, or why the bytes are no valid message; static text */
    unsigned items;          /* values read so far; bounded by BUSI_MSGPACK_ITEMS */
    unsigned depth;
};

void busi_reader_init(struct busi_reader *r, const void *bytes, size_t n);
bool busi_reader_ok(const struct busi_reader *r);
bool busi_reader_done(const struct busi_reader *r); /* ok and nothing left */

/* Number of pairs / items. Close with leave when all have been read; depth is bounded. */
uint32_t busi_read_map(struct busi_reader *r);
uint32_t busi_read_array(struct busi_reader *r);
void busi_read_leave(struct busi_reader *r);
int64_t busi_read_int(struct busi_reader *r); /* any integer form that fits int64; floats are errors */
bool busi_read_bool(struct busi_reader *r);
struct busi_str busi_read_text(struct busi_reader *r, size_t limit); /* UTF-8, no NUL; into the input */
struct busi_str busi_read_bytes(struct busi_reader *r, size_t limit);
bool busi_read_nil(struct busi_reader *r); /* true and consumed, if a nil is next */
void busi_skip(struct busi_reader *r);     /* one value of any kind, ext included */
/* The bytes of one whole value, checked for well-formedness. */
struct busi_str busi_read_raw(struct busi_reader *r);

/* msgpack-c's packer writing to buf; look at buf->failed at the end. */
void busi_packer_init(msgpack_packer *pk, struct busi_buf *buf);
