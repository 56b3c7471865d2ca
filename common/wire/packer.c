#include "wire/msgpack.h"

static int write_to_buf(void *data, const char *bytes, size_t n)
{
    struct busi_buf *buf = data;
    busi_buf_add(buf, bytes, n);
    return buf->failed ? -1 : 0;
}

void busi_packer_init(msgpack_packer *pk, struct busi_buf *buf)
{
    msgpack_packer_init(pk, buf, write_to_buf);
}
