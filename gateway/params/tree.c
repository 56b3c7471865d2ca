#define _GNU_SOURCE /* memmem */
#include "params/tree.h"
#include "base/text.h"

struct builder {
    struct busi_arena *arena;
    size_t values; /* nodes made */
    bool failed;   /* too many, too deep, or out of memory */
};

enum param_verdict params_check_text(struct busi_str text)
{
    if (text.len > 0 && memchr(text.ptr, 0, text.len))
        return PARAMS_BAD;
    return busi_utf8_valid(text) ? PARAMS_OK : PARAMS_BAD_UTF8;
}

/* ---- one node ---- */

static struct param *new_child(struct builder *builder, struct param *parent, struct busi_str name)
{
    struct param *child =
        ++builder->values > PARAMS_MAX_VALUES ? NULL : BUSI_NEW(builder->arena, struct param);
    if (!child) {
        builder->failed = true;
        return NULL;
    }
    child->name = name;
    child->next = parent->children; /* fields come in reverse, so the first one ends up first */
    parent->children = child;
    return child;
}

static struct param *find_child(const struct param *object, struct busi_str name)
{
    for (struct param *child = object->children; child; child = child->next)
        if (busi_str_eq(child->name, name))
            return child;
    return NULL;
}

static void make(struct param *node, enum param_type type)
{
    node->type = type;
    node->text = (struct busi_str){0};
    node->children = NULL;
}

static void set_value(struct param *node, struct busi_str value)
{
    make(node, value.ptr ? PARAM_TEXT : PARAM_NULL);
    node->text = value;
}

/* ---- one field; `fresh` nodes have no value yet ---- */

static void assign_member(struct builder *builder, struct param *node, bool fresh, struct busi_str name,
                          struct busi_str value)
{
    if (fresh || node->type != PARAM_OBJECT)
        make(node, PARAM_OBJECT);
    struct param *child = find_child(node, name) ? NULL : new_child(builder, node, name);
    if (child)
        set_value(child, value);
}

/* "name[]": one more element in front. */
static void assign_element(struct builder *builder, struct param *node, bool fresh, struct busi_str value)
{
    bool has_elements = !fresh && node->type == PARAM_LIST && node->children;
    if (!value.ptr) {
        if (!has_elements)
            make(node, PARAM_LIST);
        return;
    }
    if (!fresh && !has_elements)
        return;
    if (fresh)
        make(node, PARAM_LIST);
    struct param *child = new_child(builder, node, (struct busi_str){0});
    if (child)
        set_value(child, value);
}

/* "name[...": the node below, NULL when the field does not fit what is there and is dropped. */
static struct param *step_into(struct builder *builder, struct param *node, bool *fresh, struct busi_str name)
{
    if (name.len == 0) {
        if (!*fresh && !(node->type == PARAM_LIST && node->children))
            return NULL;
        if (*fresh)
            make(node, PARAM_LIST);
        *fresh = true;
        return new_child(builder, node, (struct busi_str){0});
    }
    if (*fresh || node->type != PARAM_OBJECT)
        make(node, PARAM_OBJECT);
    struct param *child = find_child(node, name);
    *fresh = child == NULL;
    return child ? child : new_child(builder, node, name);
}

/* Cuts *rest at the separator; false when it does not occur (*piece is then all of it). */
static bool cut(struct busi_str *rest, struct busi_str separator, struct busi_str *piece)
{
    const char *at = rest->len > 0 ? memmem(rest->ptr, rest->len, separator.ptr, separator.len) : NULL;
    *piece = (struct busi_str){rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len};
    if (!at)
        return false;
    rest->ptr += piece->len + separator.len;
    rest->len -= piece->len + separator.len;
    return true;
}

static void assign(struct builder *builder, struct param *root, const struct param_field *field)
{
    struct busi_str rest = field->name, piece;
    struct param *node = root;
    bool fresh = false;
    if (rest.len == 0 || rest.ptr[rest.len - 1] != ']') {
        assign_member(builder, root, false, rest, field->value);
        return;
    }
    rest.len--;
    struct busi_str separator = BUSI_STR("[");
    for (size_t depth = 1; cut(&rest, separator, &piece); depth++) {
        if (depth >= PARAMS_MAX_DEPTH)
            builder->failed = true;
        node = builder->failed ? NULL : step_into(builder, node, &fresh, piece);
        if (!node)
            return;
        separator = BUSI_STR("][");
    }
    if (piece.len == 0 && node == root)
        return; /* "]" alone */
    if (piece.len == 0)
        assign_element(builder, node, fresh, field->value);
    else
        assign_member(builder, node, fresh, piece, field->value);
}

enum param_verdict params_nest(struct busi_arena *arena, const struct param_field *fields, size_t n,
                               struct param **out)
{
    struct builder builder = {.arena = arena};
    struct param *root = BUSI_NEW(arena, struct param);
    if (!root)
        return PARAMS_BAD;
    root->type = PARAM_OBJECT;
    while (n > 0 && !builder.failed)
        assign(&builder, root, &fields[--n]);
    *out = root;
    return builder.failed ? PARAMS_BAD : PARAMS_OK;
}
