/* Texts with {{name}} in them. Pure. */
#pragma once
#include "base/buf.h"

struct mail_value {
    struct busi_str name;
    struct busi_str value; /* control characters in it count as blanks */
};
enum mail_escape { MAIL_TEXT, MAIL_HTML };

/* Appends the template with every {{name}} replaced. False when a name has no value: *missing borrows it. */
[[nodiscard]] bool mail_template_expand(struct busi_buf *out, struct busi_str text,
                                        const struct mail_value *values, size_t n_values,
                                        enum mail_escape escape, struct busi_str *missing);
