#include "base/clock.h"
#include "base/embed.h"
#include "core/answers.h"
#include "core/session_store.h"
#include "sessions/record.h"
#include "sessions/sessions.h"

BUSI_EMBED(auth_session_rewrite_script, "sessions/rewrite.lua");

enum { ATTEMPTS = 8 }; /* so many others are never as quick */

/* lifetime_s: from now on; 0: as before. *put is false when another record stands there by now. */
static enum busi_code put(struct auth *self, struct busi_call *call, struct busi_str key,
                          struct busi_str before, const struct auth_session *session, int64_t lifetime_s,
                          bool *put)
{
    struct busi_redis_reply reply;
    const struct busi_str argv[] = {key, before,
                                    auth_record_write(&call->arena, session, self->token_hash_key),
                                    busi_arena_int(&call->arena, lifetime_s)};
    *put = false;
    if (!argv[2].ptr || !argv[3].ptr)
        return auth_no_memory(call);
    enum busi_code code = auth_store_script(self, call, auth_session_rewrite_script, 1, 4, argv, &reply);
    *put = code == BUSI_OK && reply.type == BUSI_REDIS_INT && reply.number == 1;
    return code;
}

enum busi_code auth_session_rewrite(struct auth *self, struct busi_call *call, struct auth_session *session,
                                    bool (*change)(struct auth_session *session, const void *arg),
                                    const void *arg)
{
    const struct auth_session named = {.id = session->id, .token_id = session->token_id};
    struct busi_str key = auth_session_key(call, session->id);
    if (!key.ptr)
        return auth_no_memory(call);
    for (int i = 0; i < ATTEMPTS; i++) {
        struct busi_redis_reply reply;
        bool done;
        *session = named;
        enum busi_code code = AUTH_STORE_RUN(self, call, &reply, BUSI_STR("GET"), key);
        if (code == BUSI_OK)
            code = auth_store_text(call, &reply);
        if (code != BUSI_OK || reply.type != BUSI_REDIS_TEXT ||
            !auth_record_read_living(self, reply.text, session))
            return code;
        const int64_t expires_s = session->expires_s, now_s = busi_wall_us() / 1000000;
        if (session->bare || !change(session, arg))
            return BUSI_OK;
        code = put(self, call, key, reply.text, session,
                   session->expires_s == expires_s ? 0 : session->expires_s - now_s, &done);
        if (code != BUSI_OK || done)
            return code;
    }
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the session changes all the time");
}
