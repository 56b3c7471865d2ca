/* Puts flat fields into a tree the way Plug.Conn.Query does (phoenix clients name their fields by it). */
#pragma once
#include "params/params.h"

struct param_field {
    struct busi_str name;  /* decoded: "business[name]" */
    struct busi_str value; /* decoded; ptr NULL: none was given */
};

/* UTF-8, and no NUL. */
[[nodiscard]] enum param_verdict params_check_text(struct busi_str text);
/* Of fields of one name the last wins. */
[[nodiscard]] enum param_verdict params_nest(struct busi_arena *arena, const struct param_field *fields,
                                             size_t n, struct param **out);
