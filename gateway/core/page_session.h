/* The session of a browser: a cookie that holds an access token of the door ash_page. It counts on pages and
 * nowhere else, so that no request a page of another site makes is ever one of its owner's. */
#pragma once
#include "core/exchange.h"

/* Who is signed in: OK fills *out and call.user_id. UNAUTHENTICATED: nobody, or nobody any more. What else a
 * check of a token can say: that cannot be told now. */
[[nodiscard]] enum busi_code page_session_who(struct exchange *x, struct busi_principal *out);
/* The token who() found good. */
struct busi_str page_session_token(const struct exchange *x);
/* Hands a session to the browser: under a new name always, and the one it had until now is ended. */
void page_session_begin(struct exchange *x, const struct busi_session_reply *session);
/* Ends exactly that of the cookie, and takes the cookie away. What is not OK is not ended, and not answered.
 */
[[nodiscard]] enum busi_code page_session_end(struct exchange *x);
