#include "core/session_store.h"

bool auth_store_knows(const struct auth *self)
{
    return self->redis_told != 0 && self->redis_told == busi_redis_generation(self->redis) &&
           busi_redis_ready(self->redis);
}

struct busi_str auth_session_key(struct busi_call *call, struct busi_str id)
{
    return busi_arena_printf(&call->arena, "busi:s:{%.*s}", BUSI_ARG(id));
}

enum busi_code auth_store_run(struct auth *self, struct busi_call *call, int argc,
                              const struct busi_str *argv, struct busi_redis_reply *reply)
{
    enum busi_code code = busi_redis_run(self->redis, &call->arena, argc, argv, call->until_ms, reply);
    return code == BUSI_OK ? BUSI_OK : auth_store_away(call);
}

enum busi_code auth_store_text(struct busi_call *call, const struct busi_redis_reply *reply)
{
    return reply->type == BUSI_REDIS_TEXT || reply->type == BUSI_REDIS_NIL ? BUSI_OK : auth_store_away(call);
}

enum busi_code auth_store_run_all(struct auth *self, struct busi_call *call,
                                  struct busi_redis_command *commands, size_t n)
{
    enum busi_code code = busi_redis_run_all(self->redis, &call->arena, commands, n, call->until_ms);
    return code == BUSI_OK ? BUSI_OK : auth_store_away(call);
}

enum busi_code auth_store_script(struct auth *self, struct busi_call *call, const char *text, int n_keys,
                                 int argc, const struct busi_str *argv, struct busi_redis_reply *reply)
{
    enum busi_code code =
        busi_redis_run_script(self->redis, &call->arena, text, n_keys, argc, argv, call->until_ms, reply);
    return code == BUSI_OK ? BUSI_OK : auth_store_away(call);
}
