#define _GNU_SOURCE /* memmem */
#include "base/template.h"

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

static void add_value(struct busi_buf *out, const struct busi_template_value *value,
                      enum busi_template_escape escape)
{
    if (value->markup) {
        busi_buf_str(out, value->value);
        return;
    }
    for (size_t i = 0; i < value->value.len; i++) {
        char c = value->value.ptr[i];
        if ((unsigned char)c < ' ' || c == 0x7f)
            c = ' ';
        const char *entity = escape == BUSI_TEMPLATE_HTML ? html_entity(c) : NULL;
        if (entity)
            busi_buf_str(out, busi_str_of(entity));
        else
            busi_buf_char(out, c);
    }
}

static struct busi_str after(struct busi_str text, size_t n)
{
    return (struct busi_str){text.ptr + n, text.len - n};
}

/* Where an expansion stands. */
struct expansion {
    struct busi_buf *out;
    const struct busi_template_value *values; /* what may be named */
    size_t n_values;
    enum busi_template_escape escape;
    struct busi_str section; /* name of the open {{#name}} or {{^name}}; absent: none is open */
    bool hidden;             /* the open section is left out */
};

static const struct busi_template_value *find(const struct expansion *expansion, struct busi_str name)
{
    for (size_t i = 0; i < expansion->n_values; i++)
        if (busi_str_eq(expansion->values[i].name, name))
            return &expansion->values[i];
    return NULL;
}

static const char *close_section(struct expansion *expansion, struct busi_str name)
{
    if (!expansion->section.ptr || !busi_str_eq(expansion->section, name))
        return "it closes a part that is not open";
    expansion->section = (struct busi_str){0};
    expansion->hidden = false;
    return NULL;
}

/* tag is what stands between the braces. */
static const char *do_tag(struct expansion *expansion, struct busi_str tag)
{
    char sign = tag.len > 0 ? tag.ptr[0] : 0;
    bool section = sign == '#' || sign == '^';
    if (sign == '/')
        return close_section(expansion, after(tag, 1));
    struct busi_str name = section ? after(tag, 1) : tag;
    const struct busi_template_value *value = find(expansion, name);
    if (!value)
        return "it names an unknown argument";
    if (!section) {
        if (!expansion->hidden)
            add_value(expansion->out, value, expansion->escape);
        return NULL;
    }
    if (expansion->section.ptr)
        return "it opens a part within another";
    expansion->section = name;
    expansion->hidden = (value->value.len == 0) == (sign == '#');
    return NULL;
}

const char *busi_template_expand(struct busi_buf *out, struct busi_str text,
                                 const struct busi_template_value *values, size_t n_values,
                                 enum busi_template_escape escape)
{
    struct expansion expansion = {.out = out, .values = values, .n_values = n_values, .escape = escape};
    while (text.len > 0) {
        const char *open = memmem(text.ptr, text.len, "{{", 2);
        size_t before = open ? (size_t)(open - text.ptr) : text.len;
        if (!expansion.hidden)
            busi_buf_add(out, text.ptr, before);
        text = after(text, before);
        if (text.len == 0)
            break;
        text = after(text, 2);
        const char *close = memmem(text.ptr, text.len, "}}", 2);
        if (!close)
            return "it has {{ without }}";
        struct busi_str tag = {text.ptr, (size_t)(close - text.ptr)};
        const char *error = do_tag(&expansion, tag);
        if (error)
            return error;
        text = after(text, tag.len + 2);
    }
    return expansion.section.ptr ? "it leaves a part open" : NULL;
}
