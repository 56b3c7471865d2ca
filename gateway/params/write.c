/* A parameter as JSON text again: members in their order, numbers as they were sent. No recursion: how deep
 * it goes was the client's choice. */
#include "params/params.h"

static void write_scalar(struct busi_buf *out, const struct param *param)
{
    switch (param->type) {
    case PARAM_TEXT:
        busi_buf_json(out, param->text);
        return;
    case PARAM_INT:
    case PARAM_REAL:
        busi_buf_str(out, param->text);
        return;
    case PARAM_BOOL:
        busi_buf_str(out, param->number ? BUSI_STR("true") : BUSI_STR("false"));
        return;
    default:
        busi_buf_str(out, BUSI_STR("null"));
    }
}

static void write_name(struct busi_buf *out, const struct param *container, const struct param *child)
{
    if (child != container->children)
        busi_buf_char(out, ',');
    if (container->type == PARAM_OBJECT) {
        busi_buf_json(out, child->name);
        busi_buf_char(out, ':');
    }
}

static bool is_container(const struct param *param)
{
    return param->type == PARAM_OBJECT || param->type == PARAM_LIST;
}

void params_write(struct busi_buf *out, const struct param *root)
{
    const struct param *open[PARAMS_MAX_DEPTH], *next[PARAMS_MAX_DEPTH];
    size_t depth = 0;
    for (const struct param *at = root;;) {
        if (is_container(at) && depth < PARAMS_MAX_DEPTH) {
            busi_buf_char(out, at->type == PARAM_OBJECT ? '{' : '[');
            open[depth] = at;
            next[depth++] = at->children;
        } else {
            write_scalar(out, at);
        }
        while (depth > 0 && !next[depth - 1])
            busi_buf_char(out, open[--depth]->type == PARAM_OBJECT ? '}' : ']');
        if (depth == 0)
            return;
        at = next[depth - 1];
        next[depth - 1] = at->next;
        write_name(out, open[depth - 1], at);
    }
}
