#include "commands/command.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "loop/fiber.h"
#include "rpc/forms.h"
#include "service/service.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FIBERS = 64,
    STACK_BYTES = 256 * 1024,
    STORES_MS = 10000, /* longest wait for them */
    POLL_MS = 5,
    FAILURE_MOST_BYTES = 8192,
    NAME_MOST = 64
};

struct command {
    const struct busi_settings *settings; /* borrowed */
    enum auth_command_needs needs;
    int (*work)(struct auth *auth, void *arg);
    void *arg; /* of work */
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct auth *auth;
    int code; /* to be returned */
};

static bool ready(const struct command *command)
{
    return command->needs == AUTH_COMMAND_ALL ? auth_ready(command->auth) : busi_pg_ready(command->auth->pg);
}

static void run(void *arg)
{
    struct command *command = arg;
    int64_t until_ms = busi_now_ms() + STORES_MS;
    while (!ready(command) && busi_now_ms() < until_ms)
        busi_fiber_sleep(POLL_MS);
    if (ready(command))
        command->code = command->work(command->auth, command->arg);
    else
        fprintf(stderr, "the stores are not there: %s\n",
                busi_pg_ready(command->auth->pg) ? "see BUSI_REDIS" : "see BUSI_AUTH_DATABASE");
    if (command->needs == AUTH_COMMAND_ALL) {
        auth_drain(command->auth);
        while (!auth_idle(command->auth))
            busi_fiber_sleep(POLL_MS);
    }
    busi_loop_stop(command->loop);
}

static int misses(const char *setting)
{
    fprintf(stderr, "%s: is not set\n", setting);
    return BUSI_EXIT_CONFIG;
}

/* Of what only serving needs, some is needed to open the service at all. */
static int check(const struct busi_settings *settings, enum auth_command_needs needs)
{
    if (!settings->auth_database.len)
        return misses("BUSI_AUTH_DATABASE");
    if (settings->token_hash_key.len < 32)
        return misses("BUSI_TOKEN_HASH_KEY");
    if (needs == AUTH_COMMAND_ALL && settings->jwt_secret.len < 64)
        return misses("BUSI_JWT_SECRET");
    return BUSI_EXIT_FINE;
}

static bool open_command(struct command *command)
{
    command->loop = busi_loop_new();
    command->fibers = command->loop ? busi_fibers_new(command->loop, FIBERS, STACK_BYTES) : NULL;
    if (!command->fibers)
        return false;
    const struct auth_options options = {
        .settings = command->settings, .fibers = command->fibers, .alone = true};
    command->auth = command->needs == AUTH_COMMAND_ALL ? auth_new(command->loop, &options)
                                                       : auth_new_database(command->loop, &options);
    return command->auth && busi_fiber_start(command->fibers, run, command);
}

int auth_command_run(const struct busi_settings *settings, enum auth_command_needs needs,
                     int (*work)(struct auth *auth, void *arg), void *arg)
{
    struct command command = {
        .settings = settings, .needs = needs, .work = work, .arg = arg, .code = BUSI_EXIT_FAILED};
    int code = check(settings, needs);
    if (code != BUSI_EXIT_FINE)
        return code;
    if (!busi_crypto_init())
        return BUSI_EXIT_FAILED;
    busi_log_init("auth-svc", BUSI_WARN);
    if (open_command(&command))
        busi_loop_run(command.loop);
    auth_free(&command.auth);
    busi_fibers_free(&command.fibers);
    busi_loop_free(&command.loop);
    busi_log_fini();
    return command.code;
}

/* ---- calls ---- */

static struct busi_str caller_name(struct busi_arena *arena)
{
    const char *name = getuid() == 0 ? getenv("SUDO_USER") : NULL;
    const struct passwd *user = name && *name ? NULL : getpwuid(getuid());
    if (user)
        name = user->pw_name;
    struct busi_str text = busi_str_of(name);
    if (!text.ptr || text.len > NAME_MOST || !busi_form_id(text))
        return busi_arena_printf(arena, "operator uid-%u", (unsigned)getuid());
    return busi_arena_printf(arena, "operator %.*s", BUSI_ARG(text));
}

void auth_command_begin(struct busi_call *call, size_t arena_bytes, int64_t lasts_ms)
{
    busi_call_init(call, arena_bytes);
    call->until_ms = busi_now_ms() + lasts_ms;
    call->caller = caller_name(&call->arena);
}

int auth_command_failed(const struct busi_call *call, enum busi_code code)
{
    struct busi_buf text;
    busi_buf_init(&text, FAILURE_MOST_BYTES);
    busi_buf_printf(&text, "%s: %.*s\n", busi_code_name((int)code), BUSI_ARG(call->message));
    for (size_t i = 0; i < call->n_violations; i++) {
        const struct busi_violation *violation = &call->violations[i];
        busi_buf_printf(&text, "  %.*s ", BUSI_ARG(violation->field));
        busi_rule_print(&text, (int)violation->rule, violation->limit);
        busi_buf_char(&text, '\n');
    }
    fwrite(text.ptr, 1, text.len, stderr);
    busi_buf_fini(&text);
    return BUSI_EXIT_FAILED;
}
