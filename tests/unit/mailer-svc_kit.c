#include "mailer-svc_kit.h"
#include "base/clock.h"
#include "mailer.h"
#include <stdio.h>
#include <stdlib.h>

enum { STEP_MS = 5 };

PGconn *admin;
char folder[64];
static char conninfo[1024];
struct busi_settings settings;
static struct busi_arena arena;
static struct busi_buf errors;
struct busi_process process;
void *mailers[MAILERS];

/* ---- the mailers, on this thread's loop ---- */

void begin(void)
{
    busi_arena_init(&arena, 1024 * 1024);
    busi_buf_init(&errors, 4096);
    cr_assert(busi_settings_read(&settings, BUSI_USER_M, NULL, (char *[]){NULL}, &arena, &errors));
    make_folder(folder);
    settings.mail_folder = busi_str_of(folder);
    admin = open_database(conninfo);
    settings.mailer_database = busi_str_of(conninfo);
    settings.migrate_database = busi_str_of(getenv("BUSI_TEST_POSTGRES"));
    process.loop = busi_loop_new();
    process.fibers = busi_fibers_new(process.loop, 512, 64 * 1024);
    process.settings = &settings;
    cr_assert(process.loop && process.fibers);
}

struct patience {
    bool (*done)(void); /* what is waited for */
    int64_t until_ms;
    bool came; /* it was */
};

static void look(void *arg)
{
    struct patience *patience = arg;
    patience->came = patience->done();
    if (patience->came || busi_now_ms() > patience->until_ms)
        busi_loop_stop(process.loop);
}

bool within(int64_t ms, bool (*done)(void))
{
    struct patience patience = {done, busi_now_ms() + ms, false};
    struct busi_timer *timer = busi_loop_every(process.loop, STEP_MS, look, &patience);
    cr_assert_not_null(timer);
    busi_loop_run(process.loop);
    busi_timer_free(&timer);
    return patience.came;
}

bool all_ready(void)
{
    bool ready = true;
    for (int i = 0; i < MAILERS; i++)
        ready &= !mailers[i] || mailer_service.ready(mailers[i]);
    return ready;
}

bool all_idle(void)
{
    bool idle = busi_fibers_busy(process.fibers) == 0;
    for (int i = 0; i < MAILERS; i++)
        idle &= !mailers[i] || mailer_service.idle(mailers[i]);
    return idle;
}

void start_mailers(int n)
{
    for (int i = 0; i < n; i++) {
        mailers[i] = mailer_service.start(&process);
        cr_assert_not_null(mailers[i]);
    }
}

void end(void)
{
    for (int i = 0; i < MAILERS; i++)
        if (mailers[i])
            mailer_service.drain(mailers[i]);
    WAIT_FOR(all_idle);
    for (int i = 0; i < MAILERS; i++)
        if (mailers[i])
            mailer_service.stop(mailers[i]);
    busi_fibers_free(&process.fibers);
    busi_loop_free(&process.loop);
    busi_arena_fini(&arena);
    busi_buf_fini(&errors);
    PQfinish(admin);
    remove_folder(folder);
}

/* ---- calls, as a client makes them ---- */

static void ask(void *arg)
{
    struct asked *asked = arg;
    struct busi_call call;
    struct busi_mail_argument login = {.name = BUSI_STR("login"), .value = busi_str_of(asked->login)};
    struct busi_enqueue_mail_request request = {.kind = busi_str_of(asked->kind),
                                                .recipient = busi_str_of(asked->recipient),
                                                .arguments = {&login, 1},
                                                .expires_at = asked->expires_at};
    busi_call_init(&call, 256 * 1024);
    call.until_ms = busi_now_ms() + 5000;
    call.caller = BUSI_STR("auth-svc");
    if (asked->key[0])
        call.idempotency_key = busi_str_of(asked->key);
    asked->code = mailer_service.endpoints[0].handler(mailers[asked->mailer], &call, &request, &asked->reply);
    snprintf(asked->message, sizeof(asked->message), "%.*s", BUSI_ARG(call.message));
    busi_call_fini(&call);
    asked->done = true;
}

static struct asked *waiting;
static size_t n_waiting;

static bool all_answered(void)
{
    for (size_t i = 0; i < n_waiting; i++)
        if (!waiting[i].done)
            return false;
    return true;
}

/* All at once, on a fiber each. */
void ask_all(struct asked *asked, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        asked[i].done = false; /* it may have been asked before */
        cr_assert(busi_fiber_start(process.fibers, ask, &asked[i]));
    }
    waiting = asked;
    n_waiting = n;
    WAIT_FOR(all_answered);
}

struct asked mail_to(const char *recipient, const char *key)
{
    struct asked asked = {.kind = "account_created", .login = "ann"};
    snprintf(asked.key, sizeof(asked.key), "%s", key);
    snprintf(asked.recipient, sizeof(asked.recipient), "%s", recipient);
    return asked;
}

bool nothing_queued(void)
{
    return postgres_number(admin, "SELECT count(*) FROM mailer.mails WHERE state = 'queued'") == 0;
}
