/* Tokens of every door, made and read, and the handlers that take one. */
#pragma once
#include "sessions.h"

/* ptr NULL: out of memory. */
[[nodiscard]] struct busi_str auth_token_make(struct busi_arena *arena, const struct auth_session *session);
/* What a token says, believed only as far as its signature goes: the session must still be looked up. OK,
 * EXPIRED and NOT_YET fill session; texts in the arena. */
[[nodiscard]] enum busi_jwt_verdict auth_token_read(const struct auth *self, struct busi_arena *arena,
                                                    struct busi_str token, struct auth_session *session);
