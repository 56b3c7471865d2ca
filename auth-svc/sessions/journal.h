/* Makes revocations stick. Each is written to auth.revocations before Redis is told and before it is
 * answered. A Redis that comes back from an old snapshot, or a replica that took over a second too early,
 * does not know the latest of them: so whenever a connection is made, all that this Redis may not have heard
 * of is told again before any token is judged by it.
 *
 * How much that is, Redis says itself: the key busi:journal holds the number of the last revocation up to
 * which all had been told, and goes back in time together with the sessions. auth_store_knows() says when
 * that is done. Loop thread only. */
#pragma once
#include "core/auth.h"

struct auth_journal;
/* Works on a fiber of its own. NULL: out of memory or fibers. */
[[nodiscard]] struct auth_journal *auth_journal_new(struct auth *auth, struct busi_fibers *fibers);
/* Tells at once what may not have been told, for a fiber of another part. False: not all of it. */
[[nodiscard]] bool auth_journal_tell(struct auth_journal *journal);
void auth_journal_stop(struct auth_journal *journal);
bool auth_journal_stopped(const struct auth_journal *journal);
void auth_journal_free(struct auth_journal **journal);
