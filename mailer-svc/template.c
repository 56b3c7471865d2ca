#define _GNU_SOURCE /* memmem */
#include "template.h"

/* Also the quotes: a value may stand in an attribute. */
static const char *html_entity(char c)
{
    static const struct {
        char c;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities)[0]; i++)
        if (entities[i].c == c)
            return entities[i].entity;
    return NULL;
}

static void add_value(struct busi_buf *out, struct busi_str value, enum mail_escape escape)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = (unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f ? ' ' : value.ptr[i];
        const char *entity = escape == MAIL_HTML ? html_entity(c) : NULL;
        if (entity)
            busi_buf_str(out, busi_str_of(entity));
        else
            busi_buf_char(out, c);
    }
}

static const struct mail_value *find(const struct mail_value *values, size_t n_values, struct busi_str name)
{
    for (size_t i = 0; i < n_values; i++)
        if (busi_str_eq(values[i].name, name))
            return &values[i];
    return NULL;
}

static struct busi_str after(struct busi_str text, size_t n)
{
    return (struct busi_str){text.ptr + n, text.len - n};
}

bool mail_template_expand(struct busi_buf *out, struct busi_str text, const struct mail_value *values,
                          size_t n_values, enum mail_escape escape, struct busi_str *missing)
{
    while (text.len > 0) {
        const char *open = memmem(text.ptr, text.len, "{{", 2);
        size_t before = open ? (size_t)(open - text.ptr) : text.len;
        busi_buf_add(out, text.ptr, before);
        text = after(text, before);
        if (text.len == 0)
            break;
        text = after(text, 2);
        const char *close = memmem(text.ptr, text.len, "}}", 2);
        *missing = (struct busi_str){text.ptr, close ? (size_t)(close - text.ptr) : text.len};
        const struct mail_value *value = close ? find(values, n_values, *missing) : NULL;
        if (!value)
            return false;
        add_value(out, value->value, escape);
        text = after(text, missing->len + 2);
    }
    return true;
}
