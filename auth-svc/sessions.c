#include "sessions.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "journal.h"
#include "tokens.h"

enum { SESSION_ID_BYTES = 16, RETRY_AFTER_MS = 1000, END_AT_ONCE = 100 };

/* ---- Redis ---- */

/* What went wrong below never says anything about a token: clients must keep it and try again. */
static enum busi_code away(struct busi_call *call)
{
    call->retry_after_ms = RETRY_AFTER_MS;
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the session store is away");
}

static enum busi_code run(struct auth *self, struct busi_call *call, int argc, const struct busi_str *argv,
                          struct busi_redis_reply *reply)
{
    enum busi_code code = busi_redis_run(self->redis, &call->arena, argc, argv, call->until_ms, reply);
    return code == BUSI_OK ? BUSI_OK : away(call);
}

#define RUN(self, call, reply, ...)                                                                          \
    run((self), (call), sizeof((const struct busi_str[]){__VA_ARGS__}) / sizeof(struct busi_str),            \
        (const struct busi_str[]){__VA_ARGS__}, (reply))

/* The braces make the id the part that Redis Cluster hashes: all keys of one session would share a slot. */
static struct busi_str session_key(struct busi_call *call, struct busi_str id)
{
    return busi_arena_printf(&call->arena, "busi:s:{%.*s}", BUSI_ARG(id));
}

/* A sorted set of a user's session ids by expiry. It may name sessions that are gone, never miss one. */
static struct busi_str index_key(struct busi_call *call, int64_t user_id)
{
    return busi_arena_printf(&call->arena, "busi:u:{%lld}", (long long)user_id);
}

static enum busi_code no_memory(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_INTERNAL, "the call's memory is used up");
}

/* ---- opening ---- */

/* Named before it exists, so that whoever ends all sessions of the user finds it. The index lives as long as
 * the last session it names: NX sets a first expiry, GT only ever extends it. */
static enum busi_code enter_index(struct auth *self, struct busi_call *call,
                                  const struct auth_session *session)
{
    struct busi_redis_reply reply;
    struct busi_str key = index_key(call, session->user_id),
                    expires = busi_arena_int(&call->arena, session->expires_s),
                    now = busi_arena_int(&call->arena, session->created_s);
    if (!key.ptr || !expires.ptr || !now.ptr)
        return no_memory(call);
    enum busi_code code = RUN(self, call, &reply, BUSI_STR("ZADD"), key, expires, session->id);
    if (code == BUSI_OK)
        code = RUN(self, call, &reply, BUSI_STR("ZREMRANGEBYSCORE"), key, BUSI_STR("-inf"), now);
    if (code == BUSI_OK)
        code = RUN(self, call, &reply, BUSI_STR("EXPIREAT"), key, expires, BUSI_STR("NX"));
    if (code == BUSI_OK)
        code = RUN(self, call, &reply, BUSI_STR("EXPIREAT"), key, expires, BUSI_STR("GT"));
    return code;
}

static enum busi_code store(struct auth *self, struct busi_call *call, const struct auth_session *session)
{
    char record[AUTH_RECORD_MOST_BYTES];
    struct busi_redis_reply reply;
    size_t len = auth_session_record(record, session, self->token_hash_key);
    struct busi_str key = session_key(call, session->id),
                    expires = busi_arena_int(&call->arena, session->expires_s);
    if (!key.ptr || !expires.ptr)
        return no_memory(call);
    return RUN(self, call, &reply, BUSI_STR("SET"), key, (struct busi_str){record, len}, BUSI_STR("EXAT"),
               expires);
}

static enum busi_code still_welcome(struct auth *self, struct busi_call *call, int64_t user_id)
{
    struct busi_pg_result result;
    struct busi_str id = busi_arena_int(&call->arena, user_id);
    if (!id.ptr)
        return no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_USER_WELCOME, &id, call->until_ms, &result);
    bool welcome = result.rows == 1;
    busi_pg_clear(&result);
    if (code == BUSI_OK && !welcome)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED, "unauthorized");
    return code;
}

static bool make(struct busi_call *call, struct auth_session *session)
{
    char *token_id = busi_arena_alloc(&call->arena, 37);
    session->id = busi_random_text(&call->arena, SESSION_ID_BYTES);
    if (!token_id || !session->id.ptr)
        return false;
    busi_uuid4(token_id);
    session->token_id = (struct busi_str){token_id, 36};
    session->created_s = busi_wall_us() / 1000000;
    session->expires_s = session->created_s + session->door->lifetime_s;
    return true;
}

enum busi_code auth_session_open(struct auth *self, struct busi_call *call, int64_t user_id,
                                 const struct auth_door *door, struct busi_session_reply *out)
{
    struct auth_session session = {.user_id = user_id, .door = door};
    struct busi_str token = {0};
    if (make(call, &session))
        token = auth_token_make(&call->arena, &session);
    if (!token.ptr)
        return no_memory(call);
    enum busi_code code = enter_index(self, call, &session);
    if (code == BUSI_OK)
        code = store(self, call, &session);
    if (code != BUSI_OK)
        return code; /* nobody has the token of what may have been stored; it expires */
    code = still_welcome(self, call, user_id);
    if (code != BUSI_OK) {
        if (auth_session_end(self, call, session.id, user_id) != BUSI_OK)
            busi_log(BUSI_WARN, "session_left_behind", BUSI_I("user_id", user_id));
        return code;
    }
    out->user_id = user_id;
    out->session_id = session.id;
    out->access_token = token;
    out->expires_at = session.expires_s * 1000000;
    return BUSI_OK;
}

/* ---- checking ---- */

enum busi_code auth_session_check(struct auth *self, struct busi_call *call,
                                  const struct auth_session *session)
{
    char record[AUTH_RECORD_MOST_BYTES];
    struct busi_redis_reply reply;
    struct busi_str key = session_key(call, session->id);
    if (!key.ptr)
        return no_memory(call);
    if (!auth_journal_applied(self->journal))
        return away(call);
    enum busi_code code = RUN(self, call, &reply, BUSI_STR("GET"), key);
    if (code != BUSI_OK)
        return code;
    if (!auth_journal_applied(self->journal)) /* another Redis has answered */
        return away(call);
    size_t len = auth_session_record(record, session, self->token_hash_key);
    bool lives = reply.type == BUSI_REDIS_TEXT && reply.text.len == len &&
                 busi_same_bytes(reply.text.ptr, record, len);
    return lives ? BUSI_OK : busi_call_fail(call, BUSI_UNAUTHENTICATED, "invalid_token");
}

/* ---- ending ---- */

enum busi_code auth_session_revoke(struct auth *self, struct busi_call *call,
                                   const struct auth_session *session)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, session->user_id), session->id,
                                      busi_arena_int(&call->arena, session->expires_s)};
    if (!params[0].ptr || !params[2].ptr)
        return no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_REVOKE, params, call->until_ms, &result);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return busi_call_fail(call, BUSI_UNAVAILABLE, "the database went away; the session may live");
    return code == BUSI_OK ? auth_session_end(self, call, session->id, session->user_id) : code;
}

enum busi_code auth_session_end(struct auth *self, struct busi_call *call, struct busi_str session_id,
                                int64_t user_id)
{
    struct busi_redis_reply reply;
    struct busi_str key = session_key(call, session_id), index = index_key(call, user_id);
    if (!key.ptr || !index.ptr)
        return no_memory(call);
    /* In this order: a session that was not ended stays in the index. */
    enum busi_code code = RUN(self, call, &reply, BUSI_STR("DEL"), key);
    if (code == BUSI_OK)
        code = RUN(self, call, &reply, BUSI_STR("ZREM"), index, session_id);
    return code;
}

enum busi_code auth_session_end_all(struct auth *self, struct busi_call *call, int64_t user_id)
{
    struct busi_redis_reply reply;
    struct busi_str index = index_key(call, user_id), last = busi_arena_int(&call->arena, END_AT_ONCE - 1);
    if (!index.ptr || !last.ptr)
        return no_memory(call);
    for (;;) {
        enum busi_code code = RUN(self, call, &reply, BUSI_STR("ZRANGE"), index, BUSI_STR("0"), last);
        if (code != BUSI_OK || reply.type != BUSI_REDIS_ARRAY || reply.n_items == 0)
            return code;
        for (size_t i = 0; i < reply.n_items; i++) {
            code = auth_session_end(self, call, reply.items[i].text, user_id);
            if (code != BUSI_OK)
                return code;
        }
    }
}
