/* A session as Redis holds it, with nothing in it that opens the session:
 *
 *     version 2 | flags | user id | created | expires | epoch (8 bytes each, big-endian)
 *     | door | e-mail | user name | code | address | user agent (1 byte of length each)
 *     | meta | data of a hook (4 bytes of length each)
 *     | with the flag ROLES only: version of the roles (4 bytes) | roles (2 bytes of length)
 *     | bond (1 byte of length) | tag (16 bytes)
 *
 * The bond is, for doors whose tokens have ids, a keyed hash of the id of each token that is good, 16 bytes,
 * of the one that was renewed last the last; the tag is a keyed hash of the session id and all before it. A
 * value with a flipped bit, or of another session, is no record. One with roles is none to a release of
 * before there were any. Version 1, which ends 28 days after the last replica that wrote it, is read:
 *
 *     version 1 | user id | created | expires | door | tag (32 bytes, of session id, token id and all before)
 *
 * Pure but for the clock where it says so. */
#pragma once
#include "sessions/sessions.h"

/* ptr NULL: out of memory. Of the session it takes what is at the places above, of the user agent the
 * beginning; the bond is session->bond or, without one, the token id's. A record of version 1 that was read
 * without its token id must not be written. */
[[nodiscard]] struct busi_str auth_record_write(struct busi_arena *arena, const struct auth_session *session,
                                                struct busi_str token_hash_key);
/* session->id is given, and fills the rest; its texts point into the record. With a token_id the record must
 * be bound to it; without, a record of version 1 is taken at its word. False: no record of this session. */
[[nodiscard]] bool auth_record_read(const struct auth *self, struct busi_str record,
                                    struct auth_session *session);
/* The same; but one whose session has ended by our clock is none either: Redis drops it by a clock of its
 * own. */
[[nodiscard]] bool auth_record_read_living(const struct auth *self, struct busi_str record,
                                           struct auth_session *session);
/* A token with the new id joins those the session is good for, and the one with the used id leaves or, if
 * kept, is the last to be given up of those before it. room holds session->bond then. Whether one of those
 * before is good no more; of sessions whose tokens have no ids, nothing changes. */
enum { AUTH_BONDS_MOST = 8, AUTH_BOND_BYTES = 16 };
bool auth_record_bind(struct auth_session *session, struct busi_str token_hash_key, struct busi_str used,
                      bool kept, struct busi_str added, char room[AUTH_BONDS_MOST * AUTH_BOND_BYTES]);
