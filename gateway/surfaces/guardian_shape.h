/* The JSON of the guardian surface, and its requests as messages. Members stand flat in a body or under
 * "user". Pure; any thread. */
#pragma once
#include "params/fields.h"
#include "routing/surface.h"

/* As parts of an answer: {"id":1,"email":"..","username":null} */
struct guardian_user {
    int64_t id;
    struct busi_str email, username;
};
/* {"data":{...}}, with "token" beside it unless that is absent. */
void guardian_shape_user(struct busi_buf *out, const struct guardian_user *user, struct busi_str token);
/* {"token":".."} */
void guardian_shape_token(struct busi_buf *out, struct busi_str token);

/* False: 400, "user" is there and no object. */
[[nodiscard]] bool guardian_shape_sign_up(const struct param *body, struct fields *fields,
                                          struct busi_sign_up_request *out);
/* user_id and token are left to the caller. */
[[nodiscard]] bool guardian_shape_update(const struct param *body, struct fields *fields,
                                         struct busi_update_user_request *out);
/* "email" or "username", and "password", as texts and flat. False: 400. */
[[nodiscard]] bool guardian_shape_sign_in(const struct param *body, struct busi_sign_in_request *out);
