#include "core/json_object.h"
#include <jansson.h>

/* Also of texts that are no JSON: whatever the reader accepts as a bracket is counted here. */
static bool is_shallow(struct busi_str text)
{
    int depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_text && c == '\\')
            i++;
        else if (c == '"')
            in_text = !in_text;
        else if (!in_text && (c == '{' || c == '[') && ++depth > AUTH_JSON_MOST_DEPTH)
            return false;
        else if (!in_text && (c == '}' || c == ']'))
            depth--;
    }
    return true;
}

/* NULL: no object. */
static json_t *read(struct busi_str text)
{
    if (!text.ptr || !is_shallow(text))
        return NULL;
    json_t *object = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

bool auth_json_object_valid(struct busi_str text)
{
    json_t *object = read(text);
    json_decref(object);
    return object != NULL;
}

struct busi_str auth_json_object_merge(struct busi_arena *arena, struct busi_str under, struct busi_str over)
{
    struct busi_str merged = {0};
    json_t *one = under.ptr ? read(under) : json_object(), *two = over.ptr ? read(over) : json_object();
    char *text = NULL;
    if (one && two && json_object_update(one, two) == 0)
        text = json_dumps(one, JSON_COMPACT);
    if (text)
        merged = busi_arena_dup(arena, busi_str_of(text));
    free(text);
    json_decref(one);
    json_decref(two);
    return merged;
}
