/* Any bytes as multipart/form-data: the first line is the Content-Type, the rest the body. */
#include "params_tree_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size > 0 ? memchr(data, '\n', size) : NULL;
    if (!line_end)
        return 0;
    size_t line = (size_t)(line_end - data);
    struct busi_str type = own_copy(data, line), body = own_copy(line_end + 1, size - line - 1);
    struct busi_arena arena;
    struct param *tree = NULL;
    size_t values = 0;
    busi_arena_init(&arena, 64 << 20);
    if (params_multipart(&arena, body, type, &tree) == PARAMS_OK) {
        check_tree(tree, 0, &values);
        if (tree->type != PARAM_OBJECT)
            abort();
    }
    busi_arena_fini(&arena);
    free((void *)(uintptr_t)type.ptr);
    free((void *)(uintptr_t)body.ptr);
    return 0;
}
