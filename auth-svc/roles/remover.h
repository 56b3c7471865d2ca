/* Takes roles that are retired (retired_roles.h) from all accounts that have them, some at a time, on a fiber
 * of its own; then their names are free again. Each replica has one; they may all do it at once. Loop thread
 * only. */
#pragma once
#include "core/auth.h"

struct auth_role_remover;
/* Both are borrowed. NULL: out of memory or fibers. */
[[nodiscard]] struct auth_role_remover *auth_role_remover_new(struct auth *auth, struct busi_fibers *fibers);
/* A role was retired just now. */
void auth_role_remover_wake(struct auth_role_remover *remover);
/* Asks it to end; stopped says when it has. Only then it may be freed. */
void auth_role_remover_stop(struct auth_role_remover *remover);
bool auth_role_remover_stopped(const struct auth_role_remover *remover);
void auth_role_remover_free(struct auth_role_remover **remover);
