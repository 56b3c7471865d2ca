/* A request body or query as one tree of parameters, whatever it came as: JSON, urlencoded ("business[name]=x") or
 * multipart. Bounded (depth 16, 4,096 values), UTF-8 checked, duplicate JSON members refused. Lives in an arena. */
#pragma once
#include "base/arena.h"

enum param_type { PARAM_NULL, PARAM_BOOL, PARAM_INT, PARAM_REAL, PARAM_TEXT, PARAM_LIST, PARAM_OBJECT };

struct param {
    enum param_type type;
    struct busi_str name;    /* in an OBJECT; absent elsewhere */
    struct busi_str text;    /* TEXT; for REAL and INT the digits as sent */
    int64_t number;          /* INT and BOOL */
    struct param *children;  /* LIST and OBJECT: first child */
    struct param *next;      /* next sibling */
};

/* HTTP statuses, 200 for fine. */
enum param_verdict { PARAMS_OK = 200, PARAMS_BAD = 400, PARAMS_BAD_UTF8 = 415 };

/* All give an OBJECT in *out; a JSON root that is not an object becomes its member "_json" (as Plug does). */
[[nodiscard]] enum param_verdict params_json(struct busi_arena *arena, struct busi_str body, struct param **out);
[[nodiscard]] enum param_verdict params_form(struct busi_arena *arena, struct busi_str body, struct param **out);
/* boundary from the Content-Type's value; parts with a filename are left out. */
[[nodiscard]] enum param_verdict params_multipart(struct busi_arena *arena, struct busi_str body,
                                                  struct busi_str content_type, struct param **out);
/* By Content-Type; another type, or none, gives an empty object (let through unparsed). */
[[nodiscard]] enum param_verdict params_body(struct busi_arena *arena, struct busi_str body,
                                             struct busi_str content_type, struct param **out);

/* Member of an OBJECT, NULL when absent (or when object is NULL or no object). */
const struct param *param_find(const struct param *object, const char *name);
