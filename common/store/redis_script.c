#include "store/redis_internal.h"

enum { SHA1_DIGITS = 40, LOADS_MOST = 2 };

/* NULL: the table is full, which only means that the script is loaded each time. */
static struct redis_script *find(struct busi_redis *redis, const char *text)
{
    for (size_t i = 0; i < redis->n_scripts; i++)
        if (redis->scripts[i].text == text)
            return &redis->scripts[i];
    if (redis->n_scripts == REDIS_SCRIPTS_MOST)
        return NULL;
    redis->scripts[redis->n_scripts].text = text;
    return &redis->scripts[redis->n_scripts++];
}

/* The server computes the digest, so that no SHA-1 of ours is needed. */
static enum busi_code load(struct busi_redis *redis, struct busi_arena *arena, const char *text,
                           int64_t until_ms, struct busi_redis_reply *reply)
{
    const struct busi_str argv[] = {BUSI_STR("SCRIPT"), BUSI_STR("LOAD"), busi_str_of(text)};
    enum busi_code code = busi_redis_run(redis, arena, 3, argv, until_ms, reply);
    bool good = reply->type == BUSI_REDIS_TEXT && reply->text.len == SHA1_DIGITS;
    return code == BUSI_OK && !good ? BUSI_INTERNAL : code;
}

static bool unknown(enum busi_code code, const struct busi_redis_reply *reply)
{
    return code == BUSI_INTERNAL && reply->type == BUSI_REDIS_TEXT &&
           busi_str_starts(reply->text, BUSI_STR("NOSCRIPT"));
}

enum busi_code busi_redis_run_script_with(struct busi_redis *redis, struct busi_arena *arena,
                                          const char *text, int n_keys, int argc, const struct busi_str *argv,
                                          int64_t until_ms, struct busi_redis_command *commands, size_t n)
{
    struct redis_script *script = find(redis, text);
    struct busi_str *all = busi_arena_array(arena, (size_t)argc + 3, sizeof *all);
    struct busi_str sha1 = {0};
    for (size_t i = 0; i < n; i++)
        commands[i].code = BUSI_RESOURCE_EXHAUSTED;
    commands[0] = (struct busi_redis_command){.argc = argc + 3, .argv = all};
    if (!all)
        return BUSI_RESOURCE_EXHAUSTED;
    all[0] = BUSI_STR("EVALSHA");
    all[2] = busi_arena_int(arena, n_keys);
    if (!all[2].ptr)
        return BUSI_RESOURCE_EXHAUSTED;
    for (int i = 0; i < argc; i++)
        all[i + 3] = argv[i];
    if (script && script->sha1[0])
        sha1 = (struct busi_str){script->sha1, SHA1_DIGITS};
    for (int loads = 0;; loads++) {
        if (sha1.len) {
            all[1] = sha1;
            (void)!busi_redis_run_all(redis, arena, commands, n, until_ms);
            if (!unknown(commands[0].code, &commands[0].reply) || loads == LOADS_MOST)
                return commands[0].code;
            n = 1; /* the others have run */
        }
        /* Another server, or one that was restarted. The script has not run. */
        struct busi_redis_reply *reply = &commands[0].reply;
        enum busi_code code = load(redis, arena, text, until_ms, reply);
        if (code != BUSI_OK)
            return code;
        sha1 = reply->text;
        if (script)
            memcpy(script->sha1, sha1.ptr, SHA1_DIGITS);
    }
}

enum busi_code busi_redis_run_script(struct busi_redis *redis, struct busi_arena *arena, const char *text,
                                     int n_keys, int argc, const struct busi_str *argv, int64_t until_ms,
                                     struct busi_redis_reply *reply)
{
    struct busi_redis_command alone = {0};
    enum busi_code code =
        busi_redis_run_script_with(redis, arena, text, n_keys, argc, argv, until_ms, &alone, 1);
    *reply = alone.reply;
    return code;
}
