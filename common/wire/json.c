/* Messages as JSON: for answers at the edge, and masked for logs. */
#include "base/text.h"
#include "wire/codec.h"
#include "wire/field.h"

enum { DUMP_MAX_BYTES = 64 };

static void write_message(struct busi_buf *out, const struct busi_desc *desc, const void *message,
                          bool masked);

static void write_text(struct busi_buf *out, const struct busi_field *field, struct busi_str text,
                       bool masked)
{
    if (masked && (field->kind == BUSI_SECRET || field->kind == BUSI_BYTES)) {
        busi_buf_str(out, BUSI_STR("\"***\""));
        return;
    }
    if (masked && text.len > DUMP_MAX_BYTES) {
        busi_buf_json(out, busi_utf8_cut(text, DUMP_MAX_BYTES));
        if (!out->failed)
            out->len--;
        busi_buf_str(out, BUSI_STR("...\""));
        return;
    }
    busi_buf_json(out, text);
}

static void write_list(struct busi_buf *out, const struct busi_field *field, const struct busi_list *list,
                       bool masked)
{
    const struct busi_desc *sub = field->sub();
    busi_buf_char(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            busi_buf_char(out, ',');
        write_message(out, sub, (const char *)list->items + i * sub->size, masked);
    }
    busi_buf_char(out, ']');
}

static void write_field(struct busi_buf *out, const struct busi_field *field, const void *at, bool masked)
{
    switch (field->kind) {
    case BUSI_TEXT:
    case BUSI_SECRET:
    case BUSI_BYTES:
        write_text(out, field, *(const struct busi_str *)at, masked);
        break;
    case BUSI_BOOL:
        busi_buf_str(out, *(const bool *)at ? BUSI_STR("true") : BUSI_STR("false"));
        break;
    case BUSI_LIST:
        write_list(out, field, at, masked);
        break;
    case BUSI_NESTED:
        write_message(out, field->sub(), *(void *const *)at, masked);
        break;
    default:
        busi_buf_int(out, *(const int64_t *)at);
    }
}

static void write_name(struct busi_buf *out, char before, const char *name)
{
    size_t n = strlen(name);
    char *to = busi_buf_reserve(out, n + 4);
    if (!to)
        return;
    to[0] = before;
    to[1] = '"';
    memcpy(to + 2, name, n);
    to[n + 2] = '"';
    to[n + 3] = ':';
    out->len += n + 4;
}

/* Nesting is bounded by the rows, not by input. */
static void write_message(struct busi_buf *out, const struct busi_desc *desc, const void *message,
                          bool masked)
{
    char before = '{';
    for (size_t i = 0; i < desc->n_fields; i++) {
        const struct busi_field *field = &desc->fields[i];
        if (field->kind != BUSI_LIST && !busi_field_present(field, message))
            continue;
        write_name(out, before, field->name);
        write_field(out, field, busi_field_at(field, message), masked);
        before = ',';
    }
    if (before == '{')
        busi_buf_char(out, '{');
    busi_buf_char(out, '}');
}

void busi_json_message(struct busi_buf *out, const struct busi_desc *desc, const void *message)
{
    write_message(out, desc, message, false);
}

void busi_dump_message(struct busi_buf *out, const struct busi_desc *desc, const void *message)
{
    write_message(out, desc, message, true);
}
