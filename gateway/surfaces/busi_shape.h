/* The JSON of the busi surface, and its requests as messages. Pure; any thread. */
#pragma once
#include "params/fields.h"
#include "routing/surface.h"

/* {"errors":{"name":["can't be blank"],...}}: a member per field, newest refusal of it first. */
void busi_shape_violations(struct busi_buf *out, const struct busi_violation *violations, size_t n);
/* {"email":"..","token":".."} */
void busi_shape_session(struct busi_buf *out, const struct busi_session_reply *session);
/* {"id":1,"name":"..","description":"..","tag":"..","date":".."} */
void busi_shape_business(struct busi_buf *out, const struct busi_business *business);

/* False: no "user" ("business") object, or flat "email" and "password" texts: 400. */
[[nodiscard]] bool busi_shape_sign_up(const struct param *body, struct fields *fields,
                                      struct busi_sign_up_request *out);
[[nodiscard]] bool busi_shape_sign_in(const struct param *body, struct busi_sign_in_request *out);
[[nodiscard]] bool busi_shape_write(const struct param *body, struct fields *fields,
                                    struct busi_write_business_request *out);

/* ?limit=1..1000 (0: not given) and ?after=0.. of a list. False: 400. */
struct busi_shape_page {
    int64_t limit, after;
};
[[nodiscard]] bool busi_shape_page(const struct param *query, struct busi_shape_page *out);
