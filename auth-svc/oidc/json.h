/* JSON of OpenID providers. */
#pragma once
#include "core/json_object.h"
#include <jansson.h>

/* An object with unique names, or NULL. The caller's json_decref(). */
[[nodiscard]] static inline json_t *auth_oidc_json(struct busi_str text)
{
    return auth_json_object_valid(text) ? json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
}
