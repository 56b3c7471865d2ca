/* Roles that were deleted and may still be with many accounts. That nobody has such a role any more must be
 * true at once, however many had it: its name stands in a hash of Redis, and whoever judges by the roles of a
 * session looks there for each of them. Meanwhile it is taken from the accounts, some at a time, and so from
 * the sessions (roles/remover.h). When nobody has it, the name is free again.
 *
 *     retired_at in Postgres, busi:retired in Redis, gateways forget everything, answer;
 *     grants away, journal told, name out of busi:retired, row out of Postgres
 *
 * Names stand there with the role's id: another role of the name is another one. Loop thread only; all of
 * these suspend the fiber. */
#pragma once
#include "sessions/sessions.h"

/* A role that is retired in Postgres already. When it is OK, every check from now on goes without the role.
 */
[[nodiscard]] enum busi_code auth_retired_role_note(struct auth *self, struct busi_call *call,
                                                    struct busi_str name, int64_t id);
/* Likewise all that are, for a Redis that may not have heard. */
[[nodiscard]] enum busi_code auth_retired_roles_note(struct auth *self, struct busi_call *call);
/* The two words that ask how many there are. None, and a record read behind that: none of its roles is. */
void auth_retired_roles_count(struct busi_str *words);
/* Takes from the roles of a session that was read those that are retired. */
[[nodiscard]] enum busi_code auth_retired_roles_strip(struct auth *self, struct busi_call *call,
                                                      struct auth_session *session);

/* Nobody has this role any more: its name is free, unless it is retired under another id (text) by now. */
[[nodiscard]] enum busi_code auth_retired_role_forget(struct auth *self, struct busi_call *call,
                                                      struct busi_str name, struct busi_str id);
/* Forgets all names that Postgres does not have for retired: an old copy of Redis may hold some that are free
 * again, or another's. */
[[nodiscard]] enum busi_code auth_retired_roles_tidy(struct auth *self, struct busi_call *call);
