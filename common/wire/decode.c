#include "wire/codec.h"
#include "wire/field.h"

struct decoding {
    struct busi_reader *reader;
    struct busi_arena *arena;
    const struct busi_desc *desc;
    const char **bad;
};

static bool refuse(const struct decoding *d, const char *field, const char *why)
{
    struct busi_str text =
        busi_arena_printf(d->arena, "%s%s%s: %s", d->desc->name, field ? "." : "", field ? field : "", why);
    *d->bad = text.ptr ? text.ptr : "out of memory";
    return false;
}

/* Keys come in row order from our own encoder: look there first. */
static const struct busi_field *find(const struct busi_desc *desc, int64_t key, size_t *guess)
{
    if (*guess < desc->n_fields && desc->fields[*guess].key == key)
        return &desc->fields[(*guess)++];
    for (size_t i = 0; i < desc->n_fields; i++)
        if (desc->fields[i].key == key) {
            *guess = i + 1;
            return &desc->fields[i];
        }
    return NULL;
}

static bool decode_list(const struct decoding *d, const struct busi_field *field, struct busi_list *list)
{
    const struct busi_desc *sub = field->sub();
    uint32_t n = busi_read_array(d->reader);
    if (!busi_reader_ok(d->reader))
        return false;
    if (n > field->limit)
        return refuse(d, field->name, "too many items");
    list->items = busi_arena_array(d->arena, n, sub->size);
    if (!list->items)
        return refuse(d, field->name, "too large");
    list->n = n;
    for (uint32_t i = 0; i < n; i++)
        if (!busi_decode(d->reader, sub, (char *)list->items + i * sub->size, d->arena, d->bad))
            return false;
    busi_read_leave(d->reader);
    return true;
}

static bool decode_nested(const struct decoding *d, const struct busi_field *field, void **to)
{
    const struct busi_desc *sub = field->sub();
    *to = busi_arena_alloc(d->arena, sub->size);
    if (!*to)
        return refuse(d, field->name, "too large");
    return busi_decode(d->reader, sub, *to, d->arena, d->bad);
}

static bool decode_number(const struct decoding *d, const struct busi_field *field, int64_t *to)
{
    *to = busi_read_int(d->reader);
    return busi_field_within(field, *to) || refuse(d, field->name, "out of range");
}

/* False when *bad has been said; an error of the reader is said by the caller. */
static bool decode_field(const struct decoding *d, const struct busi_field *field, void *to)
{
    switch (field->kind) {
    case BUSI_TEXT:
    case BUSI_SECRET:
        *(struct busi_str *)to = busi_read_text(d->reader, field->limit);
        return true;
    case BUSI_BYTES:
        *(struct busi_str *)to = busi_read_bytes(d->reader, field->limit);
        return true;
    case BUSI_BOOL:
        *(bool *)to = busi_read_bool(d->reader);
        return true;
    case BUSI_LIST:
        return decode_list(d, field, to);
    case BUSI_NESTED:
        return decode_nested(d, field, to);
    default:
        return decode_number(d, field, to);
    }
}

/* One pair of the map. */
static bool decode_pair(const struct decoding *d, void *message, uint64_t *seen, size_t *guess)
{
    int64_t key = busi_read_int(d->reader);
    if (!busi_reader_ok(d->reader))
        return refuse(d, NULL, "a key is no integer");
    const struct busi_field *field = find(d->desc, key, guess);
    if (!field) {
        busi_skip(d->reader); /* of a newer version */
        return busi_reader_ok(d->reader) || refuse(d, NULL, d->reader->error);
    }
    uint64_t bit = (uint64_t)1 << (field - d->desc->fields);
    if (*seen & bit)
        return refuse(d, field->name, "given twice");
    if (field->need == BUSI_OPTIONAL && busi_read_nil(d->reader)) {
        *seen |= bit;
        return true;
    }
    *seen |= bit;
    *d->bad = NULL;
    bool fine = decode_field(d, field, (char *)message + field->offset);
    if (!busi_reader_ok(d->reader) && !*d->bad)
        return refuse(d, field->name, d->reader->error);
    return fine;
}

bool busi_decode(struct busi_reader *r, const struct busi_desc *desc, void *message, struct busi_arena *arena,
                 const char **bad)
{
    struct decoding d = {.reader = r, .arena = arena, .desc = desc, .bad = bad};
    uint64_t seen = 0;
    size_t guess = 0;
    memset(message, 0, desc->size);
    uint32_t n = busi_read_map(r);
    if (!busi_reader_ok(r))
        return refuse(&d, NULL, r->error);
    for (uint32_t i = 0; i < n; i++)
        if (!decode_pair(&d, message, &seen, &guess))
            return false;
    busi_read_leave(r);
    for (size_t i = 0; i < desc->n_fields; i++)
        if (desc->fields[i].need == BUSI_REQUIRED && !(seen >> i & 1))
            return refuse(&d, desc->fields[i].name, "missing");
    return true;
}
