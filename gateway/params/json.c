/* Reads JSON (RFC 8259) straight into the tree: one pass, no recursion, nothing allocated outside the arena
 * (what a JSON library would leave behind in freed memory may be a password). */
#include "base/json_text.h"
#include "base/text.h"
#include "params/params.h"
#include <stdlib.h>

enum { SMALL_OBJECT = 16 }; /* members up to which comparing all pairs is the fastest */

struct level {
    struct param *container;
    struct param **tail; /* where the next child is linked */
    size_t children;
};

struct parser {
    struct busi_arena *arena;
    struct busi_json_reader in;
    size_t values;
    struct level levels[PARAMS_MAX_DEPTH];
    size_t depth; /* open containers */
};

static struct param *new_node(struct parser *parser)
{
    return ++parser->values > PARAMS_MAX_VALUES ? NULL : BUSI_NEW(parser->arena, struct param);
}

/* ---- values ---- */

static bool read_number(struct parser *parser, struct param *out)
{
    bool integer;
    if (!busi_json_take_number(&parser->in, &out->text, &integer))
        return false;
    out->type = integer ? PARAM_INT : PARAM_REAL;
    if (!integer)
        return busi_json_real_finite(out->text);
    return busi_json_integer(out->text, &out->number);
}

static bool read_word(struct parser *parser, struct param *out)
{
    if (busi_json_take_word(&parser->in, BUSI_STR("true"))) {
        out->type = PARAM_BOOL;
        out->number = 1;
        return true;
    }
    out->type = PARAM_BOOL;
    if (busi_json_take_word(&parser->in, BUSI_STR("false")))
        return true;
    out->type = PARAM_NULL;
    return busi_json_take_word(&parser->in, BUSI_STR("null"));
}

static bool open_container(struct parser *parser, struct param *out, enum param_type type)
{
    if (parser->depth == PARAMS_MAX_DEPTH)
        return false;
    out->type = type;
    parser->levels[parser->depth++] = (struct level){.container = out, .tail = &out->children};
    return true;
}

static bool read_value(struct parser *parser, struct param *out)
{
    switch (busi_json_peek(&parser->in)) {
    case '{':
        parser->in.at++;
        return open_container(parser, out, PARAM_OBJECT);
    case '[':
        parser->in.at++;
        return open_container(parser, out, PARAM_LIST);
    case '"':
        out->type = PARAM_TEXT;
        return busi_json_take_string(&parser->in, parser->arena, &out->text);
    case 't':
    case 'f':
    case 'n':
        return read_word(parser, out);
    default:
        return read_number(parser, out);
    }
}

/* ---- containers ---- */

static int compare_names(const void *a, const void *b)
{
    const struct busi_str *x = a, *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->len > 0 ? memcmp(x->ptr, y->ptr, x->len) : 0;
}

static bool pairs_unique(const struct param *object)
{
    for (const struct param *a = object->children; a; a = a->next)
        for (const struct param *b = a->next; b; b = b->next)
            if (busi_str_eq(a->name, b->name))
                return false;
    return true;
}

/* Sorted, so that no choice of names makes it slow. */
static bool names_unique(struct parser *parser, const struct level *level)
{
    if (level->children <= SMALL_OBJECT)
        return pairs_unique(level->container);
    struct busi_str *names = busi_arena_array(parser->arena, level->children, sizeof *names);
    size_t n = 0;
    if (!names)
        return false;
    for (const struct param *child = level->container->children; child; child = child->next)
        names[n++] = child->name;
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++)
        if (busi_str_eq(names[i - 1], names[i]))
            return false;
    return true;
}

static bool close_container(struct parser *parser)
{
    const struct level *level = &parser->levels[--parser->depth];
    return level->container->type == PARAM_LIST || names_unique(parser, level);
}

/* The next child of the innermost container, up to its value; or the container's end. */
static bool read_child(struct parser *parser)
{
    struct level *level = &parser->levels[parser->depth - 1];
    const bool object = level->container->type == PARAM_OBJECT;
    busi_json_skip_space(&parser->in);
    if (busi_json_take_char(&parser->in, object ? '}' : ']'))
        return close_container(parser);
    if (level->children > 0) {
        if (!busi_json_take_char(&parser->in, ','))
            return false;
        busi_json_skip_space(&parser->in);
    }
    struct param *child = new_node(parser);
    if (!child)
        return false;
    if (object) {
        if (!busi_json_take_string(&parser->in, parser->arena, &child->name))
            return false;
        busi_json_skip_space(&parser->in);
        if (!busi_json_take_char(&parser->in, ':'))
            return false;
        busi_json_skip_space(&parser->in);
    }
    *level->tail = child;
    level->tail = &child->next;
    level->children++;
    return read_value(parser, child);
}

static bool read_document(struct parser *parser, struct param *root)
{
    busi_json_skip_space(&parser->in);
    if (!read_value(parser, root))
        return false;
    while (parser->depth > 0)
        if (!read_child(parser))
            return false;
    busi_json_skip_space(&parser->in);
    return parser->in.at == parser->in.end;
}

/* UTF-8 with a mark, UTF-16 and UTF-32 are not what JSON is sent in. */
static bool has_byte_order_mark(struct busi_str body)
{
    return busi_str_starts(body, BUSI_STR("\xEF\xBB\xBF")) || busi_str_starts(body, BUSI_STR("\xFF\xFE")) ||
           busi_str_starts(body, BUSI_STR("\xFE\xFF"));
}

enum param_verdict params_json(struct busi_arena *arena, struct busi_str body, struct param **out)
{
    struct parser parser = {
        .arena = arena,
    };
    struct param *root = BUSI_NEW(arena, struct param), *value = new_node(&parser);
    if (!root || !value)
        return PARAMS_BAD;
    root->type = PARAM_OBJECT;
    *out = root;
    if (body.len == 0)
        return PARAMS_OK;
    parser.in = (struct busi_json_reader){body.ptr, body.ptr + body.len};
    if (has_byte_order_mark(body))
        return PARAMS_BAD;
    if (!busi_utf8_valid(body))
        return PARAMS_BAD_UTF8;
    if (!read_document(&parser, value))
        return PARAMS_BAD;
    if (value->type == PARAM_OBJECT) {
        *out = value;
        return PARAMS_OK;
    }
    value->name = BUSI_STR("_json");
    root->children = value;
    return PARAMS_OK;
}
