#include "sessions.h"
#include "answers.h"
#include "base/log.h"
#include "feed.h"
#include "hooks.h"
#include "record.h"
#include "session_index.h"
#include "session_store.h"

enum {
    NAMES_TRIED = 3,   /* a locator is taken already once in 2^64 */
    STANDS_BY_S = 60,  /* what was stored and not completed is gone then */
    JOURNAL_DAYS = 90, /* a Redis as old as that must not come back: docs/sessions.md */
    PART_BYTES = 1 << 20,
    ENDED_AT_ONCE = AUTH_LOADED_AT_ONCE,
};

/* The braces make the id the part that Redis Cluster hashes. */
static struct busi_str session_key(struct busi_call *call, struct busi_str id)
{
    return busi_arena_printf(&call->arena, "busi:s:{%.*s}", BUSI_ARG(id));
}

static int64_t now_s(void)
{
    return busi_wall_us() / 1000000;
}

/* ---- opening ---- */

/* One without an end is stored for a moment only, until it is complete: should we fail in between, nothing
 * is left behind. *stored is false when there is one of this name. */
static enum busi_code store(struct auth *self, struct busi_call *call, const struct auth_session *session,
                            bool *stored)
{
    struct busi_redis_reply reply;
    int64_t until_s = session->expires_s ? session->expires_s : session->created_s + STANDS_BY_S;
    struct busi_str key = session_key(call, session->id), until = busi_arena_int(&call->arena, until_s),
                    record = auth_record_write(&call->arena, session, self->token_hash_key);
    if (!key.ptr || !until.ptr || !record.ptr)
        return auth_no_memory(call);
    enum busi_code code = AUTH_STORE_RUN(self, call, &reply, BUSI_STR("SET"), key, record, BUSI_STR("NX"),
                                         BUSI_STR("EXAT"), until);
    *stored = reply.type == BUSI_REDIS_TEXT;
    return code;
}

static enum busi_code store_new(struct auth *self, struct busi_call *call, struct auth_session *session)
{
    bool stored = false;
    for (int i = 0; i < NAMES_TRIED; i++) {
        if (!auth_token_name(&call->arena, session))
            return auth_no_memory(call);
        enum busi_code code = store(self, call, session, &stored);
        if (code != BUSI_OK || stored)
            return code;
    }
    return busi_call_fail(call, BUSI_INTERNAL, "every name of a session is taken");
}

static enum busi_code end_surplus(struct auth *self, struct busi_call *call,
                                  const struct auth_session *session, const struct busi_redis_reply *surplus)
{
    enum busi_code code = BUSI_OK;
    for (size_t i = 0; i < surplus->n_items && code == BUSI_OK; i++)
        code = auth_session_revoke(
            self, call, &(struct auth_session){.id = surplus->items[i].text, .user_id = session->user_id});
    return code;
}

static enum busi_code still_welcome(struct auth *self, struct busi_call *call,
                                    const struct auth_account *account)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, account->id),
                                      busi_arena_int(&call->arena, account->epoch)};
    if (!params[0].ptr || !params[1].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_USER_WELCOME, params, call->until_ms, &result);
    bool welcome = result.rows == 1;
    busi_pg_clear(&result);
    if (code == BUSI_OK && !welcome)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED, "unauthorized");
    return code;
}

/* Whoever ends all sessions of the account writes so to Postgres first, then walks through the index: either
 * it finds this one there, or this one sees what was written. */
static enum busi_code complete(struct auth *self, struct busi_call *call, const struct auth_account *account,
                               const struct auth_session *session)
{
    struct busi_redis_reply reply;
    enum busi_code code = auth_index_add(self, call, session, &reply);
    if (code == BUSI_OK)
        code = end_surplus(self, call, session, &reply);
    if (code == BUSI_OK)
        code = still_welcome(self, call, account);
    if (code != BUSI_OK || session->expires_s)
        return code;
    struct busi_str key = session_key(call, session->id);
    return key.ptr ? AUTH_STORE_RUN(self, call, &reply, BUSI_STR("PERSIST"), key) : auth_no_memory(call);
}

enum busi_code auth_session_hand_out(struct auth *self, struct busi_call *call,
                                     const struct auth_session *session, struct busi_session_reply *out)
{
    int64_t expires_s;
    bool refreshes = session->door->format == AUTH_TOKENS_OPAQUE;
    out->access_token = auth_token_access(self, &call->arena, session, now_s(), &expires_s);
    if (refreshes)
        out->refresh_token = auth_token_refresh(self, &call->arena, session);
    if (!out->access_token.ptr || (refreshes && !out->refresh_token.ptr))
        return auth_no_memory(call);
    out->user_id = session->user_id;
    out->session_id = session->id;
    out->email = session->email;
    out->username = session->username;
    out->user_code = session->user_code;
    out->expires_at = expires_s * 1000000;
    out->access_lifetime = session->door->access_s;
    out->refresh_lifetime = refreshes ? session->door->session_s : 0;
    return BUSI_OK;
}

enum busi_code auth_session_open(struct auth *self, struct busi_call *call,
                                 const struct auth_account *account, const struct auth_door *door,
                                 const struct auth_hook_answer *added, struct busi_session_reply *out)
{
    struct auth_session session = {.user_id = account->id,
                                   .door = door,
                                   .created_s = now_s(),
                                   .epoch = account->epoch,
                                   .email = account->email,
                                   .username = account->username,
                                   .user_code = account->code,
                                   .meta = account->meta,
                                   .confirmed = account->confirmed,
                                   .claims = added ? added->claims : (struct busi_str){0},
                                   .data = added ? added->data : (struct busi_str){0},
                                   .remote_addr = call->origin.remote_addr,
                                   .user_agent = call->origin.user_agent};
    session.expires_s = door->session_s ? session.created_s + door->session_s : 0;
    enum busi_code code = store_new(self, call, &session);
    if (code != BUSI_OK)
        return code; /* nobody has a token of what may have been stored; it expires */
    code = complete(self, call, account, &session);
    if (code == BUSI_OK)
        return auth_session_hand_out(self, call, &session, out);
    struct busi_str why = call->message;
    if (auth_session_tell(self, call, session.id, account->id) != BUSI_OK)
        busi_log(BUSI_WARN, "session_left_behind", BUSI_I("user_id", account->id));
    call->message = why;
    return code;
}

/* ---- checking ---- */

enum busi_code auth_session_load(struct auth *self, struct busi_call *call, struct auth_session *sessions,
                                 size_t n)
{
    struct busi_redis_command commands[AUTH_LOADED_AT_ONCE];
    struct busi_str(*words)[2] = busi_arena_array(&call->arena, n, sizeof(*words));
    if (!words)
        return auth_no_memory(call);
    for (size_t i = 0; i < n; i++) {
        words[i][0] = BUSI_STR("GET");
        words[i][1] = session_key(call, sessions[i].id);
        if (!words[i][1].ptr)
            return auth_no_memory(call);
        commands[i] = (struct busi_redis_command){.argc = 2, .argv = words[i]};
    }
    enum busi_code code = auth_store_run_all(self, call, commands, n);
    for (size_t i = 0; i < n && code == BUSI_OK; i++)
        if (commands[i].reply.type != BUSI_REDIS_TEXT ||
            !auth_record_read(self, commands[i].reply.text, &sessions[i]))
            sessions[i].door = NULL;
    return code;
}

/* UNAUTHENTICATED: there is none that can be read. */
static enum busi_code load(struct auth *self, struct busi_call *call, struct auth_session *session)
{
    enum busi_code code = auth_session_load(self, call, session, 1);
    if (code == BUSI_OK && !session->door)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED, "invalid_token");
    return code;
}

enum busi_code auth_session_check(struct auth *self, struct busi_call *call, const struct auth_token *token,
                                  struct auth_session *session)
{
    *session = (struct auth_session){.id = token->session_id, .token_id = token->id};
    if (!auth_store_knows(self))
        return auth_store_away(call);
    enum busi_code code = load(self, call, session);
    if (!auth_store_knows(self)) /* another Redis has answered */
        return auth_store_away(call);
    if (code != BUSI_OK)
        return code;
    return auth_token_of(token, session) ? BUSI_OK
                                         : busi_call_fail(call, BUSI_UNAUTHENTICATED, "invalid_token");
}

/* ---- ending ---- */

static enum busi_code delete_keys(struct auth *self, struct busi_call *call, const struct busi_str *ids,
                                  size_t n)
{
    struct busi_redis_command commands[ENDED_AT_ONCE];
    struct busi_str words[ENDED_AT_ONCE][2];
    for (size_t i = 0; i < n; i++) {
        words[i][0] = BUSI_STR("DEL");
        words[i][1] = session_key(call, ids[i]);
        if (!words[i][1].ptr)
            return auth_no_memory(call);
        commands[i] = (struct busi_redis_command){.argc = 2, .argv = words[i]};
    }
    return auth_store_run_all(self, call, commands, n);
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

static enum busi_code revoke(struct auth *self, struct busi_call *call, const struct auth_session *session,
                             struct busi_str listeners)
{
    struct busi_pg_result result;
    int64_t until_s = session->expires_s ? session->expires_s : now_s() + JOURNAL_DAYS * 86400LL;
    struct busi_str params[] = {busi_arena_int(&call->arena, session->user_id), session->id,
                                busi_arena_int(&call->arena, until_s), listeners};
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
    return revoke(self, call, session, (struct busi_str){0});
}

/* The record says whose it is. Without one the journal is told all the same: this Redis may be one that has
 * lost what another still holds. */
enum busi_code auth_session_revoke_by(struct auth *self, struct busi_call *call,
                                      const struct auth_token *token)
{
    struct auth_session session = {.id = token->session_id,
                                   .token_id = token->id,
                                   .user_id = token->user_id,
                                   .expires_s = token->expires_s};
    if (!token->door) {
        session.expires_s = 0;
        enum busi_code code = load(self, call, &session);
        if (code == BUSI_OK && !auth_token_of(token, &session))
            return BUSI_OK; /* another session's name by now */
        if (code != BUSI_OK && code != BUSI_UNAUTHENTICATED)
            return code;
    }
    const struct auth_door *door = token->door ? token->door : session.door;
    struct busi_str told = {0};
    if (door &&
        !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_sign_out, busi_str_of(door->name), &told))
        return auth_no_memory(call);
    enum busi_code code = revoke(self, call, &session, told);
    auth_hooks_wake(self->hooks);
    return code;
}

/* ---- ending many ---- */

/* Which of a user's sessions are to end. */
struct ending {
    int64_t user_id;
    int64_t epoch;          /* those opened in an earlier one */
    struct busi_str spared; /* not this one; may be absent */
    int64_t ended;          /* so far */
};

/* Of those named, some[0..n), the ids of those that are to end. */
static enum busi_code choose(struct auth *self, struct busi_call *call, const struct ending *ending,
                             struct auth_session *some, size_t n, struct busi_str *ids, size_t *n_ids)
{
    enum busi_code code = BUSI_OK;
    *n_ids = 0;
    if (ending->epoch != AUTH_EPOCH_ANY)
        code = auth_session_load(self, call, some, n);
    for (size_t i = 0; i < n && code == BUSI_OK; i++)
        if (!busi_str_eq(some[i].id, ending->spared) && (!some[i].door || some[i].epoch < ending->epoch))
            ids[(*n_ids)++] = some[i].id;
    return code;
}

/* The next ones of a walk. */
static enum busi_code end_some(struct auth *self, struct busi_call *call, struct ending *ending,
                               struct auth_index_walk *walk, struct auth_told *told)
{
    struct busi_redis_reply found;
    struct busi_str ids[ENDED_AT_ONCE];
    struct auth_session *some = busi_arena_array(&call->arena, ENDED_AT_ONCE, sizeof(*some));
    if (!some)
        return auth_no_memory(call);
    enum busi_code code = auth_index_next(self, call, ending->user_id, walk, &found);
    for (size_t i = 0; i < found.n_items && code == BUSI_OK;) {
        size_t n = 0, n_ids;
        for (; i < found.n_items && n < ENDED_AT_ONCE; i += 2)
            some[n++] = (struct auth_session){.id = found.items[i].text};
        code = choose(self, call, ending, some, n, ids, &n_ids);
        if (code == BUSI_OK)
            code = end_these(self, call, ids, n_ids, ending->user_id, told);
        if (code == BUSI_OK)
            ending->ended += (int64_t)n_ids;
    }
    return code;
}

/* What is read of some is forgotten before the next: there may be many. */
static enum busi_code end_all(struct auth *self, struct busi_call *call, struct ending *ending,
                              struct auth_told *told)
{
    struct auth_index_walk walk = {0};
    enum busi_code code = BUSI_OK;
    while (code == BUSI_OK && !walk.done) {
        struct busi_call part;
        busi_call_init(&part, PART_BYTES);
        part.until_ms = call->until_ms;
        code = end_some(self, &part, ending, &walk, told);
        call->message = part.message;
        call->retry_after_ms = part.retry_after_ms;
        busi_call_fini(&part);
    }
    return code;
}

enum busi_code auth_session_tell_below(struct auth *self, struct busi_call *call, int64_t user_id,
                                       int64_t epoch, struct busi_str spared)
{
    return end_all(self, call, &(struct ending){.user_id = user_id, .epoch = epoch, .spared = spared}, NULL);
}

enum busi_code auth_session_end_below(struct auth *self, struct busi_call *call, int64_t user_id,
                                      int64_t epoch, struct busi_str spared, int64_t *ended)
{
    struct ending ending = {.user_id = user_id, .epoch = epoch, .spared = spared};
    struct auth_told told = {.arena = &call->arena};
    enum busi_code code = end_all(self, call, &ending, &told);
    if (ended)
        *ended = ending.ended;
    return code == BUSI_OK ? auth_feed_settle(self, call, &told) : code;
}

enum busi_code auth_session_end_all(struct auth *self, struct busi_call *call, int64_t user_id,
                                    struct busi_str spared)
{
    return auth_session_end_below(self, call, user_id, AUTH_EPOCH_ANY, spared, NULL);
}
