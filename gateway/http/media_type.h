/* Values of the form "word; name=value; name="quoted"": Content-Type, Content-Disposition (RFC 9110
 * section 5.6.6). Pure; any bytes are fine. */
#pragma once
#include "base/str.h"

/* What stands before the first ';', without spaces around it. Borrowed. */
struct busi_str media_type_name(struct busi_str value);

enum media_parameter {
    MEDIA_PARAMETER_FOUND,
    MEDIA_PARAMETER_ABSENT,
    MEDIA_PARAMETER_BROKEN, /* the list is malformed, the name occurs twice, or its value is longer than room
                             */
};
/* A parameter by its name, regardless of case. *found points into text, quotes and backslashes taken off. */
[[nodiscard]] enum media_parameter media_type_parameter(struct busi_str value, struct busi_str name,
                                                        char *text, size_t room, struct busi_str *found);
