/* Texts with names in them:
 *     {{name}}                 its value
 *     {{#name}}text{{/name}}   the text, if the name has a value that is not empty
 *     {{^name}}text{{/name}}   the text, if it is empty
 * One of the latter two cannot hold another. Pure. */
#pragma once
#include "base/buf.h"

struct busi_template_value {
    struct busi_str name;
    struct busi_str value; /* control characters in it count as blanks */
    bool markup;           /* is HTML already: written as it is */
};
enum busi_template_escape { BUSI_TEMPLATE_TEXT, BUSI_TEMPLATE_HTML };

/* Appends the expanded text. NULL, or why it cannot be (static): it names what is not among the values, also
 * in a part left out, or has a tag that is not closed. */
[[nodiscard]] const char *busi_template_expand(struct busi_buf *out, struct busi_str text,
                                               const struct busi_template_value *values, size_t n_values,
                                               enum busi_template_escape escape);
