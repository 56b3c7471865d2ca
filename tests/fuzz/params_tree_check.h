/* What holds for every tree of parameters, whatever bytes it came from. */
#pragma once
#include "base/text.h"
#include "params/params.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check_text(struct busi_str text)
{
    if (!text.ptr || !busi_utf8_valid(text) || (text.len > 0 && memchr(text.ptr, 0, text.len)))
        abort();
}

static inline void check_tree(const struct param *node, size_t depth, size_t *values)
{
    if (++*values > PARAMS_MAX_VALUES + 2 || depth > PARAMS_MAX_DEPTH + 1)
        abort();
    if (node->type == PARAM_TEXT || node->type == PARAM_INT || node->type == PARAM_REAL)
        check_text(node->text);
    if (node->type != PARAM_LIST && node->type != PARAM_OBJECT && node->children)
        abort();
    for (const struct param *child = node->children; child; child = child->next) {
        if (node->type == PARAM_OBJECT)
            check_text(child->name);
        check_tree(child, depth + 1, values);
    }
}

/* The input in memory of its own, so that reading past it is seen. */
static inline struct busi_str own_copy(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + (size == 0));
    if (!copy)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    return (struct busi_str){copy, size};
}
