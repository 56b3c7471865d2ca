/* Sessions: one Redis key each, holding who and until when, bound to its token by a keyed hash. A token is
 * good only while its session lives. Functions that take a call suspend its fiber; Redis being away is
 * UNAVAILABLE, never a verdict on a token. */
#pragma once
#include "auth.h"

struct auth_session {
    struct busi_str id;           /* 22 characters, random; claim sid and the Redis key */
    struct busi_str token_id;     /* of the token that speaks for it now; claim jti */
    int64_t user_id;              /* whose */
    const struct auth_door *door; /* it was opened through */
    int64_t created_s, expires_s; /* seconds since 1970 */
};

/* A new session and its token. The account is looked at once more when the session stands, so that whoever
 * deletes or blocks it meanwhile misses no session: UNAUTHENTICATED then. Fills out but for the names. */
[[nodiscard]] enum busi_code auth_session_open(struct auth *self, struct busi_call *call, int64_t user_id,
                                               const struct auth_door *door, struct busi_session_reply *out);
/* OK: this very session lives. UNAUTHENTICATED: it does not. UNAVAILABLE also while Redis has not been told
 * yet of all that was revoked (journal.h). */
[[nodiscard]] enum busi_code auth_session_check(struct auth *self, struct busi_call *call,
                                                const struct auth_session *session);
/* Ends a session for good: in the journal, then in Redis. OK also when it had ended before. */
[[nodiscard]] enum busi_code auth_session_revoke(struct auth *self, struct busi_call *call,
                                                 const struct auth_session *session);
/* In Redis alone; OK also when there was none. */
[[nodiscard]] enum busi_code auth_session_end(struct auth *self, struct busi_call *call,
                                              struct busi_str session_id, int64_t user_id);
/* Every session of a user, in Redis alone; may be asked again after a failure. */
[[nodiscard]] enum busi_code auth_session_end_all(struct auth *self, struct busi_call *call, int64_t user_id);

/* The session as stored, which holds nothing that opens it:
 *     version 1 | user id | created | expires (8 bytes each, big-endian) | length of door | door | tag (32
 * bytes) The tag is a keyed hash of session id, token id and all before it: a value with a flipped bit, of
 * another session or for an older token is no longer equal to what its token says it must be. */
enum { AUTH_RECORD_MOST_BYTES = 128 };
size_t auth_session_record(char out[AUTH_RECORD_MOST_BYTES], const struct auth_session *session,
                           struct busi_str token_hash_key);
