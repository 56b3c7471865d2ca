/* The JSON of the ash surface, and its requests as messages. Parameters of query and body count as one set,
 * in which the body's come first. Pure; any thread. */
#pragma once
#include "params/fields.h"
#include "routing/surface.h"

/* {"authentication":{"status":"success","bearer":"<jwt>"}}; null instead of an absent one */
void ash_shape_success(struct busi_buf *out, struct busi_str bearer);
/* {"authentication":{"status":"failed"}} */
void ash_shape_failed(struct busi_buf *out);
/* {"status":"ok"} */
void ash_shape_signed_out(struct busi_buf *out);

/* NULL: neither has it. */
const struct param *ash_shape_param(const struct param *body, const struct param *query, const char *name);
/* A text beside "user", as ?token=. Absent: there is none, it is blank, or no text. */
struct busi_str ash_shape_flat(const struct param *body, const struct param *query, const char *name);

/* user: the parameter of that name, or NULL. False: it is no object, or lacks a text without which there is
 * nothing to ask. */
[[nodiscard]] bool ash_shape_register(const struct param *user, struct fields *fields,
                                      struct busi_sign_up_request *out);
[[nodiscard]] bool ash_shape_sign_in(const struct param *user, struct busi_sign_in_request *out);
[[nodiscard]] bool ash_shape_account(const struct param *user, struct busi_account_name_request *out);
[[nodiscard]] bool ash_shape_reset(const struct param *user, struct fields *fields,
                                   struct busi_finish_reset_request *out);
