#include "audit/audit.h"
#include "core/answers.h"
#include "core/session_store.h"
#include "hooks/hooks.h"
#include "sessions/feed.h"
#include "sessions/index.h"
#include "sessions/sessions.h"

enum {
    JOURNAL_DAYS = 366, /* a Redis as old as that must not come back: docs/sessions.md */
    ENDED_AT_ONCE = AUTH_LOADED_AT_ONCE,
};

static int64_t now_s(void)
{
    return busi_wall_us() / 1000000;
}

/* Of keys that are not there it is asked twice: a name with a flipped bit is not there either, and nothing
 * but TCP guards the link. */
static enum busi_code delete_keys(struct auth *self, struct busi_call *call, const struct busi_str *ids,
                                  size_t n)
{
    struct busi_redis_command commands[ENDED_AT_ONCE];
    struct busi_str words[ENDED_AT_ONCE][2];
    for (size_t i = 0; i < n; i++) {
        words[i][0] = BUSI_STR("DEL");
        words[i][1] = auth_session_key(call, ids[i]);
        if (!words[i][1].ptr)
            return auth_no_memory(call);
    }
    enum busi_code code = BUSI_OK;
    for (int tries = 0; tries < 2 && n > 0 && code == BUSI_OK; tries++) {
        size_t absent = 0;
        for (size_t i = 0; i < n; i++)
            commands[i] = (struct busi_redis_command){.argc = 2, .argv = words[i]};
        code = auth_store_run_all(self, call, commands, n);
        for (size_t i = 0; i < n; i++)
            if (commands[i].reply.number == 0)
                words[absent++][1] = words[i][1];
        n = absent;
    }
    return code;
}

/* In this order: whoever tries again finds what was not done in the index, and the gateways are told when
 * nothing can be read any more. At most ENDED_AT_ONCE. */
static enum busi_code end_these(struct auth *self, struct busi_call *call, const struct busi_str *ids,
                                size_t n, int64_t user_id, struct auth_told *told)
{
    if (n == 0)
        return BUSI_OK;
    enum busi_code code = delete_keys(self, call, ids, n);
    if (code == BUSI_OK)
        code = auth_feed_tell(self, call, ids, n, told);
    return code == BUSI_OK ? auth_index_remove(self, call, user_id, ids, n) : code;
}

enum busi_code auth_session_forget(struct auth *self, struct busi_call *call, struct busi_str session_id)
{
    struct auth_told told = {.arena = &call->arena};
    enum busi_code code = auth_feed_tell(self, call, &session_id, 1, &told);
    return code == BUSI_OK ? auth_feed_settle(self, call, &told) : code;
}

enum busi_code auth_session_tell(struct auth *self, struct busi_call *call, struct busi_str session_id,
                                 int64_t user_id)
{
    return end_these(self, call, &session_id, 1, user_id, NULL);
}

/* Of the session in any copy of Redis: one with JWTs may be renewed while it is ended. */
static int64_t last_moment(const struct auth_session *session)
{
    if (session->door && session->door->format == AUTH_TOKENS_JWT)
        return now_s() + session->door->longest_s;
    return session->expires_s ? session->expires_s : now_s() + JOURNAL_DAYS * 86400LL;
}

/* row: for the audit log, or absent. */
static enum busi_code revoke(struct auth *self, struct busi_call *call, const struct auth_session *session,
                             struct busi_str listeners, struct busi_str row)
{
    struct busi_pg_result result;
    int64_t until_s = last_moment(session);
    struct busi_str params[] = {busi_arena_int(&call->arena, session->user_id), session->id,
                                busi_arena_int(&call->arena, until_s), listeners, row};
    if (!params[0].ptr || !params[2].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_REVOKE, params, call->until_ms, &result);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return busi_call_fail(call, BUSI_UNAVAILABLE, "the database went away; the session may live");
    struct auth_told told = {.arena = &call->arena};
    if (code == BUSI_OK)
        code = end_these(self, call, &session->id, 1, session->user_id, &told);
    return code == BUSI_OK ? auth_feed_settle(self, call, &told) : code;
}

enum busi_code auth_session_revoke(struct auth *self, struct busi_call *call,
                                   const struct auth_session *session)
{
    return revoke(self, call, session, (struct busi_str){0}, (struct busi_str){0});
}

enum busi_code auth_session_revoke_audited(struct auth *self, struct busi_call *call,
                                           const struct auth_session *session, const struct auth_deed *deed)
{
    struct busi_str row = auth_audit_row(self, call, deed);
    return row.ptr ? revoke(self, call, session, (struct busi_str){0}, row) : auth_no_memory(call);
}

/* The record says whose it is and until when, which a token later than this one may have moved. Without one
 * the journal is told all the same: this Redis may be one that has lost what another still holds. */
enum busi_code auth_session_revoke_by(struct auth *self, struct busi_call *call,
                                      const struct auth_token *token)
{
    struct auth_session session = {.id = token->session_id, .user_id = token->user_id};
    enum busi_code code = auth_session_load(self, call, &session, 1);
    if (code != BUSI_OK)
        return code;
    if (session.door && !auth_token_may_end(token, &session))
        return BUSI_OK; /* another session's name by now */
    const struct auth_door *door = token->door ? token->door : session.door;
    session.door = door;
    const struct auth_deed deed = {.event = AUTH_AUDIT_sign_out,
                                   .actor_id = session.user_id,
                                   .door = busi_str_of(door ? door->name : NULL)};
    struct busi_str told = {0}, row = auth_audit_row(self, call, &deed);
    if (!row.ptr ||
        (door && !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_sign_out, deed.door, &told)))
        return auth_no_memory(call);
    code = revoke(self, call, &session, told, row);
    auth_hooks_wake(self->hooks);
    return code;
}

/* ---- too many ---- */

/* As an array of Postgres; ids have no character that means something there. */
static struct busi_str list_of(struct busi_arena *arena, const struct busi_redis_reply *ids)
{
    struct busi_str none = {0};
    size_t room = 2, len = 0;
    for (size_t i = 0; i < ids->n_items; i++)
        room += ids->items[i].text.len + 1;
    char *text = busi_arena_alloc(arena, room);
    if (!text)
        return none;
    text[len++] = '{';
    for (size_t i = 0; i < ids->n_items; i++) {
        if (i > 0)
            text[len++] = ',';
        memcpy(text + len, ids->items[i].text.ptr, ids->items[i].text.len);
        len += ids->items[i].text.len;
    }
    text[len++] = '}';
    return (struct busi_str){text, len};
}

static enum busi_code journal_surplus(struct auth *self, struct busi_call *call, int64_t user_id,
                                      const struct busi_redis_reply *ids)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, user_id), list_of(&call->arena, ids),
                                      busi_arena_int(&call->arena, now_s() + JOURNAL_DAYS * 86400LL)};
    if (!params[0].ptr || !params[1].ptr || !params[2].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_REVOKE_SURPLUS, params, call->until_ms, &result);
    busi_pg_clear(&result);
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; sessions may live")
                                : code;
}

enum busi_code auth_session_end_surplus(struct auth *self, struct busi_call *call, int64_t user_id,
                                        const struct busi_redis_reply *surplus)
{
    struct auth_told told = {.arena = &call->arena};
    struct busi_str ids[ENDED_AT_ONCE];
    if (surplus->n_items == 0)
        return BUSI_OK;
    enum busi_code code = journal_surplus(self, call, user_id, surplus);
    for (size_t i = 0, n; i < surplus->n_items && code == BUSI_OK; i += n) {
        for (n = 0; n < ENDED_AT_ONCE && i + n < surplus->n_items; n++)
            ids[n] = surplus->items[i + n].text;
        code = end_these(self, call, ids, n, user_id, &told);
    }
    return code == BUSI_OK ? auth_feed_settle(self, call, &told) : code;
}

/* ---- ending many ---- */

/* Which of a user's sessions are to end. */
struct ending {
    int64_t user_id;
    int64_t epoch;          /* those opened in an earlier one */
    struct busi_str spared; /* not this one; may be absent */
    struct auth_told *told; /* NULL: nobody waits */
    int64_t ended;          /* so far */
};

static enum busi_code end_some(struct auth *self, struct busi_call *part, const struct busi_str *some,
                               size_t n, void *state)
{
    struct ending *ending = state;
    struct busi_str ids[ENDED_AT_ONCE];
    size_t n_ids = 0;
    struct auth_session *sessions = NULL; /* of any epoch: nobody looks */
    enum busi_code code = BUSI_OK;
    if (ending->epoch != AUTH_EPOCH_ANY)
        code = auth_session_load_named(self, part, some, n, &sessions);
    for (size_t i = 0; i < n && code == BUSI_OK; i++)
        if (!busi_str_eq(some[i], ending->spared) &&
            (!sessions || !sessions[i].door || sessions[i].epoch < ending->epoch))
            ids[n_ids++] = some[i];
    if (code == BUSI_OK)
        code = end_these(self, part, ids, n_ids, ending->user_id, ending->told);
    if (code == BUSI_OK)
        ending->ended += (int64_t)n_ids;
    return code;
}

enum busi_code auth_session_tell_below(struct auth *self, struct busi_call *call, int64_t user_id,
                                       int64_t epoch, struct busi_str spared)
{
    return auth_index_visit(self, call, user_id, end_some,
                            &(struct ending){.user_id = user_id, .epoch = epoch, .spared = spared});
}

static bool raise_epoch(struct auth_session *session, const void *arg)
{
    const int64_t *epoch = arg;
    if (session->epoch >= *epoch)
        return false;
    session->epoch = *epoch;
    return true;
}

/* The spared one goes on in the account's new epoch, as if it had begun in it. */
static enum busi_code take_along(struct auth *self, struct busi_call *call, const struct ending *ending)
{
    struct auth_session stands = {.id = ending->spared};
    if (!ending->spared.ptr || ending->epoch == AUTH_EPOCH_ANY)
        return BUSI_OK;
    return auth_session_rewrite(self, call, &stands, raise_epoch, &ending->epoch);
}

enum busi_code auth_session_end_below(struct auth *self, struct busi_call *call, int64_t user_id,
                                      int64_t epoch, struct busi_str spared, int64_t *ended)
{
    struct auth_told told = {.arena = &call->arena};
    struct ending ending = {.user_id = user_id, .epoch = epoch, .spared = spared, .told = &told};
    enum busi_code code = take_along(self, call, &ending);
    if (code == BUSI_OK)
        code = auth_index_visit(self, call, user_id, end_some, &ending);
    if (ended)
        *ended = ending.ended;
    return code == BUSI_OK ? auth_feed_settle(self, call, &told) : code;
}

enum busi_code auth_session_end_all(struct auth *self, struct busi_call *call, int64_t user_id,
                                    struct busi_str spared)
{
    return auth_session_end_below(self, call, user_id, AUTH_EPOCH_ANY, spared, NULL);
}
