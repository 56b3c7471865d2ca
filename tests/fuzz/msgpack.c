/* The reader and the decoder of every message; the first byte chooses the message. What decodes must encode,
 * and decode again to the same bytes; as JSON and in a dump it must be UTF-8 on one line. */
#include "../unit/every_message.h"
#include "base/text.h"
#include "wire/codec.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(struct busi_buf *out, const struct busi_desc *desc, const void *message)
{
    msgpack_packer pk;
    busi_buf_init(out, 4 << 20);
    busi_packer_init(&pk, out);
    busi_encode(&pk, out, desc, message);
}

static bool decode(struct busi_str bytes, const struct busi_desc *desc, void *message,
                   struct busi_arena *arena)
{
    struct busi_reader r;
    const char *bad = NULL;
    busi_reader_init(&r, bytes.ptr, bytes.len);
    return busi_decode(&r, desc, message, arena, &bad);
}

static void write_text(void (*write)(struct busi_buf *, const struct busi_desc *, const void *),
                       const struct busi_desc *desc, const void *message)
{
    struct busi_buf out;
    busi_buf_init(&out, 16 << 20);
    write(&out, desc, message);
    if (out.failed || !busi_utf8_valid((struct busi_str){out.ptr, out.len}))
        abort();
    for (size_t i = 0; i < out.len; i++)
        if ((unsigned char)out.ptr[i] < 0x20 || out.ptr[i] == 0x7F)
            abort();
    busi_buf_fini(&out);
}

/* A value is passed over to just where it ends: so does the part before it, read alone. */
static void skip_alone(struct busi_str bytes)
{
    struct busi_reader r, alone;
    busi_reader_init(&r, bytes.ptr, bytes.len);
    struct busi_str raw = busi_read_raw(&r);
    if (!busi_reader_ok(&r))
        return;
    busi_reader_init(&alone, raw.ptr, raw.len);
    busi_skip(&alone);
    if (!busi_reader_done(&alone))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct busi_arena arena;
    if (size == 0)
        return 0;
    const struct busi_desc *desc = every_message[data[0] % EVERY_MESSAGE]();
    struct busi_str bytes = {(const char *)data + 1, size - 1};
    skip_alone(bytes);
    busi_arena_init(&arena, 8 << 20);
    void *message = busi_arena_alloc(&arena, desc->size), *again = busi_arena_alloc(&arena, desc->size);
    if (decode(bytes, desc, message, &arena)) {
        struct busi_buf first, second;
        write_text(busi_json_message, desc, message);
        write_text(busi_dump_message, desc, message);
        encode(&first, desc, message);
        if (first.failed || !decode((struct busi_str){first.ptr, first.len}, desc, again, &arena))
            abort();
        encode(&second, desc, again);
        if (second.len != first.len || memcmp(second.ptr, first.ptr, first.len) != 0)
            abort();
        busi_buf_fini(&second);
        busi_buf_fini(&first);
    }
    busi_arena_fini(&arena);
    return 0;
}
