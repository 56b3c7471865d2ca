/* The Authorization header's Bearer credentials (RFC 6750). Pure; any thread. */
#pragma once
#include "base/str.h"

enum { BEARER_MOST = 8192 }; /* bytes of a token: the limit of check_token_request.token */

/* "Bearer <token>": the scheme at the start and regardless of case, an optional colon, one or more spaces,
 * the token trimmed. An absent token when the header has another scheme or nothing behind it. */
struct busi_str bearer_token(struct busi_str header);
/* Could it be one of ours at all: 1..BEARER_MOST visible ASCII characters. */
bool bearer_plausible(struct busi_str token);
