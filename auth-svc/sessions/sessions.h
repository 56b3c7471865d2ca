/* Sessions: one Redis key each, holding who and until when (record.h). A token is good only while its session
 * lives. Functions that take a call suspend its fiber; Redis being away is UNAVAILABLE, never a verdict on a
 * token. */
#pragma once
#include "core/account.h"
#include "core/auth.h"
#include "sessions/tokens.h"

struct auth_hook_answer;

struct auth_session {
    struct busi_str id;           /* random base64url: 22 characters, 11 where the tokens are opaque */
    struct busi_str token_id;     /* of the JWT that speaks for it; absent where the tokens are opaque */
    int64_t user_id;              /* whose */
    const struct auth_door *door; /* it was opened through */
    int64_t created_s, expires_s; /* seconds since 1970; expires 0: when somebody ends it */
    int64_t epoch;                /* the account's, then */
    /* the account as it was then; each but the e-mail may be absent */
    struct busi_str email, username, user_code, meta;
    bool confirmed;
    struct busi_str roles;  /* as of then, or as they were last given to it; may be absent */
    int64_t roles_version;  /* the account's for these */
    struct busi_str bond;   /* of a record: what binds it to its token (record.h) */
    bool bare;              /* of a record: of version 1, and without its token id nobody can write it */
    struct busi_str data;   /* a hook's: a JSON object kept with it, or absent */
    struct busi_str claims; /* a hook's: likewise, in its JWT and nowhere else */
    struct busi_str remote_addr, user_agent; /* who opened it; may be absent */
};

/* ---- sessions.c ---- */

/* A new session and its tokens. The account is looked at once more when the session stands, so that whoever
 * deletes or blocks it meanwhile misses no session: UNAUTHENTICATED then. Past BUSI_SESSIONS_MOST the oldest
 * ones of the account have ended when it returns. added is what hooks add, or NULL. Fills all of out. */
[[nodiscard]] enum busi_code auth_session_open(struct auth *self, struct busi_call *call,
                                               const struct auth_account *account,
                                               const struct auth_door *door,
                                               const struct auth_hook_answer *added,
                                               struct busi_session_reply *out);
/* The same for so many seconds at most; 0: as long as the door's. */
[[nodiscard]] enum busi_code auth_session_open_for(struct auth *self, struct busi_call *call,
                                                   const struct auth_account *account,
                                                   const struct auth_door *door,
                                                   const struct auth_hook_answer *added, int64_t lifetime_s,
                                                   struct busi_session_reply *out);
/* Whose it is: all of out but tokens and their times. */
void auth_session_say(const struct auth_session *session, struct busi_session_reply *out);
/* What the owner of a living session is told, with an access token that begins now. */
[[nodiscard]] enum busi_code auth_session_hand_out(struct auth *self, struct busi_call *call,
                                                   const struct auth_session *session,
                                                   struct busi_session_reply *out);
/* OK: the session the token speaks of lives, and is filled (in the call's arena). UNAUTHENTICATED: it does
 * not. UNAVAILABLE also while Redis has not been told yet of all that was revoked (journal.h). */
[[nodiscard]] enum busi_code auth_session_check(struct auth *self, struct busi_call *call,
                                                const struct auth_token *token, struct auth_session *session);
/* The same for who has something else to ask Redis in that round trip: what to run, then what it says.
 * UNAVAILABLE of the first: there is nothing to ask. */
enum { AUTH_SESSION_COMMANDS = 2 };
[[nodiscard]] enum busi_code auth_session_ask(struct auth *self, struct busi_call *call,
                                              const struct auth_token *token,
                                              struct busi_redis_command *commands);
[[nodiscard]] enum busi_code auth_session_judge(struct auth *self, struct busi_call *call,
                                                const struct auth_token *token,
                                                const struct busi_redis_command *commands,
                                                struct auth_session *session);
/* Sessions whose ids are given, at most AUTH_LOADED_AT_ONCE, in one round trip or, if some are not there,
 * two. door NULL: there is none that can be read. */
enum { AUTH_LOADED_AT_ONCE = BUSI_REDIS_COMMANDS_MOST };
[[nodiscard]] enum busi_code auth_session_load(struct auth *self, struct busi_call *call,
                                               struct auth_session *sessions, size_t n);
/* The same of these ids; *sessions has one for each of them, in the call's arena. */
[[nodiscard]] enum busi_code auth_session_load_named(struct auth *self, struct busi_call *call,
                                                     const struct busi_str *ids, size_t n,
                                                     struct auth_session **sessions);

/* A session's record is changed in place, by compare-and-set: of two that change it each builds on what the
 * other did. session->id is given; change gets what stands there, and says whether there is something to
 * change; what it puts into *session lives until this returns. It may be asked again. A new expires_s is the
 * key's, too. *session is what stands there at last; door NULL: nothing that can be read. */
[[nodiscard]] enum busi_code
auth_session_rewrite(struct auth *self, struct busi_call *call, struct auth_session *session,
                     bool (*change)(struct auth_session *session, const void *arg), const void *arg);

/* ---- roles.c ---- */

/* What is in Postgres by now is true of every session of the user when it returns OK: no replica and no
 * gateway goes by other roles. May be asked again after a failure. */
[[nodiscard]] enum busi_code auth_session_update_roles(struct auth *self, struct busi_call *call,
                                                       int64_t user_id);
/* The same where the address of this account has been confirmed, which has taken the role unconfirmed from
 * it; it is as it was until then. */
[[nodiscard]] enum busi_code auth_session_welcome(struct auth *self, struct busi_call *call,
                                                  const struct auth_account *account);
/* These roles, for those who answer nobody: gateways are told, and not waited for. */
[[nodiscard]] enum busi_code auth_session_tell_roles(struct auth *self, struct busi_call *call,
                                                     int64_t user_id, struct busi_str roles, int64_t version);
/* One session that was read, to roles of this version if its own are older. */
[[nodiscard]] enum busi_code auth_session_raise_roles(struct auth *self, struct busi_call *call,
                                                      struct auth_session *session, struct busi_str roles,
                                                      int64_t version);

/* ---- account.c ---- */

/* What Postgres says of the account (its names, its data, whether its address is confirmed) is what every
 * check of its sessions tells when it returns OK. May be asked again after a failure. */
[[nodiscard]] enum busi_code auth_session_update_account(struct auth *self, struct busi_call *call,
                                                         int64_t user_id);

/* ---- end.c ---- */

/* Ends a session for good: in the journal, then in Redis. OK also when it had ended before. Of the session
 * the id counts, the user (0: unknown) and, if known, the expiry. */
[[nodiscard]] enum busi_code auth_session_revoke(struct auth *self, struct busi_call *call,
                                                 const struct auth_session *session);
/* The same, kept in the audit log. */
struct auth_deed;
[[nodiscard]] enum busi_code auth_session_revoke_audited(struct auth *self, struct busi_call *call,
                                                         const struct auth_session *session,
                                                         const struct auth_deed *deed);
/* The session of a token that was read, good or expired, of any kind. */
[[nodiscard]] enum busi_code auth_session_revoke_by(struct auth *self, struct busi_call *call,
                                                    const struct auth_token *token);
/* Those that are too many beside one just opened: texts, as auth_index_add() finds them. */
[[nodiscard]] enum busi_code auth_session_end_surplus(struct auth *self, struct busi_call *call,
                                                      int64_t user_id,
                                                      const struct busi_redis_reply *surplus);

/* ---- in Redis alone, for those who have written the journal ---- */

#define AUTH_EPOCH_ANY INT64_MAX
/* Every session of a user that was opened in an epoch before this one, but the spared (absent: none); one
 * whose record cannot be read is ended. May be asked again after a failure. When it returns OK no gateway
 * accepts any of them. *ended (may be NULL) counts. */
[[nodiscard]] enum busi_code auth_session_end_below(struct auth *self, struct busi_call *call,
                                                    int64_t user_id, int64_t epoch, struct busi_str spared,
                                                    int64_t *ended);
/* AUTH_EPOCH_ANY. */
[[nodiscard]] enum busi_code auth_session_end_all(struct auth *self, struct busi_call *call, int64_t user_id,
                                                  struct busi_str spared);
/* Of a session that is gone already: when it returns OK no gateway accepts it. */
[[nodiscard]] enum busi_code auth_session_forget(struct auth *self, struct busi_call *call,
                                                 struct busi_str session_id);
/* As auth_session_end_below(), and one session, for those who answer nobody: gateways are told, and not
 * waited for. */
[[nodiscard]] enum busi_code auth_session_tell(struct auth *self, struct busi_call *call,
                                               struct busi_str session_id, int64_t user_id);
[[nodiscard]] enum busi_code auth_session_tell_below(struct auth *self, struct busi_call *call,
                                                     int64_t user_id, int64_t epoch, struct busi_str spared);
