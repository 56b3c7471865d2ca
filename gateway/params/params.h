/* A request body or query as one tree of parameters, whatever it came as: JSON, urlencoded
 * ("business[name]=x") or multipart. Bounded (depth 16, 4,096 values), UTF-8 checked, no NUL anywhere,
 * duplicate JSON members refused. Nodes live in the arena; texts that needed no decoding point into the body,
 * which must live as long. Pure; any thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum param_type { PARAM_NULL, PARAM_BOOL, PARAM_INT, PARAM_REAL, PARAM_TEXT, PARAM_LIST, PARAM_OBJECT };

struct param {
    enum param_type type;
    struct busi_str name;   /* in an OBJECT; absent elsewhere */
    struct busi_str text;   /* TEXT; for REAL and INT the characters as sent */
    int64_t number;         /* INT and BOOL */
    struct param *children; /* LIST and OBJECT: first child */
    struct param *next;     /* next sibling */
};

enum { PARAMS_MAX_DEPTH = 16, PARAMS_MAX_VALUES = 4096, PARAMS_MAX_FIELDS = 512, PARAMS_MAX_PARTS = 64 };

/* HTTP statuses, 200 for fine. Memory that ran out (the arena is bounded) is BAD too. */
enum param_verdict { PARAMS_OK = 200, PARAMS_BAD = 400, PARAMS_BAD_UTF8 = 415 };

/* All give an OBJECT in *out when OK; a JSON root that is not an object becomes its member "_json" (as Plug
 * does), an empty body an empty object. Integers are exact or refused; a number longer than 128 characters is
 * refused. */
[[nodiscard]] enum param_verdict params_json(struct busi_arena *arena, struct busi_str body,
                                             struct param **out);
/* Nested as Plug does it: "a[b]=c", "a[]=c"; of two fields of one name the last wins; "a" without '=' is
 * NULL. At most PARAMS_MAX_FIELDS fields. For queries too. */
[[nodiscard]] enum param_verdict params_form(struct busi_arena *arena, struct busi_str body,
                                             struct param **out);
/* boundary from the Content-Type's value; parts with a filename are left out, nested multipart is refused. */
[[nodiscard]] enum param_verdict params_multipart(struct busi_arena *arena, struct busi_str body,
                                                  struct busi_str content_type, struct param **out);
/* By Content-Type; another type, or none, gives an empty object (let through unparsed). A charset that is not
 * UTF-8 is BAD_UTF8. */
[[nodiscard]] enum param_verdict params_body(struct busi_arena *arena, struct busi_str body,
                                             struct busi_str content_type, struct param **out);

/* Member of an OBJECT, NULL when absent (or when object is NULL or no object). */
const struct param *param_find(const struct param *object, const char *name);

/* As JSON without blanks: members in their order, numbers with the characters they were sent with. */
void params_write(struct busi_buf *out, const struct param *param);
