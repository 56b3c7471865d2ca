/* Any bytes as an urlencoded form. */
#include "params_tree_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct busi_str body = own_copy(data, size);
    struct busi_arena arena;
    struct param *tree = NULL;
    size_t values = 0;
    busi_arena_init(&arena, 64 << 20);
    if (params_form(&arena, body, &tree) == PARAMS_OK) {
        check_tree(tree, 0, &values);
        if (tree->type != PARAM_OBJECT)
            abort();
    }
    busi_arena_fini(&arena);
    free((void *)(uintptr_t)body.ptr);
    return 0;
}
