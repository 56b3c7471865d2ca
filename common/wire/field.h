/* Access to a message's fields through its descriptor; for the files of this folder. */
#pragma once
#include "wire/desc.h"

static inline const void *busi_field_at(const struct busi_field *field, const void *message)
{
    return (const char *)message + field->offset;
}

/* Is it written at all? Required numbers always are; a list when it has items. */
bool busi_field_present(const struct busi_field *field, const void *message);
