/* The handlers that take a token or name a session. */
#include "audit/audit.h"
#include "core/answers.h"
#include "limits/limiter.h"
#include "sessions/index.h"
#include "sessions/sessions.h"
#include <stdlib.h>

static enum busi_code invalid(struct busi_call *call, enum auth_token_verdict verdict)
{
    if (verdict == AUTH_TOKEN_UNREAD)
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "no memory to read a token");
    return busi_call_fail(call, BUSI_UNAUTHENTICATED,
                          verdict == AUTH_TOKEN_EXPIRED ? "token_expired" : "invalid_token");
}

static enum auth_token_verdict read(struct auth *self, struct busi_call *call, struct busi_str text,
                                    enum auth_token_use use, struct auth_token *token)
{
    enum auth_token_verdict verdict = auth_token_read(self, &call->arena, text, token);
    return verdict == AUTH_TOKEN_GOOD && token->use != use ? AUTH_TOKEN_INVALID : verdict;
}

/* The session of a token of this kind; OK only if both are good. */
static enum busi_code admit(struct auth *self, struct busi_call *call, struct busi_str text,
                            enum auth_token_use use, struct auth_token *token, struct auth_session *session)
{
    enum auth_token_verdict verdict = read(self, call, text, use, token);
    return verdict == AUTH_TOKEN_GOOD ? auth_session_check(self, call, token, session)
                                      : invalid(call, verdict);
}

/* The same as often as it is allowed, which is asked in the same round trip. */
static enum busi_code admit_limited(struct auth *self, struct busi_call *call, struct busi_str text,
                                    struct auth_token *token, struct auth_session *session)
{
    struct busi_redis_command commands[1 + AUTH_SESSION_COMMANDS];
    const struct busi_str nobody = {0};
    enum auth_token_verdict verdict = read(self, call, text, AUTH_TOKEN_REFRESH, token);
    enum busi_code asked = verdict == AUTH_TOKEN_GOOD ? auth_session_ask(self, call, token, commands + 1)
                                                      : invalid(call, verdict);
    size_t n = asked == BUSI_OK ? 1 + AUTH_SESSION_COMMANDS : 1;
    enum busi_code code = auth_limit_with(self, call, AUTH_LIMIT_refresh_token, nobody, commands, n);
    if (code != BUSI_OK || asked != BUSI_OK)
        return code != BUSI_OK ? code : asked;
    return auth_session_judge(self, call, token, commands + 1, session);
}

enum busi_code auth_check_token(struct auth *self, struct busi_call *call,
                                const struct busi_check_token_request *in, struct busi_principal *out)
{
    struct auth_token token = {0};
    struct auth_session session = {0};
    enum busi_code code = admit(self, call, in->token, AUTH_TOKEN_ACCESS, &token, &session);
    if (code != BUSI_OK)
        return code;
    out->user_id = session.user_id;
    out->session_id = session.id;
    out->door = busi_str_of(session.door->name);
    out->expires_at = token.expires_s * 1000000;
    out->email = session.email;
    out->username = session.username;
    out->user_code = session.user_code;
    out->email_confirmed = session.confirmed;
    out->meta = session.meta;
    out->checked_at = busi_wall_us();
    out->data = session.data;
    out->roles = session.roles;
    return BUSI_OK;
}

/* Writes nothing: the refresh token stays as it is, earlier access tokens stay good for their time. Those of
 * doors with profiles are exchanged (auth.ExchangeToken): here they would make a token of the same id. */
enum busi_code auth_refresh_token(struct auth *self, struct busi_call *call,
                                  const struct busi_refresh_token_request *in, struct busi_session_reply *out)
{
    struct auth_token token = {0};
    struct auth_session session = {0};
    enum busi_code code = admit_limited(self, call, in->refresh_token, &token, &session);
    if (code == BUSI_OK && token.profile)
        code = invalid(call, AUTH_TOKEN_INVALID);
    return code == BUSI_OK ? auth_session_hand_out(self, call, &session, out) : code;
}

/* Whoever could have used the token may end its session, also when it has expired; a token that is not ours,
 * or not for access, ends nothing and is told the same. */
enum busi_code auth_sign_out(struct auth *self, struct busi_call *call,
                             const struct busi_check_token_request *in, struct busi_empty *out)
{
    struct auth_token token = {0};
    (void)out;
    enum auth_token_verdict verdict = auth_token_read(self, &call->arena, in->token, &token);
    if (verdict == AUTH_TOKEN_UNREAD)
        return invalid(call, verdict);
    if (verdict == AUTH_TOKEN_INVALID || token.use != AUTH_TOKEN_ACCESS)
        return BUSI_OK;
    return auth_session_revoke_by(self, call, &token);
}

/* ---- a user's sessions ---- */

static int newest_first(const void *a, const void *b)
{
    const struct auth_session *x = a, *y = b;
    return (x->created_s < y->created_s) - (x->created_s > y->created_s);
}

/* Those named that can be read, behind the *n there are already. One without an end that cannot is left over
 * from an opening that failed: it is ended now. */
static enum busi_code collect(struct auth *self, struct busi_call *call, int64_t user_id,
                              const struct busi_redis_reply *ids, bool endless, struct auth_session *sessions,
                              size_t *n)
{
    for (size_t from = 0, many; from < ids->n_items; from += many) {
        struct auth_session *some = sessions + *n;
        many = ids->n_items - from < AUTH_LOADED_AT_ONCE ? ids->n_items - from : AUTH_LOADED_AT_ONCE;
        for (size_t i = 0; i < many; i++)
            some[i] = (struct auth_session){.id = ids->items[from + i].text, .user_id = user_id};
        enum busi_code code = auth_session_load(self, call, some, many);
        for (size_t i = 0; i < many && code == BUSI_OK; i++)
            if (some[i].door && some[i].user_id == user_id)
                sessions[(*n)++] = some[i];
            else if (endless)
                code = auth_session_revoke(self, call, &some[i]);
        if (code != BUSI_OK)
            return code;
    }
    return BUSI_OK;
}

static struct busi_session_info describe(const struct auth_session *session)
{
    return (struct busi_session_info){.session_id = session->id,
                                      .door = busi_str_of(session->door->name),
                                      .created_at = session->created_s * 1000000,
                                      .expires_at = session->expires_s * 1000000,
                                      .remote_addr = session->remote_addr,
                                      .user_agent = session->user_agent};
}

/* The newest AUTH_NEWEST_MOST, which are all but for a program that signs in without end. */
enum busi_code auth_list_sessions(struct auth *self, struct busi_call *call,
                                  const struct busi_user_id_request *in, struct busi_list_sessions_reply *out)
{
    struct busi_redis_reply ids[2];
    size_t n = 0;
    enum busi_code code = auth_index_newest(self, call, in->user_id, ids);
    if (code != BUSI_OK)
        return code;
    struct auth_session *sessions =
        busi_arena_array(&call->arena, ids[0].n_items + ids[1].n_items, sizeof(*sessions));
    struct busi_session_info *items = busi_arena_array(&call->arena, AUTH_NEWEST_MOST, sizeof(*items));
    if (!sessions || !items)
        return auth_no_memory(call);
    for (int endless = 0; endless < 2 && code == BUSI_OK; endless++)
        code = collect(self, call, in->user_id, &ids[endless], endless, sessions, &n);
    qsort(sessions, n, sizeof(*sessions), newest_first);
    out->sessions.n = n < AUTH_NEWEST_MOST ? n : AUTH_NEWEST_MOST;
    out->sessions.items = items;
    for (size_t i = 0; i < out->sessions.n; i++)
        items[i] = describe(&sessions[i]);
    return code;
}

/* Count 0: this user has no such session. It may have ended a moment ago without a gateway knowing: whoever
 * tries again must not be answered before they do. */
enum busi_code auth_end_session(struct auth *self, struct busi_call *call,
                                const struct busi_session_id_request *in, struct busi_count_reply *out)
{
    struct auth_session session = {.id = in->session_id};
    enum busi_code code = auth_session_load(self, call, &session, 1);
    if (code == BUSI_OK && !session.door)
        return auth_session_forget(self, call, in->session_id);
    if (code != BUSI_OK || session.user_id != in->user_id)
        return code;
    out->count = 1;
    return auth_session_revoke_audited(
        self, call, &session,
        &(struct auth_deed){.event = AUTH_AUDIT_end_session, .door = busi_str_of(session.door->name)});
}

/* All of a user but the spared one (absent: none), in this epoch of the account (absent: any); or, with
 * patience at its end, in a later one if the spared one was spared so far. The new epoch keeps out those that
 * are being opened right now. NOT_FOUND: no such user, or in another epoch. */
static enum busi_code end_sessions(struct auth *self, struct busi_call *call, int64_t user_id,
                                   struct busi_str spared, struct busi_str epoch_so_far, bool patient,
                                   const struct auth_deed *deed, int64_t *ended)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, user_id), spared,
                                      auth_audit_row(self, call, deed), epoch_so_far,
                                      patient ? BUSI_STR("false") : BUSI_STR("true")};
    if (!params[0].ptr || !params[2].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_END_OTHER_SESSIONS, params, call->until_ms, &result);
    bool gone = result.rows == 0;
    int64_t epoch = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return auth_database_lost(call, "the database went away; the sessions may live");
    if (code == BUSI_OK && gone)
        return busi_call_fail(call, BUSI_NOT_FOUND, "no such user");
    return code == BUSI_OK ? auth_session_end_below(self, call, user_id, epoch, spared, ended) : code;
}

enum busi_code auth_end_sessions(struct auth *self, struct busi_call *call,
                                 const struct busi_user_id_request *in, struct busi_count_reply *out)
{
    const struct auth_deed deed = {.event = AUTH_AUDIT_end_sessions};
    const struct busi_str none = {0};
    return end_sessions(self, call, in->user_id, none, none, true, &deed, &out->count);
}

static enum busi_code end_others(struct auth *self, struct busi_call *call, struct busi_str text,
                                 bool patient, int64_t *ended)
{
    struct auth_token token = {0};
    struct auth_session session = {0};
    enum busi_code code = admit(self, call, text, AUTH_TOKEN_ACCESS, &token, &session);
    if (code != BUSI_OK)
        return code;
    struct busi_str epoch = busi_arena_int(&call->arena, session.epoch);
    if (!epoch.ptr)
        return auth_no_memory(call);
    const struct auth_deed deed = {.event = AUTH_AUDIT_end_sessions,
                                   .actor_id = session.user_id,
                                   .door = busi_str_of(session.door->name)};
    return end_sessions(self, call, session.user_id, session.id, epoch, patient, &deed, ended);
}

/* All but the one of this token. Of two sessions that end each other at once the first stays: the other finds
 * the account in a later epoch than its own, and itself ended when it looks again, however late. One that was
 * spared by somebody who died before it was in the new epoch never is in it, and is served all the same, at
 * last: the journal says that it was spared. */
enum busi_code auth_end_other_sessions(struct auth *self, struct busi_call *call,
                                       const struct busi_check_token_request *in,
                                       struct busi_count_reply *out)
{
    enum { TRIES = 20, PAUSE_MS = 50 };
    enum busi_code code = BUSI_NOT_FOUND;
    for (int i = 0; i <= TRIES && code == BUSI_NOT_FOUND; i++) {
        if (i > 0)
            busi_fiber_sleep(PAUSE_MS);
        code = end_others(self, call, in->token, i < TRIES, &out->count);
    }
    return code == BUSI_NOT_FOUND ? auth_unauthorized(call) : code;
}
