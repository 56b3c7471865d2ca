/* Access to a message's fields through its descriptor; for the files of this folder. */
#pragma once
#include "wire/desc.h"

static inline const void *busi_field_at(const struct busi_field *field, const void *message)
{
    return (const char *)message + field->offset;
}

/* Is it written at all? Required numbers always are; a list when it has items. */
static inline bool busi_field_present(const struct busi_field *field, const void *message)
{
    const void *at = busi_field_at(field, message);
    switch (field->kind) {
    case BUSI_TEXT:
    case BUSI_SECRET:
    case BUSI_BYTES:
        return ((const struct busi_str *)at)->ptr != NULL;
    case BUSI_LIST:
        return ((const struct busi_list *)at)->n > 0;
    case BUSI_NESTED:
        return *(void *const *)at != NULL;
    case BUSI_BOOL:
        return field->need == BUSI_REQUIRED || *(const bool *)at;
    default:
        return field->need == BUSI_REQUIRED || *(const int64_t *)at != 0;
    }
}

/* Is a number one that the field may hold? */
static inline bool busi_field_within(const struct busi_field *field, int64_t number)
{
    int64_t limit = field->limit;
    return limit == 0 || (number <= limit && number >= -limit);
}
