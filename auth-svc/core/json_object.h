/* JSON objects that pass through as texts. Both bound the depth first: the reader recurses, and handlers run
 * on small stacks. Pure. */
#pragma once
#include "base/arena.h"

enum { AUTH_JSON_MOST_DEPTH = 16 };

/* One object with unique names, nothing behind it, its brackets at most AUTH_JSON_MOST_DEPTH deep. */
bool auth_json_object_valid(struct busi_str text);
/* Both in one; what over has, wins. Either may be absent. ptr NULL: not two objects, or out of memory. */
[[nodiscard]] struct busi_str auth_json_object_merge(struct busi_arena *arena, struct busi_str under,
                                                     struct busi_str over);
