/* Roles that were deleted and may still be with many accounts. That nobody has such a role any more must be
 * true at once, however many had it: its name stands in a hash of Redis, and whoever judges by the roles of a
 * session looks there for each of them. Meanwhile it is taken from the accounts, some at a time, and so from
 * the sessions (session_roles.c). When nobody has it, the name is free again.
 *
 *     retired_at in Postgres, busi:retired in Redis, gateways forget everything, answer;
 *     grants away, journal told, name out of busi:retired, row out of Postgres
 *
 * Names stand there with the role's id: another role of the name is another one. Loop thread only. */
#pragma once
#include "sessions.h"

/* Takes away on a fiber of its own. NULL: could not. */
[[nodiscard]] struct auth_retired_roles *auth_retired_roles_new(struct auth *auth,
                                                                struct busi_fibers *fibers);
void auth_retired_roles_wake(struct auth_retired_roles *retired);
void auth_retired_roles_stop(struct auth_retired_roles *retired);
bool auth_retired_roles_stopped(const struct auth_retired_roles *retired);
void auth_retired_roles_free(struct auth_retired_roles **retired);

/* A role that is retired in Postgres already. When it is OK, every check from now on goes without the role.
 */
[[nodiscard]] enum busi_code auth_retired_role_note(struct auth *self, struct busi_call *call,
                                                    struct busi_str name, int64_t id);
/* Likewise all that are, for a Redis that may not have heard. */
[[nodiscard]] enum busi_code auth_retired_roles_note(struct auth *self, struct busi_call *call);
/* Takes from the roles of a session that was read those that are retired. */
[[nodiscard]] enum busi_code auth_retired_roles_strip(struct auth *self, struct busi_call *call,
                                                      struct auth_session *session);
