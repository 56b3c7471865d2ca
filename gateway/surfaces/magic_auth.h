/* What several routes of the magic surface answer a sign-in with. */
#pragma once
#include "core/exchange.h"

/* {"ticket":"..","extra":{"name":"..","email":".."}}; without extra when neither is known. */
void magic_answer_welcome(struct exchange *x, const struct busi_session_reply *session);
