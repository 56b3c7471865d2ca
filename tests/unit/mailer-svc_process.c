/* mailer-svc as a process, called over ZeroMQ with CURVE: what it says is stored stays stored. */
#include "base/clock.h"
#include "mailer-svc_house.h"
#include "mailer.h"
#include "rpc/client.h"
#include "rpc/context.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 15000, CALLERS = 8, CALLS = 60 };

static PGconn *admin;
static char folder[64], keys[64], conninfo[1024];

static void begin(void)
{
    char allow[96], command[512];
    make_folder(folder);
    make_folder(keys);
    admin = open_database(conninfo);
    cr_assert_eq(busi_curve_generate(keys, "mailer-svc", NULL), 0);
    cr_assert_eq(busi_curve_generate(keys, "auth-svc", NULL), 0);
    snprintf(allow, sizeof(allow), "%s/allow", keys);
    snprintf(command, sizeof(command), "mkdir %s && cp %s/auth-svc.pub %s", allow, keys, allow);
    cr_assert_eq(system(command), 0);
}

static void end(void)
{
    PQfinish(admin);
    remove_folder(folder);
    remove_folder(keys);
}

TestSuite(mailer_process, .init = begin, .fini = end, .timeout = 120);

/* ---- the process ---- */

struct mailer_process {
    pid_t pid;
    char log[96];
    char endpoint[64]; /* "127.0.0.1:40123" */
};

static void put(const char *format, const char *value)
{
    static char texts[8][1200];
    static unsigned next;
    snprintf(texts[next], sizeof(texts[0]), format, value);
    putenv(texts[next++]);
}

static void become(const struct mailer_process *process)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int log = open(process->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (log < 0 || dup2(log, 2) < 0)
        _exit(99);
    put("BUSI_CURVE_KEY_FILE=%s/mailer-svc.key", keys);
    put("BUSI_CURVE_ALLOW_DIR=%s/allow", keys);
    put("BUSI_MAILER_DATABASE=%s", conninfo);
    put("BUSI_MAIL_FOLDER=%s", folder);
    _exit(busi_service_main(&mailer_service, 1, (char *[]){"mailer-svc", NULL}));
}

static bool logged(const struct mailer_process *process, const char *text, char *line, size_t room)
{
    FILE *file = fopen(process->log, "r");
    bool found = false;
    while (file && !found && fgets(line, (int)room, file))
        found = strstr(line, text) != NULL;
    if (file)
        fclose(file);
    return found;
}

/* Before this test's process makes threads of its own. */
static struct mailer_process start_mailer(const char *name)
{
    struct mailer_process process = {0};
    snprintf(process.log, sizeof(process.log), "%s/%s.log", keys, name);
    process.pid = fork();
    cr_assert_geq(process.pid, 0);
    if (process.pid == 0)
        become(&process);
    return process;
}

static void wait_until_ready(struct mailer_process *process)
{
    char line[1024];
    for (int64_t until = busi_now_ms() + PATIENCE_MS; busi_now_ms() < until; usleep(5000)) {
        if (!logged(process, "\"event\":\"ready\"", line, sizeof(line)))
            continue;
        cr_assert(logged(process, "\"event\":\"listening\"", line, sizeof(line)));
        const char *at = strstr(line, "tcp://");
        cr_assert_not_null(at);
        snprintf(process->endpoint, sizeof(process->endpoint), "%.*s", (int)strcspn(at + 6, "\""), at + 6);
        return;
    }
    cr_assert_fail("the mailer is not ready");
}

static int exit_code(const struct mailer_process *process)
{
    int status = 0;
    for (int64_t until = busi_now_ms() + PATIENCE_MS; busi_now_ms() < until; usleep(5000))
        if (waitpid(process->pid, &status, WNOHANG) == process->pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return -2;
}

/* ---- the callers ---- */

struct client {
    struct busi_loop *loop;
    struct busi_curve *curve;
    struct busi_rpc_client *rpc;
    pthread_t thread;
};

static void *run_loop(void *arg)
{
    busi_loop_run(arg);
    return NULL;
}

static struct client start_client(const char *endpoint)
{
    struct client client = {.loop = busi_loop_new()};
    char key[96], server[96];
    const char *error = NULL;
    snprintf(key, sizeof(key), "%s/auth-svc.key", keys);
    snprintf(server, sizeof(server), "%s/mailer-svc.pub", keys);
    client.curve = busi_curve_open(busi_str_of(key), &error);
    cr_assert_not_null(client.curve, "%s", error);
    struct busi_rpc_target target = {"mailer", busi_str_of(endpoint), busi_str_of(server)};
    client.rpc = busi_rpc_client_new(
        client.loop,
        &(struct busi_rpc_client_options){
            .targets = &target, .n_targets = 1, .curve = client.curve, .max_in_flight = 256},
        &error);
    cr_assert_not_null(client.rpc, "%s", error);
    cr_assert_eq(pthread_create(&client.thread, NULL, run_loop, client.loop), 0);
    for (int64_t until = busi_now_ms() + PATIENCE_MS; !busi_rpc_client_ready(client.rpc); usleep(5000))
        cr_assert_lt(busi_now_ms(), until, "no worker");
    return client;
}

static void stop_client(struct client *client)
{
    busi_loop_stop(client->loop);
    pthread_join(client->thread, NULL);
    busi_rpc_client_free(&client->rpc);
    busi_curve_close(&client->curve);
    busi_loop_free(&client->loop);
    busi_zmq_shutdown();
}

struct caller {
    struct client *client;
    int number;
    enum busi_code codes[CALLS];
    int64_t ids[CALLS];
    pthread_t thread;
};
static atomic_int answered;

static void enqueue(struct caller *caller, int i)
{
    struct busi_call call;
    char key[32];
    struct busi_mail_argument login = {.name = BUSI_STR("login"), .value = BUSI_STR("ann")};
    struct busi_enqueue_mail_request request = {.kind = BUSI_STR("account_created"),
                                                .recipient = BUSI_STR("ann@example.com"),
                                                .arguments = {&login, 1}};
    struct busi_enqueue_mail_reply reply = {0};
    snprintf(key, sizeof(key), "%d-%d", caller->number, i);
    busi_call_init(&call, 256 * 1024);
    call.until_ms = busi_now_ms() + 2000;
    call.idempotency_key = busi_str_of(key);
    caller->codes[i] = busi_rpc_mailer_enqueue(caller->client->rpc, &call, &request, &reply);
    caller->ids[i] = reply.mail_id;
    busi_call_fini(&call);
    atomic_fetch_add(&answered, 1);
}

static void *run_caller(void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < CALLS; i++)
        enqueue(caller, i);
    return NULL;
}

static void start_callers(struct caller *callers, struct client *client)
{
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.client = client, .number = i};
        cr_assert_eq(pthread_create(&callers[i].thread, NULL, run_caller, &callers[i]), 0);
    }
}

/* Number of OK answers; each is a row of its own. Anything but OK and UNAVAILABLE is a lost call. */
static int join_callers(struct caller *callers)
{
    int ok = 0;
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
        for (int j = 0; j < CALLS; j++) {
            char query[160];
            enum busi_code code = callers[i].codes[j];
            cr_expect(code == BUSI_OK || code == BUSI_UNAVAILABLE, "call %d-%d: %s", i, j,
                      busi_code_name(code));
            if (code != BUSI_OK)
                continue;
            snprintf(query, sizeof(query),
                     "SELECT count(*) FROM mailer.mails WHERE caller = 'auth-svc' AND mail_id = %lld"
                     " AND idempotency_key = '%d-%d'",
                     (long long)callers[i].ids[j], i, j);
            cr_expect_eq(postgres_number(admin, query), 1, "%s", query);
            ok++;
        }
    }
    return ok;
}

static void wait_until_answered(int n)
{
    for (int64_t until = busi_now_ms() + PATIENCE_MS; atomic_load(&answered) < n; usleep(1000))
        cr_assert_lt(busi_now_ms(), until);
}

static void wait_until_delivered(void)
{
    for (int64_t until = busi_now_ms() + PATIENCE_MS;
         postgres_number(admin, "SELECT count(*) FROM mailer.mails WHERE state <> 'delivered'") > 0;
         usleep(10000))
        cr_assert_lt(busi_now_ms(), until, "mails stay undelivered");
}

Test(mailer_process, a_drain_loses_nothing)
{
    static struct caller callers[CALLERS];
    struct mailer_process mailer = start_mailer("one");
    wait_until_ready(&mailer);
    struct client client = start_client(mailer.endpoint);
    start_callers(callers, &client);
    wait_until_answered(CALLERS * CALLS / 4);
    /* calls pile up behind a lock: SIGTERM finds them in flight */
    postgres_run(admin, "BEGIN; LOCK TABLE mailer.mails IN ACCESS EXCLUSIVE MODE");
    usleep(100000);
    kill(mailer.pid, SIGTERM);
    usleep(300000);
    int before = atomic_load(&answered);
    postgres_run(admin, "COMMIT");
    cr_expect_eq(exit_code(&mailer), 0);
    int ok = join_callers(callers);
    cr_expect_geq(ok, before + CALLERS, "those in flight were answered");
    cr_expect_eq(postgres_number(admin, "SELECT count(*) FROM mailer.mails"), ok,
                 "and nothing else was stored");
    stop_client(&client);
}

Test(mailer_process, a_crash_loses_nothing)
{
    static struct caller callers[CALLERS];
    struct mailer_process first = start_mailer("one"), second = {0};
    wait_until_ready(&first);
    struct client client = start_client(first.endpoint);
    start_callers(callers, &client);
    wait_until_answered(CALLERS * CALLS / 2);
    kill(first.pid, SIGKILL);
    cr_expect_eq(exit_code(&first), -1);
    int ok = join_callers(callers);
    stop_client(&client);
    cr_expect_geq(ok, CALLERS * CALLS / 2);
    /* the dead one's leases would end within a minute */
    postgres_run(admin, "UPDATE mailer.mails SET due_at = now() WHERE state = 'queued'");
    second = start_mailer("two");
    wait_until_ready(&second);
    wait_until_delivered();
    cr_expect_eq(count_files(folder), postgres_number(admin, "SELECT count(*) FROM mailer.mails"),
                 "each mail is one file");
    kill(second.pid, SIGTERM);
    cr_expect_eq(exit_code(&second), 0);
}
