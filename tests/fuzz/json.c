/* Any bytes as JSON: jansson, an independent reader, must agree about what is accepted and what it says. */
#include "params_tree_check.h"
#include <jansson.h>

struct size {
    size_t depth, values;
};

static void measure(const json_t *value, size_t depth, struct size *size)
{
    const char *name;
    json_t *child;
    size_t i;
    size->values++;
    bool container = json_is_object(value) || json_is_array(value);
    if (container && depth + 1 > size->depth)
        size->depth = depth + 1;
    if (size->depth > PARAMS_MAX_DEPTH)
        return;
    json_object_foreach((json_t *)(uintptr_t)value, name, child) measure(child, depth + 1, size);
    json_array_foreach(value, i, child) measure(child, depth + 1, size);
}

static void compare(const struct param *ours, const json_t *theirs);

static void compare_object(const struct param *ours, const json_t *theirs)
{
    size_t n = 0;
    for (const struct param *child = ours->children; child; child = child->next, n++) {
        char *name = strndup(child->name.ptr, child->name.len);
        const json_t *other = name ? json_object_get(theirs, name) : NULL;
        if (!other)
            abort();
        compare(child, other);
        free(name);
    }
    if (n != json_object_size(theirs))
        abort();
}

static void compare_list(const struct param *ours, const json_t *theirs)
{
    size_t n = 0;
    for (const struct param *child = ours->children; child; child = child->next, n++)
        compare(child, json_array_get(theirs, n));
    if (n != json_array_size(theirs))
        abort();
}

static void compare(const struct param *ours, const json_t *theirs)
{
    static const json_type types[] = {
        [PARAM_NULL] = JSON_NULL,    [PARAM_BOOL] = JSON_TRUE,   [PARAM_INT] = JSON_INTEGER,
        [PARAM_REAL] = JSON_REAL,    [PARAM_TEXT] = JSON_STRING, [PARAM_LIST] = JSON_ARRAY,
        [PARAM_OBJECT] = JSON_OBJECT};
    bool same_type =
        ours->type == PARAM_BOOL ? json_is_boolean(theirs) : json_typeof(theirs) == types[ours->type];
    if (!same_type || (ours->type == PARAM_BOOL && ours->number != json_is_true(theirs)) ||
        (ours->type == PARAM_INT && ours->number != json_integer_value(theirs)))
        abort();
    if (ours->type == PARAM_TEXT && (ours->text.len != json_string_length(theirs) ||
                                     memcmp(ours->text.ptr, json_string_value(theirs), ours->text.len) != 0))
        abort();
    if (ours->type == PARAM_OBJECT)
        compare_object(ours, theirs);
    if (ours->type == PARAM_LIST)
        compare_list(ours, theirs);
}

/* What we write of it, jansson reads as the same. */
static void compare_written(const struct param *ours)
{
    struct busi_buf text;
    busi_buf_init(&text, 64 << 20);
    params_write(&text, ours);
    json_t *theirs =
        text.failed ? NULL : json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (!theirs)
        abort();
    compare(ours, theirs);
    json_decref(theirs);
    busi_buf_fini(&text);
}

/* Ours refuses numbers of more than 128 characters. */
static bool has_long_number(struct busi_str body)
{
    size_t run = 0;
    for (size_t i = 0; i < body.len; i++) {
        run = body.ptr[i] && strchr("0123456789+-.eE", body.ptr[i]) ? run + 1 : 0;
        if (run > 128)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct busi_str body = own_copy(data, size);
    struct busi_arena arena;
    struct param *tree = NULL;
    struct size theirs_size = {0};
    size_t values = 0;
    busi_arena_init(&arena, 64 << 20);
    enum param_verdict verdict = params_json(&arena, body, &tree);
    json_t *theirs = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (theirs)
        measure(theirs, 0, &theirs_size);
    /* jansson 2.14 overlooks a NUL behind a number */
    bool within = theirs && !memchr(body.ptr, 0, body.len) && theirs_size.depth <= PARAMS_MAX_DEPTH &&
                  theirs_size.values <= PARAMS_MAX_VALUES && !has_long_number(body);
    if (size > 0 && (verdict == PARAMS_OK) != within && !(theirs && has_long_number(body)))
        abort();
    if (verdict == PARAMS_OK) {
        const struct param *bare = param_find(tree, "_json");
        check_tree(tree, 0, &values);
        const struct param *root = bare && !json_is_object(theirs) ? bare : tree;
        if (size > 0) {
            compare(root, theirs);
            compare_written(root);
        }
    }
    json_decref(theirs);
    busi_arena_fini(&arena);
    free((void *)(uintptr_t)body.ptr);
    return 0;
}
