/* Many come at once, and none can be let in for a while: who is connected does not notice. */
#define _GNU_SOURCE /* PTRACE_SEIZE */
#include "base/metrics.h"
#include "rpc_house.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 50, STORM_MS = 5000 };

static char folder[64], pub[96];
static struct busi_curve *curve; /* the key pair of all: one ZAP handler a process */

static void make_keys(void)
{
    char command[256], key[96], allow[96];
    const char *error;
    snprintf(folder, sizeof folder, "/tmp/busi-newcomers-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(busi_curve_generate(folder, "one", NULL), 0);
    snprintf(command, sizeof command, "cd %s && mkdir allow && cp one.pub allow/", folder);
    cr_assert_eq(system(command), 0);
    snprintf(key, sizeof key, "%s/one.key", folder);
    snprintf(pub, sizeof pub, "%s/one.pub", folder);
    snprintf(allow, sizeof allow, "%s/allow", folder);
    curve = busi_curve_open(busi_str_of(key), &error);
    cr_assert(curve && busi_curve_allow(curve, busi_str_of(allow), &error), "%s", error);
}

static void remove_keys(void)
{
    char command[128];
    busi_curve_close(&curve);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(rpc_newcomers, .init = make_keys, .fini = remove_keys, .timeout = 120);

/* ---- Z-12: all at once ---- */

static size_t number_of_answering(struct client *client, bool answered[MANY])
{
    char name[16];
    size_t n = 0;
    if (get_business(client, 1, 200, name) == BUSI_OK)
        answered[atoi(name)] = true;
    for (size_t i = 0; i < MANY; i++)
        n += answered[i];
    return n;
}

/* A gateway starts again and finds fifty workers. */
Test(rpc_newcomers, fifty_workers_are_ready_within_five_seconds) /* Z-12 */
{
    struct server *servers[MANY];
    static char endpoints[MANY * 66];
    bool answered[MANY] = {false};
    for (size_t i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu", i);
        servers[i] = start_server(name, "*", curve, 4);
        snprintf(endpoints + strlen(endpoints), 66, "%s%s", i ? "," : "", servers[i]->endpoint);
    }
    int64_t began_ms = busi_now_ms();
    struct client *client = start_client_of("directory", endpoints, pub, curve, 8);
    while (number_of_answering(client, answered) < MANY && busi_now_ms() - began_ms < 2 * STORM_MS)
        ;
    cr_expect_eq(number_of_answering(client, answered), MANY);
    cr_expect_leq(busi_now_ms() - began_ms, STORM_MS);
    stop_client(&client);
    for (size_t i = 0; i < MANY; i++)
        stop_server(&servers[i]);
}

static bool all_ready(void *clients)
{
    for (size_t i = 0; i < MANY; i++)
        if (!is_ready(((struct client **)clients)[i]))
            return false;
    return true;
}

static bool none_ready(void *clients)
{
    for (size_t i = 0; i < MANY; i++)
        if (is_ready(((struct client **)clients)[i]))
            return false;
    return true;
}

/* A worker starts again and fifty gateways come back. */
Test(rpc_newcomers, fifty_callers_are_back_within_five_seconds) /* Z-12 */
{
    struct client *clients[MANY];
    struct server *server = start_server("one", "*", curve, 64);
    char port[8], endpoint[64];
    snprintf(endpoint, sizeof endpoint, "%s", server->endpoint);
    snprintf(port, sizeof port, "%s", strrchr(endpoint, ':') + 1);
    for (size_t i = 0; i < MANY; i++)
        clients[i] = start_client_of("directory", endpoint, pub, curve, 8);
    cr_assert(within(STORM_MS, all_ready, clients));
    stop_server(&server);
    cr_assert(within(STORM_MS, none_ready, clients));
    int64_t began_ms = busi_now_ms();
    server = start_server("one", port, curve, 64);
    cr_expect(within(2 * STORM_MS, all_ready, clients));
    cr_expect_leq(busi_now_ms() - began_ms, STORM_MS);
    for (size_t i = 0; i < MANY; i++) {
        cr_expect_eq(get_business(clients[i], 1, 1000, NULL), BUSI_OK);
        stop_client(&clients[i]);
    }
    stop_server(&server);
}

/* ---- Z-06: the thread that lets clients in stands still ---- */

static pid_t thread_called(const char *wanted)
{
    pid_t found = 0;
    DIR *tasks = opendir("/proc/self/task");
    cr_assert_not_null(tasks);
    for (struct dirent *task = readdir(tasks); task; task = readdir(tasks)) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file) && strcspn(name, "\n") == strlen(wanted) &&
            strncmp(name, wanted, strlen(wanted)) == 0)
            found = atoi(task->d_name);
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return found;
}

/* A child of ours that holds one of our threads, until `go` is closed. */
static void hold(pid_t thread, const int held[2], const int go[2])
{
    char byte = 0;
    close(go[1]);
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) != 0 ||
        waitpid(thread, NULL, __WALL) != thread || write(held[1], &byte, 1) != 1)
        _exit(1);
    (void)!read(go[0], &byte, 1);
    _exit(ptrace(PTRACE_DETACH, thread, NULL, NULL) == 0 ? 0 : 2);
}

static bool says_ready(void *arg)
{
    struct busi_call call;
    struct busi_health_reply health = {0};
    busi_call_init(&call, 65536);
    call.until_ms = busi_now_ms() + 500;
    bool ready = busi_rpc_rpc_health(((struct client *)arg)->rpc, &call, &(struct busi_empty){0}, &health) ==
                     BUSI_OK &&
                 health.ready;
    busi_call_fini(&call);
    return ready;
}

static bool says_not_ready(void *client)
{
    return !says_ready(client);
}

Test(rpc_newcomers, nobody_new_comes_in_while_keys_cannot_be_asked_for) /* Z-06 */
{
    int held[2], go[2], status = 0;
    char byte;
    struct server *server = start_server("one", "*", curve, 8);
    struct client *client = start_ready_client(server->endpoint, pub, curve, 8);
    cr_assert(within(2000, says_ready, client));
    cr_assert(pipe(held) == 0 && pipe(go) == 0);
    pid_t zap = thread_called("zap"), child;
    cr_assert_gt(zap, 0);
    cr_assert_geq(child = fork(), 0);
    if (child == 0)
        hold(zap, held, go);
    (void)prctl(PR_SET_PTRACER, child);
    close(held[1]);
    close(go[0]);
    cr_assert_eq(read(held[0], &byte, 1), 1, "the thread cannot be held: ptrace() is forbidden here");
    struct client *late = start_client(server->endpoint, pub, curve, 8);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK, "who is in stays in");
    cr_expect(within(8000, says_not_ready, client), "it says so");
    cr_expect_eq(busi_metric_get(BUSI_METRIC_curve_silent), 1);
    cr_expect_not(is_ready(late), "nobody has been let in");
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK, "who is in is served on");
    close(go[1]);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    cr_expect(within(8000, says_ready, client), "over");
    cr_expect(within(8000, is_ready, late), "and who waited comes in");
    cr_expect_eq(busi_metric_get(BUSI_METRIC_curve_silent), 0);
    close(held[0]);
    stop_client(&late);
    stop_client(&client);
    stop_server(&server);
}
