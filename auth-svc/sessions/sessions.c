#include "sessions/sessions.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/answers.h"
#include "core/session_store.h"
#include "hooks/hooks.h"
#include "sessions/index.h"
#include "sessions/record.h"
#include "sessions/retired_roles.h"

enum {
    NAMES_TRIED = 3,  /* a locator is taken already once in 2^64 */
    STANDS_BY_S = 60, /* what was stored and not completed is gone then */
};

static int64_t now_s(void)
{
    return busi_wall_us() / 1000000;
}

/* ---- opening ---- */

/* One without an end is stored for a moment only, until it is complete: should we fail in between, nothing
 * is left behind. How long, not until when: Redis' clock may be another. *stored is false when there is one
 * of this name. */
static enum busi_code store(struct auth *self, struct busi_call *call, const struct auth_session *session,
                            bool *stored)
{
    struct busi_redis_reply reply;
    int64_t life_s = session->expires_s ? session->expires_s - session->created_s : STANDS_BY_S;
    struct busi_str key = auth_session_key(call, session->id), life = busi_arena_int(&call->arena, life_s),
                    record = auth_record_write(&call->arena, session, self->token_hash_key);
    if (!key.ptr || !life.ptr || !record.ptr)
        return auth_no_memory(call);
    enum busi_code code = AUTH_STORE_RUN(self, call, &reply, BUSI_STR("SET"), key, record, BUSI_STR("NX"),
                                         BUSI_STR("EX"), life);
    *stored = reply.type == BUSI_REDIS_TEXT;
    return code == BUSI_OK ? auth_store_text(call, &reply) : code;
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

/* Roles that were given or taken since the account was read are the session's, too. */
static enum busi_code still_welcome(struct auth *self, struct busi_call *call,
                                    const struct auth_account *account, struct auth_session *session)
{
    enum { ROLES, ROLES_VERSION };
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, account->id),
                                      busi_arena_int(&call->arena, account->epoch)};
    if (!params[0].ptr || !params[1].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_USER_WELCOME, params, call->until_ms, &result);
    bool welcome = result.rows == 1;
    int64_t version = busi_pg_int(&result, 0, ROLES_VERSION);
    struct busi_str roles = busi_arena_dup(&call->arena, busi_pg_value(&result, 0, ROLES));
    busi_pg_clear(&result);
    if (code == BUSI_OK && !welcome)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED, "unauthorized");
    if (code == BUSI_OK && !roles.ptr)
        return auth_no_memory(call);
    return code == BUSI_OK ? auth_session_raise_roles(self, call, session, roles, version) : code;
}

/* Its record is gone. Whoever ends a session writes so to Postgres first; where nothing is written, Redis has
 * dropped it, as when its clock is set on by more than STANDS_BY_S. OK: it was ended, which its owner will
 * find; UNAVAILABLE: it never was. */
static enum busi_code ended_or_dropped(struct auth *self, struct busi_call *call,
                                       const struct auth_account *account, struct auth_session *session)
{
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(self->pg, AUTH_FIND_REVOCATION, &session->id, call->until_ms, &result);
    bool ended = result.rows > 0;
    busi_pg_clear(&result);
    if (code != BUSI_OK || ended)
        return code;
    code = still_welcome(self, call, account, session);
    if (code != BUSI_OK)
        return code;
    busi_metric_add(BUSI_METRIC_sessions_dropped, 1);
    busi_log(BUSI_ERR, "session_dropped", BUSI_I("user_id", session->user_id),
             BUSI_S("request_id", call->request_id));
    return auth_store_away(call);
}

static enum busi_code keep(struct auth *self, struct busi_call *call, const struct auth_account *account,
                           struct auth_session *session)
{
    struct busi_redis_reply reply;
    struct busi_str key = auth_session_key(call, session->id);
    if (!key.ptr)
        return auth_no_memory(call);
    enum busi_code code = AUTH_STORE_RUN(self, call, &reply, BUSI_STR("PERSIST"), key);
    if (code != BUSI_OK || (reply.type == BUSI_REDIS_INT && reply.number == 1))
        return code;
    return ended_or_dropped(self, call, account, session);
}

/* Whoever ends all sessions of the account, or changes its roles, writes so to Postgres first, then walks
 * through the index: either it finds this one there, or this one sees what was written. generation: of the
 * Redis it is stored in, which must hold all of it. */
static enum busi_code complete(struct auth *self, struct busi_call *call, const struct auth_account *account,
                               struct auth_session *session, uint64_t generation)
{
    struct busi_redis_reply reply;
    enum busi_code code = auth_index_add(self, call, session, &reply);
    if (code == BUSI_OK)
        code = auth_session_end_surplus(self, call, session->user_id, &reply);
    if (code == BUSI_OK)
        code = still_welcome(self, call, account, session);
    if (code == BUSI_OK && !session->expires_s)
        code = keep(self, call, account, session);
    if (code == BUSI_OK && (!auth_store_knows(self) || generation != busi_redis_generation(self->redis)))
        return auth_store_away(call);
    return code;
}

void auth_session_say(const struct auth_session *session, struct busi_session_reply *out)
{
    out->user_id = session->user_id;
    out->session_id = session->id;
    out->email = session->email;
    out->username = session->username;
    out->user_code = session->user_code;
    out->roles = session->roles;
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
    auth_session_say(session, out);
    out->expires_at = expires_s * 1000000;
    out->access_lifetime = refreshes ? session->door->access_s : expires_s - session->created_s;
    out->refresh_lifetime = refreshes ? session->door->session_s : 0;
    return BUSI_OK;
}

/* Seconds since 1970; 0: never. */
static int64_t end_of(const struct auth_session *session, int64_t lifetime_s)
{
    int64_t most_s = session->door->session_s, asked_s = lifetime_s + session->door->jwt.pattern.late_s;
    if (lifetime_s > 0 && (most_s == 0 || asked_s < most_s))
        most_s = asked_s;
    return most_s ? session->created_s + most_s : 0;
}

enum busi_code auth_session_open_for(struct auth *self, struct busi_call *call,
                                     const struct auth_account *account, const struct auth_door *door,
                                     const struct auth_hook_answer *added, int64_t lifetime_s,
                                     struct busi_session_reply *out)
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
                                   .roles = account->roles,
                                   .roles_version = account->roles_version,
                                   .claims = added ? added->claims : (struct busi_str){0},
                                   .data = added ? added->data : (struct busi_str){0},
                                   .remote_addr = call->origin.remote_addr,
                                   .user_agent = call->origin.user_agent};
    session.expires_s = end_of(&session, lifetime_s);
    const uint64_t generation = busi_redis_generation(self->redis);
    enum busi_code code = store_new(self, call, &session);
    if (code != BUSI_OK)
        return code; /* nobody has a token of what may have been stored; it expires */
    code = complete(self, call, account, &session, generation);
    if (code == BUSI_OK)
        return auth_session_hand_out(self, call, &session, out);
    struct busi_str why = call->message;
    if (auth_session_tell(self, call, session.id, account->id) != BUSI_OK)
        busi_log(BUSI_WARN, "session_left_behind", BUSI_I("user_id", account->id));
    call->message = why;
    return code;
}

enum busi_code auth_session_open(struct auth *self, struct busi_call *call,
                                 const struct auth_account *account, const struct auth_door *door,
                                 const struct auth_hook_answer *added, struct busi_session_reply *out)
{
    return auth_session_open_for(self, call, account, door, added, 0, out);
}

/* ---- checking ---- */

/* Those without a door yet; how many of them could not be read. */
static enum busi_code load_missing(struct auth *self, struct busi_call *call, struct auth_session *sessions,
                                   size_t n, size_t *missing)
{
    struct busi_redis_command commands[AUTH_LOADED_AT_ONCE];
    struct auth_session *asked[AUTH_LOADED_AT_ONCE];
    struct busi_str(*words)[2] = busi_arena_array(&call->arena, n, sizeof(*words));
    size_t many = 0;
    if (!words)
        return auth_no_memory(call);
    for (size_t i = 0; i < n; i++) {
        if (sessions[i].door)
            continue;
        words[many][0] = BUSI_STR("GET");
        words[many][1] = auth_session_key(call, sessions[i].id);
        if (!words[many][1].ptr)
            return auth_no_memory(call);
        commands[many] = (struct busi_redis_command){.argc = 2, .argv = words[many]};
        asked[many++] = &sessions[i];
    }
    enum busi_code code = auth_store_run_all(self, call, commands, many);
    for (size_t i = 0; i < many && code == BUSI_OK; i++)
        code = auth_store_text(call, &commands[i].reply);
    *missing = 0;
    for (size_t i = 0; i < many && code == BUSI_OK; i++)
        if (commands[i].reply.type != BUSI_REDIS_TEXT ||
            !auth_record_read_living(self, commands[i].reply.text, asked[i]))
            ++*missing;
    return code;
}

/* What is not there, or no record, is asked for twice: nothing but TCP guards the link, and a flipped bit
 * should end nobody's session. */
enum busi_code auth_session_load(struct auth *self, struct busi_call *call, struct auth_session *sessions,
                                 size_t n)
{
    size_t missing = n;
    enum busi_code code = BUSI_OK;
    for (size_t i = 0; i < n; i++)
        sessions[i].door = NULL;
    for (int tries = 0; tries < 2 && missing > 0 && code == BUSI_OK; tries++)
        code = load_missing(self, call, sessions, n, &missing);
    return code;
}

enum busi_code auth_session_load_named(struct auth *self, struct busi_call *call, const struct busi_str *ids,
                                       size_t n, struct auth_session **sessions)
{
    *sessions = busi_arena_array(&call->arena, n, sizeof(**sessions));
    if (!*sessions)
        return auth_no_memory(call);
    for (size_t i = 0; i < n; i++)
        (*sessions)[i] = (struct auth_session){.id = ids[i]};
    return auth_session_load(self, call, *sessions, n);
}

/* The count of roles that are retired stands before the record (retired_roles.h says why). */
enum { RETIRED, RECORD, COMMANDS };
_Static_assert((int)COMMANDS == (int)AUTH_SESSION_COMMANDS, "sessions.h counts them");

enum busi_code auth_session_ask(struct auth *self, struct busi_call *call, const struct auth_token *token,
                                struct busi_redis_command *commands)
{
    struct busi_str *words = busi_arena_array(&call->arena, 4, sizeof(*words));
    if (!auth_store_knows(self))
        return auth_store_away(call);
    if (!words)
        return auth_no_memory(call);
    auth_retired_roles_count(words);
    words[2] = BUSI_STR("GET");
    words[3] = auth_session_key(call, token->session_id);
    commands[RETIRED] = (struct busi_redis_command){.argc = 2, .argv = words};
    commands[RECORD] = (struct busi_redis_command){.argc = 2, .argv = words + 2};
    return words[3].ptr ? BUSI_OK : auth_no_memory(call);
}

static bool were_answered(const struct busi_redis_command *commands)
{
    return commands[RETIRED].code == BUSI_OK && commands[RETIRED].reply.type == BUSI_REDIS_INT &&
           commands[RECORD].code == BUSI_OK;
}

/* As it is at a second look, in which nobody has counted the roles before it. UNAUTHENTICATED: it is not. */
static enum busi_code look_again(struct auth *self, struct busi_call *call, struct auth_session *session)
{
    size_t missing = 1;
    session->door = NULL;
    enum busi_code code = load_missing(self, call, session, 1, &missing);
    if (code == BUSI_OK && missing > 0)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED, "invalid_token");
    return code == BUSI_OK ? auth_retired_roles_strip(self, call, session) : code;
}

enum busi_code auth_session_judge(struct auth *self, struct busi_call *call, const struct auth_token *token,
                                  const struct busi_redis_command *commands, struct auth_session *session)
{
    const struct busi_redis_reply *record = &commands[RECORD].reply;
    *session = (struct auth_session){.id = token->session_id, .token_id = token->id};
    enum busi_code code = were_answered(commands) ? auth_store_text(call, record) : auth_store_away(call);
    if (code != BUSI_OK)
        return code;
    if (record->type != BUSI_REDIS_TEXT || !auth_record_read_living(self, record->text, session))
        code = look_again(self, call, session);
    else if (commands[RETIRED].reply.number > 0)
        code = auth_retired_roles_strip(self, call, session);
    if (!auth_store_knows(self)) /* another Redis has answered */
        return auth_store_away(call);
    if (code != BUSI_OK)
        return code;
    return auth_token_of(token, session) ? BUSI_OK
                                         : busi_call_fail(call, BUSI_UNAUTHENTICATED, "invalid_token");
}

enum busi_code auth_session_check(struct auth *self, struct busi_call *call, const struct auth_token *token,
                                  struct auth_session *session)
{
    struct busi_redis_command commands[AUTH_SESSION_COMMANDS];
    enum busi_code code = auth_session_ask(self, call, token, commands);
    if (code == BUSI_OK)
        code = auth_store_run_all(self, call, commands, AUTH_SESSION_COMMANDS);
    return code == BUSI_OK ? auth_session_judge(self, call, token, commands, session) : code;
}
