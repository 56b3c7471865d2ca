/* mailer-svc against a real Postgres, with the rights of its own role. */
#include "base/clock.h"
#include "base/metrics.h"
#include "database.h"
#include "mailer-svc_house.h"
#include "mailer.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 15000, MAILERS = 2, STEP_MS = 5 };

static PGconn *admin;
static char folder[64], conninfo[1024];
static struct busi_settings settings;
static struct busi_arena arena;
static struct busi_buf errors;
static struct busi_process process;
static void *mailers[MAILERS];

/* ---- the mailers, on this thread's loop ---- */

static void begin(void)
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

static bool within(int64_t ms, bool (*done)(void))
{
    struct patience patience = {done, busi_now_ms() + ms, false};
    struct busi_timer *timer = busi_loop_every(process.loop, STEP_MS, look, &patience);
    cr_assert_not_null(timer);
    busi_loop_run(process.loop);
    busi_timer_free(&timer);
    return patience.came;
}
#define WAIT_FOR(done) cr_assert(within(PATIENCE_MS, done), "waited in vain for " #done)

static bool all_ready(void)
{
    bool ready = true;
    for (int i = 0; i < MAILERS; i++)
        ready &= !mailers[i] || mailer_service.ready(mailers[i]);
    return ready;
}

static bool all_idle(void)
{
    bool idle = busi_fibers_busy(process.fibers) == 0;
    for (int i = 0; i < MAILERS; i++)
        idle &= !mailers[i] || mailer_service.idle(mailers[i]);
    return idle;
}

static void start_mailers(int n)
{
    for (int i = 0; i < n; i++) {
        mailers[i] = mailer_service.start(&process);
        cr_assert_not_null(mailers[i]);
    }
}

static void end(void)
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

TestSuite(delivery, .init = begin, .fini = end, .timeout = 60);

/* ---- calls, as a client makes them ---- */

struct asked {
    int mailer;
    char key[32], recipient[64];
    const char *kind, *login;
    enum busi_code code;
    struct busi_enqueue_mail_reply reply;
    char message[64];
    bool done;
};

static void ask(void *arg)
{
    struct asked *asked = arg;
    struct busi_call call;
    struct busi_mail_argument login = {.name = BUSI_STR("login"), .value = busi_str_of(asked->login)};
    struct busi_enqueue_mail_request request = {.kind = busi_str_of(asked->kind),
                                                .recipient = busi_str_of(asked->recipient),
                                                .arguments = {&login, 1}};
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
static void ask_all(struct asked *asked, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cr_assert(busi_fiber_start(process.fibers, ask, &asked[i]));
    waiting = asked;
    n_waiting = n;
    WAIT_FOR(all_answered);
}

static struct asked mail_to(const char *recipient, const char *key)
{
    struct asked asked = {.kind = "account_created", .login = "ann"};
    snprintf(asked.key, sizeof(asked.key), "%s", key);
    snprintf(asked.recipient, sizeof(asked.recipient), "%s", recipient);
    return asked;
}

static bool nothing_queued(void)
{
    return postgres_number(admin, "SELECT count(*) FROM mailer.mails WHERE state = 'queued'") == 0;
}

static bool one_delivered(void)
{
    return postgres_number(admin, "SELECT count(*) FROM mailer.mails WHERE state = 'delivered'") == 1;
}

static bool one_failed_attempt(void)
{
    return postgres_number(
               admin,
               "SELECT count(*) FROM mailer.mails WHERE state = 'queued' AND last_error IS NOT NULL") == 1;
}

Test(delivery, a_mail_is_stored_and_becomes_a_file)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    struct asked asked = mail_to("ann@example.com", "k1");
    ask_all(&asked, 1);
    cr_assert_eq(asked.code, BUSI_OK, "%s", asked.message);
    cr_expect_not(asked.reply.duplicate);
    cr_expect_eq(postgres_number(admin, "SELECT count(*) FROM mailer.mails"), 1);
    WAIT_FOR(nothing_queued);
    char path[128], text[4096] = "", id[64];
    snprintf(path, sizeof(path), "%s/%lld-account_created.eml", folder, (long long)asked.reply.mail_id);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    cr_expect_gt(fread(text, 1, sizeof(text) - 1, file), 500);
    fclose(file);
    snprintf(id, sizeof(id), "\r\nMessage-ID: <mail-%lld@localhost>\r\n", (long long)asked.reply.mail_id);
    cr_expect_not_null(strstr(text, id));
    cr_expect_not_null(strstr(text, "\r\nTo: ann@example.com\r\n"));
    cr_expect_eq(
        postgres_number(admin,
                        "SELECT count(*) FROM mailer.mails WHERE state = 'delivered' AND request IS NULL AND "
                        "delivered_at IS NOT NULL"),
        1, "arguments are wiped");
    cr_expect_eq(busi_metric_get(BUSI_METRIC_mails_delivered), 1);
}

Test(delivery, delivery_begins_at_once)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    for (int i = 0; i < 5; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        struct asked asked = mail_to("ann@example.com", key);
        int64_t before = busi_now_ms();
        ask_all(&asked, 1);
        WAIT_FOR(nothing_queued);
        cr_expect_lt(busi_now_ms() - before, 900, "it waited for the poll");
    }
}

Test(delivery, a_repeated_key_is_one_mail)
{
    start_mailers(2);
    WAIT_FOR(all_ready);
    struct asked asked[20];
    for (int i = 0; i < 20; i++) {
        asked[i] = mail_to("ann@example.com", "same");
        asked[i].mailer = i % 2;
    }
    ask_all(asked, 20);
    int first = 0;
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(asked[i].code, BUSI_OK, "%s", asked[i].message);
        cr_expect_eq(asked[i].reply.mail_id, asked[0].reply.mail_id);
        first += !asked[i].reply.duplicate;
    }
    cr_expect_eq(first, 1);
    WAIT_FOR(nothing_queued);
    struct asked late = mail_to("ann@example.com", "same");
    ask_all(&late, 1);
    cr_expect(late.reply.duplicate, "also after delivery");
    cr_expect_eq(late.reply.mail_id, asked[0].reply.mail_id);
    cr_expect_eq(count_files(folder), 1);
}

Test(delivery, a_key_is_one_mails_only)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    struct asked one = mail_to("ann@example.com", "k"), other = mail_to("bob@example.com", "k");
    ask_all(&one, 1);
    ask_all(&other, 1);
    cr_expect_eq(one.code, BUSI_OK);
    cr_expect_eq(other.code, BUSI_INVALID_ARGUMENT);
    cr_expect_eq(postgres_number(admin, "SELECT count(*) FROM mailer.mails"), 1);
}

Test(delivery, what_cannot_be_delivered_is_not_stored)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    struct asked asked[4] = {mail_to("ann@example.com", ""), mail_to("ann@example.com", "a"),
                             mail_to("a@x.org,b@y.org", "b"), mail_to("ann@example.com", "c")};
    asked[1].kind = "nonsense";
    asked[3].login = "ann\r\nBcc: eve@x.org";
    ask_all(asked, 4);
    for (int i = 0; i < 4; i++) {
        cr_expect_eq(asked[i].code, BUSI_INVALID_ARGUMENT, "%d", i);
        cr_expect_gt(strlen(asked[i].message), 0);
    }
    cr_expect_eq(postgres_number(admin, "SELECT count(*) FROM mailer.mails"), 0);
}

Test(delivery, several_mailers_share_the_queue)
{
    enum { MAILS = 300 };
    static struct asked asked[MAILS];
    start_mailers(2);
    WAIT_FOR(all_ready);
    for (int i = 0; i < MAILS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        asked[i] = mail_to("ann@example.com", key);
        asked[i].mailer = i % 2;
    }
    ask_all(asked, MAILS);
    WAIT_FOR(nothing_queued);
    cr_expect_eq(count_files(folder), MAILS);
    cr_expect_eq(postgres_number(
                     admin, "SELECT count(*) FROM mailer.mails WHERE state = 'delivered' AND attempts = 1"),
                 MAILS);
}

Test(delivery, the_lease_of_a_dead_mailer_ends)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    mailer_service.drain(mailers[0]);
    WAIT_FOR(all_idle);
    struct asked asked[2] = {mail_to("ann@example.com", "dead"), mail_to("bob@example.com", "alive")};
    ask_all(asked, 2);
    /* one was claimed by a mailer that died just now, one by a mailer that died a lease ago */
    postgres_run(
        admin,
        "UPDATE mailer.mails SET attempts = 1, due_at = now() + interval '55 s' WHERE idempotency_key = "
        "'alive'");
    postgres_run(
        admin,
        "UPDATE mailer.mails SET attempts = 1, due_at = now() - interval '1 s' WHERE idempotency_key = "
        "'dead'");
    mailers[1] = mailer_service.start(&process);
    WAIT_FOR(all_ready);
    cr_expect_not(within(1500, nothing_queued));
    cr_expect_eq(
        postgres_number(
            admin,
            "SELECT attempts FROM mailer.mails WHERE state = 'delivered' AND idempotency_key = 'dead'"),
        2);
    cr_expect_eq(
        postgres_number(
            admin, "SELECT attempts FROM mailer.mails WHERE state = 'queued' AND idempotency_key = 'alive'"),
        1);
    cr_expect_eq(count_files(folder), 1);
}

Test(delivery, without_its_folder_the_queue_waits)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    char away[80];
    snprintf(away, sizeof(away), "%s.away", folder);
    cr_assert_eq(rename(folder, away), 0);
    struct asked asked = mail_to("ann@example.com", "k");
    ask_all(&asked, 1);
    cr_expect_eq(asked.code, BUSI_OK, "storing does not need the folder");
    WAIT_FOR(one_failed_attempt);
    cr_expect_not(mailer_service.ready(mailers[0]));
    cr_assert_eq(rename(away, folder), 0);
    WAIT_FOR(nothing_queued);
    cr_expect_eq(count_files(folder), 1);
    WAIT_FOR(all_ready);
}

Test(delivery, a_poisoned_mail_stops_no_other)
{
    postgres_run(
        admin,
        "INSERT INTO mailer.mails (caller, idempotency_key, kind, recipient, request, attempts)"
        " VALUES ('x', 'poison', 'x', 'x', '\\xdeadbeef', 7), ('x', 'retried', 'x', 'x', '\\xdeadbeef', 0)");
    start_mailers(1);
    WAIT_FOR(all_ready);
    struct asked asked = mail_to("ann@example.com", "k");
    ask_all(&asked, 1);
    WAIT_FOR(one_failed_attempt);
    WAIT_FOR(one_delivered);
    cr_expect_eq(
        postgres_number(
            admin, "SELECT attempts FROM mailer.mails WHERE idempotency_key = 'poison' AND state = 'failed'"),
        8);
    cr_expect_geq(
        postgres_number(
            admin,
            "SELECT attempts FROM mailer.mails WHERE idempotency_key = 'retried' AND state = 'queued'"),
        1);
    cr_expect_eq(count_files(folder), 1);
}

Test(delivery, migrating_again_changes_nothing)
{
    cr_expect_eq(mailer_migrate(&settings, 1, (char *[]){"migrate", NULL}), 0);
    cr_expect_eq(mailer_migrate(&settings, 2, (char *[]){"migrate", "--status", NULL}), 0);
    cr_expect_eq(mailer_migrate(&settings, 2, (char *[]){"migrate", "--nonsense", NULL}), BUSI_EXIT_USAGE);
    settings.migrate_database = BUSI_STR("");
    cr_expect_eq(mailer_migrate(&settings, 1, (char *[]){"migrate", NULL}), BUSI_EXIT_CONFIG);
}
