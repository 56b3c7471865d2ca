/* The JSON of the accesspass surface, {"ok":...} and {"error":...}, and its requests as messages. Keys a body
 * lacks are "". Pure; any thread. */
#pragma once
#include "params/fields.h"
#include "routing/surface.h"

enum { ACCESSPASS_META_MOST = 4096 }; /* bytes of an account's meta as JSON without blanks */

/* {"ok":"<text>"} */
void accesspass_shape_ok(struct busi_buf *out, struct busi_str text);
/* {"error":"<text>"} */
void accesspass_shape_error(struct busi_buf *out, struct busi_str text);
/* {"ok":{"type":"basic","refresh_token":"..","refresh_expire_in":0,"access_token":"..","access_expire_in":300}}
 */
void accesspass_shape_session(struct busi_buf *out, const struct busi_session_reply *session);
/* {"ok":{"user_id":"..","email_confirmed":false,"email":"..","username":"..","meta":{}}} */
void accesspass_shape_principal(struct busi_buf *out, const struct busi_principal *principal);

/* Texts live in the body or in arena. */
void accesspass_shape_register(struct busi_arena *arena, struct fields *fields,
                               struct busi_sign_up_request *out);
void accesspass_shape_login(struct fields *fields, struct busi_sign_in_request *out);
void accesspass_shape_confirm(struct fields *fields, struct busi_confirm_email_request *out);
void accesspass_shape_change_password(struct fields *fields, struct busi_finish_reset_request *out);
/* By user name or e-mail: which of them is the member's name. */
void accesspass_shape_account(struct fields *fields, const char *name, struct busi_account_name_request *out);
