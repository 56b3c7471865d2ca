#include "sessions/index.h"
#include "base/clock.h"
#include "base/embed.h"
#include "core/answers.h"
#include "core/session_store.h"

BUSI_EMBED(auth_session_add_script, "sessions/add.lua");
BUSI_EMBED(auth_session_move_script, "sessions/move.lua");

enum {
    SURPLUS_MOST = 1000,
    PART_BYTES = 1 << 20,
    LONGER_S = 86400, /* at most */
};

/* The braces make the user's id the part that Redis Cluster hashes: a script may use both keys. */
static struct busi_str ending_key(struct busi_call *call, int64_t user_id)
{
    return busi_arena_printf(&call->arena, "busi:u:{%lld}", (long long)user_id);
}

static struct busi_str endless_key(struct busi_call *call, int64_t user_id)
{
    return busi_arena_printf(&call->arena, "busi:n:{%lld}", (long long)user_id);
}

/* Longer than the session: Redis' clock may be set after it was stored and before it is named. */
static struct busi_str lifetime(struct busi_call *call, const struct auth_session *session)
{
    const int64_t left_s = session->expires_s - busi_wall_us() / 1000000;
    return busi_arena_int(&call->arena,
                          session->expires_s ? left_s + (left_s < LONGER_S ? left_s : LONGER_S) : 0);
}

enum busi_code auth_index_add(struct auth *self, struct busi_call *call, const struct auth_session *session,
                              struct busi_redis_reply *surplus)
{
    const struct busi_str argv[] = {ending_key(call, session->user_id),
                                    endless_key(call, session->user_id),
                                    session->id,
                                    busi_arena_int(&call->arena, session->created_s),
                                    busi_arena_int(&call->arena, session->expires_s),
                                    busi_arena_int(&call->arena, self->settings->sessions_most),
                                    busi_arena_int(&call->arena, SURPLUS_MOST),
                                    lifetime(call, session)};
    enum { WORDS = sizeof(argv) / sizeof(argv[0]) };
    for (int i = 0; i < WORDS; i++)
        if (!argv[i].ptr)
            return auth_no_memory(call);
    return auth_store_script(self, call, auth_session_add_script, 2, WORDS, argv, surplus);
}

enum busi_code auth_index_move(struct auth *self, struct busi_call *call, const struct auth_session *session)
{
    struct busi_redis_reply reply;
    const struct busi_str argv[] = {ending_key(call, session->user_id), session->id,
                                    busi_arena_int(&call->arena, session->expires_s),
                                    lifetime(call, session)};
    if (!argv[0].ptr || !argv[2].ptr || !argv[3].ptr)
        return auth_no_memory(call);
    return auth_store_script(self, call, auth_session_move_script, 1, 4, argv, &reply);
}

enum busi_code auth_index_remove(struct auth *self, struct busi_call *call, int64_t user_id,
                                 const struct busi_str *ids, size_t n)
{
    struct busi_str *words = busi_arena_array(&call->arena, 2 * (n + 2), sizeof(*words));
    const struct busi_str keys[] = {ending_key(call, user_id), endless_key(call, user_id)};
    struct busi_redis_command commands[2];
    if (!words || !keys[0].ptr || !keys[1].ptr)
        return auth_no_memory(call);
    for (size_t set = 0; set < 2; set++) {
        struct busi_str *argv = words + set * (n + 2);
        argv[0] = BUSI_STR("ZREM");
        argv[1] = keys[set];
        memcpy(argv + 2, ids, n * sizeof(*ids));
        commands[set] = (struct busi_redis_command){.argc = (int)n + 2, .argv = argv};
    }
    return auth_store_run_all(self, call, commands, 2);
}

enum busi_code auth_index_idle(struct auth *self, struct busi_call *call, const int64_t *user_ids, size_t n,
                               bool *idle)
{
    struct busi_redis_command commands[AUTH_LOADED_AT_ONCE];
    struct busi_str words[AUTH_LOADED_AT_ONCE][3];
    for (size_t i = 0; i < n; i++) {
        words[i][0] = BUSI_STR("EXISTS");
        words[i][1] = ending_key(call, user_ids[i]);
        words[i][2] = endless_key(call, user_ids[i]);
        if (!words[i][1].ptr || !words[i][2].ptr)
            return auth_no_memory(call);
        commands[i] = (struct busi_redis_command){.argc = 3, .argv = words[i]};
    }
    enum busi_code code = auth_store_run_all(self, call, commands, n);
    for (size_t i = 0; i < n && code == BUSI_OK; i++)
        idle[i] = commands[i].reply.type == BUSI_REDIS_INT && commands[i].reply.number == 0;
    return code;
}

enum busi_code auth_index_newest(struct auth *self, struct busi_call *call, int64_t user_id,
                                 struct busi_redis_reply newest[2])
{
    struct busi_str last = busi_arena_int(&call->arena, AUTH_NEWEST_MOST - 1);
    const struct busi_str ending[] = {BUSI_STR("ZRANGE"), ending_key(call, user_id), BUSI_STR("0"), last,
                                      BUSI_STR("REV")},
                          endless[] = {BUSI_STR("ZRANGE"), endless_key(call, user_id), BUSI_STR("0"), last,
                                       BUSI_STR("REV")};
    struct busi_redis_command commands[] = {{.argc = 5, .argv = ending}, {.argc = 5, .argv = endless}};
    if (!last.ptr || !ending[1].ptr || !endless[1].ptr)
        return auth_no_memory(call);
    enum busi_code code = auth_store_run_all(self, call, commands, 2);
    newest[0] = commands[0].reply;
    newest[1] = commands[1].reply;
    return code;
}

/* ---- through all ---- */

struct walk {
    char cursor[24]; /* of Redis; "" at the beginning of a set */
    bool endless;    /* in the second set */
    bool done;       /* nothing is left */
};

/* The next ones (perhaps none yet) at items 0, 2, 4 ... of ids, each with its score behind it. */
static enum busi_code walk_on(struct auth *self, struct busi_call *call, int64_t user_id, struct walk *walk,
                              struct busi_redis_reply *ids)
{
    struct busi_redis_reply reply;
    struct busi_str key = walk->endless ? endless_key(call, user_id) : ending_key(call, user_id),
                    from = walk->cursor[0] ? busi_str_of(walk->cursor) : BUSI_STR("0");
    *ids = (struct busi_redis_reply){0};
    if (!key.ptr)
        return auth_no_memory(call);
    enum busi_code code = AUTH_STORE_RUN(self, call, &reply, BUSI_STR("ZSCAN"), key, from);
    if (code != BUSI_OK)
        return code;
    if (reply.type != BUSI_REDIS_ARRAY || reply.n_items != 2 || reply.items[0].type != BUSI_REDIS_TEXT ||
        reply.items[0].text.len >= sizeof(walk->cursor) || reply.items[1].type != BUSI_REDIS_ARRAY)
        return auth_store_away(call);
    *ids = reply.items[1];
    memcpy(walk->cursor, reply.items[0].text.ptr, reply.items[0].text.len + 1);
    if (busi_str_eq(reply.items[0].text, BUSI_STR("0"))) { /* the end of this set */
        walk->cursor[0] = '\0';
        walk->done = walk->endless;
        walk->endless = true;
    }
    return BUSI_OK;
}

static enum busi_code visit_next(struct auth *self, struct busi_call *part, int64_t user_id,
                                 struct walk *walk,
                                 enum busi_code (*visit)(struct auth *self, struct busi_call *part,
                                                         const struct busi_str *ids, size_t n, void *state),
                                 void *state)
{
    struct busi_redis_reply found;
    struct busi_str ids[AUTH_LOADED_AT_ONCE];
    enum busi_code code = walk_on(self, part, user_id, walk, &found);
    for (size_t i = 0; i < found.n_items && code == BUSI_OK;) {
        size_t n = 0;
        for (; i < found.n_items && n < AUTH_LOADED_AT_ONCE; i += 2)
            ids[n++] = found.items[i].text;
        code = visit(self, part, ids, n, state);
    }
    return code;
}

enum busi_code auth_index_visit(struct auth *self, struct busi_call *call, int64_t user_id,
                                enum busi_code (*visit)(struct auth *self, struct busi_call *part,
                                                        const struct busi_str *ids, size_t n, void *state),
                                void *state)
{
    struct walk walk = {0};
    enum busi_code code = BUSI_OK;
    while (code == BUSI_OK && !walk.done) {
        struct busi_call part;
        busi_call_init(&part, PART_BYTES);
        part.until_ms = call->until_ms;
        code = visit_next(self, &part, user_id, &walk, visit, state);
        call->message = part.message;
        call->retry_after_ms = part.retry_after_ms;
        busi_call_fini(&part);
    }
    return code;
}
