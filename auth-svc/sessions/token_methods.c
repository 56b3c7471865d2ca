/* The handlers that give further tokens: auth.RenewToken, auth.ExchangeToken, auth.IssueToken. */
#include "audit/audit.h"
#include "base/log.h"
#include "core/account.h"
#include "core/answers.h"
#include "core/json_object.h"
#include "core/session_store.h"
#include "hooks/hooks.h"
#include "sessions/index.h"
#include "sessions/record.h"
#include "sessions/sessions.h"

static enum busi_code wrong_type(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_UNAUTHENTICATED, "incorrect_token_type");
}

static enum busi_code gone(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_UNAUTHENTICATED, "invalid_token");
}

/* What was asked for, if it is less than the most (0: there is none). */
static enum busi_code life(struct busi_call *call, int64_t asked_ms, int64_t most_s, int64_t *lifetime_s)
{
    if (asked_ms < 0)
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the lifetime is negative");
    int64_t asked_s = asked_ms / 1000 + (asked_ms % 1000 != 0);
    *lifetime_s = asked_s > 0 && (asked_s < most_s || most_s == 0) ? asked_s : most_s;
    return BUSI_OK;
}

/* ---- a further token of a session ---- */

/* One that is to be. */
struct further {
    struct busi_str key;                           /* of hashes */
    struct auth_account account;                   /* as it is now */
    struct auth_token used, next;                  /* the one that asks, the new one */
    bool kept;                                     /* the one that asks stays good */
    bool dropped;                                  /* what gateways remember of the session is true no more */
    char bonds[AUTH_BONDS_MOST * AUTH_BOND_BYTES]; /* of the session then */
};

static bool change(struct auth_session *session, const void *arg)
{
    struct further *further = *(struct further *const *)arg;
    further->dropped = auth_record_bind(session, further->key, further->used.id, further->kept,
                                        further->next.id, further->bonds);
    if (session->roles_version < further->account.roles_version) {
        session->roles = further->account.roles;
        session->roles_version = further->account.roles_version;
        further->dropped = true;
    }
    if (session->expires_s < further->next.expires_s)
        session->expires_s = further->next.expires_s;
    return true;
}

/* The index first: whoever ends all sessions of the account must find it there as long as it may live. One
 * that ends meanwhile stays ended, for then there is nothing to rewrite. */
static enum busi_code extend(struct auth *self, struct busi_call *call, struct further *further,
                             struct auth_session *session)
{
    struct auth_session later = *session;
    enum busi_code code = BUSI_OK;
    if (session->expires_s < further->next.expires_s) {
        later.expires_s = further->next.expires_s;
        code = auth_index_move(self, call, &later);
    }
    if (code == BUSI_OK)
        code = auth_session_rewrite(self, call, session, change, &(struct further *const){further});
    if (code == BUSI_OK && !auth_store_knows(self))
        return auth_store_away(call);
    if (code == BUSI_OK && !session->door)
        return gone(call);
    return code == BUSI_OK && further->dropped ? auth_session_forget(self, call, session->id) : code;
}

static enum busi_code hand_out(struct busi_call *call, const struct auth_session *session,
                               const struct further *further, struct busi_session_reply *out)
{
    const struct auth_token *next = &further->next;
    int64_t until_s = next->expires_s - session->door->jwt.pattern.late_s;
    out->access_token = auth_token_sign(&call->arena, session, next);
    if (!out->access_token.ptr)
        return auth_no_memory(call);
    auth_session_say(session, out);
    out->expires_at = until_s * 1000000;
    out->access_lifetime = until_s - next->created_s;
    return BUSI_OK;
}

/* Of a session that was opened for less than its door's sessions live: then it ends, whoever asks for more.
 */
static int64_t not_after(const struct auth_session *session, int64_t expires_s)
{
    bool shortened = session->expires_s - session->created_s < session->door->session_s;
    return shortened && expires_s > session->expires_s ? session->expires_s : expires_s;
}

/* Claims that others added are the next token's, too. The beginning is no earlier than the session's,
 * whatever the clock of whoever opened it. */
static enum busi_code give(struct auth *self, struct busi_call *call, struct busi_str text,
                           struct further *further, struct auth_session *session, int64_t lifetime_s,
                           struct busi_session_reply *out)
{
    const int64_t now_s = busi_wall_us() / 1000000;
    struct auth_token *next = &further->next;
    enum busi_code code = auth_account_find_by_id(self, call, session->user_id, &further->account);
    if (code != BUSI_OK)
        return code;
    if (further->account.id == 0 || further->account.blocked)
        return gone(call);
    next->id = auth_token_new_id(&call->arena, session->door);
    if (!next->id.ptr)
        return auth_no_memory(call);
    next->created_s = now_s > session->created_s ? now_s : session->created_s;
    next->expires_s = not_after(session, next->created_s + lifetime_s + session->door->jwt.pattern.late_s);
    further->key = self->token_hash_key;
    code = extend(self, call, further, session);
    if (code != BUSI_OK)
        return code;
    session->claims = busi_jwt_more(&call->arena, text);
    if (session->roles_version == further->account.roles_version)
        session->roles = further->account.roles; /* without those being taken away (retired_roles.h) */
    return hand_out(call, session, further, out);
}

/* OK: it is good, and has a profile. */
static enum busi_code admit(struct auth *self, struct busi_call *call, struct busi_str text,
                            struct auth_token *token, struct auth_session *session)
{
    enum auth_token_verdict verdict = auth_token_read(self, &call->arena, text, token);
    if (verdict == AUTH_TOKEN_UNREAD)
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "no memory to read a token");
    if (verdict != AUTH_TOKEN_GOOD)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED,
                              verdict == AUTH_TOKEN_EXPIRED ? "token_expired" : "invalid_token");
    return token->profile ? auth_session_check(self, call, token, session) : wrong_type(call);
}

enum busi_code auth_renew_token(struct auth *self, struct busi_call *call,
                                const struct busi_renew_token_request *in, struct busi_session_reply *out)
{
    struct further further = {0};
    struct auth_session session = {0};
    int64_t lifetime_s;
    enum busi_code code = admit(self, call, in->token, &further.used, &session);
    if (code != BUSI_OK)
        return code;
    further.next.profile = further.used.profile;
    further.kept = further.used.profile->renewal == AUTH_RENEWAL_KEEPS;
    code = life(call, in->lifetime_ms, further.used.profile->lifetime_s, &lifetime_s);
    return code == BUSI_OK ? give(self, call, in->token, &further, &session, lifetime_s, out) : code;
}

/* Whether a comma separated list has this name. */
static bool lists(struct busi_str list, struct busi_str name)
{
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        struct busi_str one = {list.ptr, comma ? (size_t)(comma - list.ptr) : list.len};
        if (busi_str_eq(one, name))
            return true;
        list.ptr += one.len + (comma != NULL);
        list.len -= one.len + (comma != NULL);
    }
    return false;
}

/* The one that asks stays good. */
enum busi_code auth_exchange_token(struct auth *self, struct busi_call *call,
                                   const struct busi_exchange_token_request *in,
                                   struct busi_session_reply *out)
{
    struct further further = {.kept = true};
    struct auth_session session = {0};
    const struct auth_profile *to = auth_profile_find(self->profiles, in->to);
    if (!to)
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "there is no such profile");
    enum busi_code code = admit(self, call, in->token, &further.used, &session);
    if (code != BUSI_OK)
        return code;
    if (!lists(in->from, busi_str_of(further.used.profile->name)) || to->door != session.door)
        return wrong_type(call);
    further.next.profile = to;
    return give(self, call, in->token, &further, &session, to->lifetime_s, out);
}

/* ---- a session for somebody ---- */

/* A session that was given away is in the audit log, or has not begun. */
static enum busi_code audited_or_ended(struct auth *self, struct busi_call *call,
                                       const struct busi_session_reply *session, struct busi_str door)
{
    const struct auth_session begun = {.id = session->session_id, .user_id = session->user_id};
    enum busi_code code = auth_audit(
        self, call,
        &(struct auth_deed){.event = AUTH_AUDIT_issue_token, .user_id = session->user_id, .door = door});
    if (code != BUSI_OK && auth_session_revoke(self, call, &begun) != BUSI_OK)
        busi_log(BUSI_WARN, "session_left_behind", BUSI_I("user_id", session->user_id));
    return code;
}

enum busi_code auth_issue_token(struct auth *self, struct busi_call *call,
                                const struct busi_issue_token_request *in, struct busi_session_reply *out)
{
    struct auth_account account;
    int64_t lifetime_s;
    const struct auth_hook_answer added = {.claims = in->claims};
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    if (in->claims.ptr && (door->format != AUTH_TOKENS_JWT || !auth_json_object_valid(in->claims)))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT,
                              "the claims are no object, or have no token to be in");
    enum busi_code code =
        life(call, in->lifetime_ms, door->format == AUTH_TOKENS_JWT ? door->access_s : door->session_s,
             &lifetime_s);
    if (code == BUSI_OK)
        code = auth_need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_account_find_by_id(self, call, in->user_id, &account);
    if (code != BUSI_OK)
        return code;
    if (account.id == 0)
        return busi_call_fail(call, BUSI_NOT_FOUND, "there is no such user");
    if (account.blocked)
        return busi_call_fail(call, BUSI_PERMISSION_DENIED, "the account is blocked");
    code = auth_session_open_for(self, call, &account, door, &added, lifetime_s, out);
    if (code == BUSI_OK)
        code = audited_or_ended(self, call, out, in->door);
    if (code == BUSI_OK)
        busi_log(BUSI_INFO, "token_issued", BUSI_I("user_id", account.id), BUSI_C("door", door->name),
                 BUSI_S("request_id", call->request_id));
    return code;
}
