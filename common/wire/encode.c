#include "wire/codec.h"
#include "wire/field.h"

static void encode_list(msgpack_packer *pk, struct busi_buf *buf, const struct busi_field *field,
                        const struct busi_list *list)
{
    const struct busi_desc *sub = field->sub();
    if (list->n > field->limit) {
        buf->failed = true;
        return;
    }
    msgpack_pack_array(pk, list->n);
    for (size_t i = 0; i < list->n; i++)
        busi_encode(pk, buf, sub, (const char *)list->items + i * sub->size);
}

static void encode_field(msgpack_packer *pk, struct busi_buf *buf, const struct busi_field *field,
                         const void *at)
{
    const struct busi_str *text = at;
    switch (field->kind) {
    case BUSI_TEXT:
    case BUSI_SECRET:
        buf->failed |= text->len > field->limit;
        msgpack_pack_str_with_body(pk, text->ptr, text->len);
        break;
    case BUSI_BYTES:
        buf->failed |= text->len > field->limit;
        msgpack_pack_bin_with_body(pk, text->ptr, text->len);
        break;
    case BUSI_BOOL:
        (*(const bool *)at ? msgpack_pack_true : msgpack_pack_false)(pk);
        break;
    case BUSI_LIST:
        encode_list(pk, buf, field, at);
        break;
    case BUSI_NESTED:
        busi_encode(pk, buf, field->sub(), *(void *const *)at);
        break;
    default:
        buf->failed |= !busi_field_within(field, *(const int64_t *)at);
        msgpack_pack_int64(pk, *(const int64_t *)at);
    }
}

void busi_encode(msgpack_packer *pk, struct busi_buf *buf, const struct busi_desc *desc, const void *message)
{
    uint64_t present = 0; /* a bit for each field that is written */
    size_t n = 0;
    for (size_t i = 0; i < desc->n_fields; i++) {
        const struct busi_field *field = &desc->fields[i];
        if (busi_field_present(field, message)) {
            present |= (uint64_t)1 << i;
            n++;
        } else if (field->need == BUSI_REQUIRED)
            buf->failed = true;
    }
    msgpack_pack_map(pk, n);
    for (; present; present &= present - 1) {
        const struct busi_field *field = &desc->fields[__builtin_ctzll(present)];
        msgpack_pack_int8(pk, (int8_t)field->key);
        encode_field(pk, buf, field, busi_field_at(field, message));
    }
}
