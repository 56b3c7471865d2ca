/* Fills Redis with sessions, opened as a sign-in opens them but without its hash:
 *   bench-sessions CONFIG DOOR FIRST LAST      one for each account FIRST..LAST, which must be there
 * CONFIG is auth-svc's file, the environment counts as well. Prints a line for each session: its access token
 * and, where the door has one, a space and its refresh token. Says on stderr how fast that was and what Redis
 * needs for each, index and all. */
#include "sessions/sessions.h"
#include "base/log.h"
#include "core/account.h"
#include "core/auth.h"
#include "crypto/secret.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

enum { AT_ONCE = 256, ARENA_BYTES = 1 << 20 };

static struct {
    struct auth *auth;
    struct busi_fibers *fibers;
    const struct auth_door *door;
    int64_t next, last; /* accounts still to come */
    int working;        /* fibers that have not ended */
} filling;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-sessions: %s: %s\n", what, why);
    exit(1);
}

static void begin(struct busi_call *call)
{
    busi_call_init(call, ARENA_BYTES);
    call->until_ms = busi_now_ms() + 30000;
    call->origin.remote_addr = BUSI_STR("203.0.113.119");
    call->origin.user_agent =
        BUSI_STR("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
}

static void open_one(int64_t id)
{
    struct busi_call call;
    struct auth_account account;
    struct busi_session_reply out = {0};
    begin(&call);
    enum busi_code code = auth_account_find_by_id(filling.auth, &call, id, &account);
    if (code == BUSI_OK && account.id == 0)
        code = BUSI_NOT_FOUND;
    if (code == BUSI_OK)
        code = auth_session_open(filling.auth, &call, &account, filling.door, NULL, &out);
    if (code != BUSI_OK)
        die("cannot open a session", busi_code_name((int)code));
    printf("%.*s%s%.*s\n", BUSI_ARG(out.access_token), out.refresh_token.ptr ? " " : "",
           BUSI_ARG(out.refresh_token));
    busi_call_fini(&call);
}

static void work(void *arg)
{
    (void)arg;
    while (filling.next <= filling.last)
        open_one(filling.next++);
    filling.working--;
}

static int64_t used_memory(void)
{
    struct busi_call call;
    struct busi_redis_reply reply;
    const struct busi_str argv[] = {BUSI_STR("INFO"), BUSI_STR("memory")};
    begin(&call);
    enum busi_code code = busi_redis_run(filling.auth->redis, &call.arena, 2, argv, call.until_ms, &reply);
    const char *at =
        code == BUSI_OK && reply.type == BUSI_REDIS_TEXT ? strstr(reply.text.ptr, "used_memory:") : NULL;
    if (!at)
        die("cannot ask Redis", busi_code_name((int)code));
    int64_t bytes = strtoll(at + strlen("used_memory:"), NULL, 10);
    busi_call_fini(&call);
    return bytes;
}

static void fill(void *arg)
{
    (void)arg;
    for (int64_t until_ms = busi_now_ms() + 10000; !auth_ready(filling.auth); busi_fiber_sleep(5))
        if (busi_now_ms() > until_ms)
            die("the stores are not there", "within 10 s");
    int64_t before = used_memory(), n = filling.last - filling.next + 1, since_ms = busi_now_ms();
    for (int i = 0; i < AT_ONCE; i++) {
        filling.working++;
        if (!busi_fiber_start(filling.fibers, work, NULL))
            die("no fiber", "");
    }
    while (filling.working > 0)
        busi_fiber_sleep(5);
    int64_t took_ms = busi_now_ms() - since_ms + 1;
    fprintf(stderr, "sessions=%lld seconds=%.1f per_second=%.0f bytes_each=%.0f\n", (long long)n,
            took_ms / 1e3, n * 1e3 / took_ms, (double)(used_memory() - before) / n);
    fflush(stdout);
    _exit(0); /* nothing here outlives us */
}

static void read_settings(struct busi_settings *settings, const char *file)
{
    static struct busi_arena arena;
    struct busi_buf errors;
    busi_arena_init(&arena, 1 << 20);
    busi_buf_init(&errors, 4096);
    if (!busi_settings_read(settings, BUSI_USER_A, file, environ, &arena, &errors)) {
        busi_buf_char(&errors, '\0');
        die("settings", errors.ptr);
    }
    settings->mailer_endpoints = settings->hook_subscribers =
        (struct busi_str){0}; /* nobody's mails are ours */
}

int main(int argc, char **argv)
{
    static struct busi_settings settings;
    if (argc != 5 || !busi_crypto_init() || !busi_str_int(busi_str_of(argv[3]), &filling.next) ||
        !busi_str_int(busi_str_of(argv[4]), &filling.last)) {
        fputs("usage: bench-sessions CONFIG DOOR FIRST LAST\n", stderr);
        return 2;
    }
    read_settings(&settings, argv[1]);
    busi_log_init("bench", BUSI_ERR);
    struct busi_loop *loop = busi_loop_new();
    filling.fibers = loop ? busi_fibers_new(loop, AT_ONCE + 16, 256 * 1024) : NULL;
    if (filling.fibers)
        filling.auth =
            auth_new(loop, &(struct auth_options){.settings = &settings, .fibers = filling.fibers});
    if (!filling.auth)
        die("cannot start", "out of memory, or the settings are wrong");
    filling.door = auth_door_find(filling.auth->doors, busi_str_of(argv[2]));
    if (!filling.door || !busi_fiber_start(filling.fibers, fill, NULL))
        die("no such door", argv[2]);
    busi_loop_run(loop);
    return 1;
}
