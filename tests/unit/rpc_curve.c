/* Keys and the allow-list: who gets in, who does not, and what is done about files that are no keys. */
#include "base/metrics.h"
#include "rpc/certificate.h"
#include "rpc_house.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];

static struct busi_str path(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return busi_str_of(path);
}

[[gnu::format(printf, 1, 2)]] static void shell(const char *format, ...)
{
    char command[512] = "cd ";
    va_list args;
    snprintf(command, sizeof command, "cd %s && ", folder);
    va_start(args, format);
    vsnprintf(command + strlen(command), sizeof command - strlen(command), format, args);
    va_end(args);
    cr_assert_eq(system(command), 0, "%s", command);
}

static void make_keys(void)
{
    snprintf(folder, sizeof folder, "/tmp/busi-curve-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    shell("mkdir allow");
    cr_assert_eq(busi_curve_generate(folder, "worker", NULL), 0);
    cr_assert_eq(busi_curve_generate(folder, "gateway", NULL), 0);
    cr_assert_eq(busi_curve_generate(folder, "stranger", NULL), 0);
}

static void remove_keys(void)
{
    shell("rm -rf %s", folder);
}

TestSuite(rpc_curve, .init = make_keys, .fini = remove_keys);

static struct busi_curve *open_key(const char *name)
{
    const char *error;
    struct busi_curve *curve = busi_curve_open(path(name), &error);
    cr_assert_not_null(curve, "%s", error);
    return curve;
}

static struct busi_curve *open_worker(void)
{
    const char *error;
    struct busi_curve *curve = open_key("worker.key");
    cr_assert(busi_curve_allow(curve, path("allow"), &error), "%s", error);
    return curve;
}

Test(rpc_curve, keys_are_made_once_and_for_their_owner)
{
    struct stat about;
    cr_assert_eq(stat(path("gateway.key").ptr, &about), 0);
    cr_expect_eq(about.st_mode & 0777, 0600);
    shell("cp gateway.key before");
    cr_expect_neq(busi_curve_generate(folder, "gateway", NULL), 0, "made again");
    shell("cmp gateway.key before");
    shell("rm gateway.key");
    cr_expect_neq(busi_curve_generate(folder, "gateway", NULL), 0, "the public one is there");
    cr_expect_neq(busi_curve_generate(folder, "../up", NULL), 0);
    cr_expect_neq(busi_curve_generate(folder, "", NULL), 0);
    cr_expect_neq(busi_curve_generate("/no/such/folder", "x", NULL), 0);
    shell("test $(ls | wc -l) = 7"); /* no drafts left: allow before gateway.pub stranger.* worker.* */
}

Test(rpc_curve, of_keys_that_are_not_written_whole_none_is_left)
{
    struct rlimit whole;
    char draft[64];
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &whole), 0);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, whole.rlim_max}), 0);
    cr_expect_eq(busi_curve_generate(folder, "full", NULL), 1, "as on a full disk");
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &whole), 0);
    snprintf(draft, sizeof draft, "full.pub.%d.new", (int)getpid());
    shell("test ! -e full.key -a ! -e full.pub && mkdir %s", draft);
    cr_expect_eq(busi_curve_generate(folder, "full", NULL), 1, "the second one cannot be written");
    shell("test ! -e full.key -a ! -e full.pub && rmdir %s", draft);
    cr_expect_eq(busi_curve_generate(folder, "full", NULL), 0);
}

Test(rpc_curve, a_key_file_others_can_read_is_refused) /* D-08 */
{
    const char *error = NULL;
    chmod(path("gateway.key").ptr, 0640);
    cr_expect_null(busi_curve_open(path("gateway.key"), &error));
    cr_expect_str_eq(error, "the CURVE key file can be read by others (chmod 600)");
    chmod(path("gateway.key").ptr, 0604);
    cr_expect_null(busi_curve_open(path("gateway.key"), &error));
    chmod(path("gateway.key").ptr, 0400);
    struct busi_curve *curve = busi_curve_open(path("gateway.key"), &error);
    cr_expect_not_null(curve);
    busi_curve_close(&curve);
}

static bool is_read(const char *edit, struct busi_certificate *certificate)
{
    const char *error;
    shell("sed %s billing.key >edited", edit);
    return busi_certificate_read_str(certificate, path("edited"), 0, &error);
}

Test(rpc_curve, what_is_read_is_what_was_made)
{
    struct busi_certificate certificate;
    cr_assert_eq(busi_curve_generate(folder, "billing", "auth.CheckToken"), 0);
    cr_assert(is_read("''", &certificate));
    cr_expect(certificate.has_secret && certificate.limited);
    cr_expect_str_eq(certificate.name, "billing");
    cr_expect_str_eq(certificate.methods, "auth.CheckToken");
    cr_expect(is_read("/secret-key/d", &certificate) && !certificate.has_secret);
    cr_expect(is_read("/methods/d", &certificate) && !certificate.limited);
    cr_expect(is_read("'s/^metadata/others/'", &certificate) && !certificate.limited);
    cr_expect_str_eq(certificate.name, "edited", "after its file");
    cr_expect(is_read("'s/^  *methods/    &/'", &certificate) && !certificate.limited, "it is further in");
    static const char *const bad[] = {
        "/public-key/d",
        "'/methods/p;s/CheckToken/GetUser/'", /* which of the two? */
        "/curve/d",
        "'s/^  *methods/  methods/'",
        "'s/methods =/methods/'",
        "'s/CheckToken\"/CheckToken/'",
        "'s/public-key = \"./&a/'",
        "'s/public-key = \"./public-key = \";/'", /* not of Z85 */
        "'s/secret-key = \".*/secret-key = \"\"/'",
        "'s/billing/a b/'",
        "'s/billing//'",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(is_read(bad[i], &certificate), "%s", bad[i]);
}

/* In a child as somebody else of the file's group: 0 it was read, 1 it was not. */
static int read_as_other(uid_t user, gid_t group)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const char *error = NULL;
        if (setgroups(0, NULL) != 0 || setgid(group) != 0 || setuid(user) != 0)
            _exit(2);
        struct busi_curve *curve = busi_curve_open(path("gateway.key"), &error);
        _exit(curve ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(rpc_curve, a_key_of_root_may_be_shared_with_a_group)
{
    if (geteuid() != 0) /* nobody else can make root's files */
        return;
    chmod(folder, 0755);
    cr_assert_eq(chown(path("gateway.key").ptr, 0, 10001), 0);
    chmod(path("gateway.key").ptr, 0440);
    cr_expect_eq(read_as_other(10001, 10001), 0, "as Kubernetes mounts it");
    chmod(path("gateway.key").ptr, 0444);
    cr_expect_eq(read_as_other(10001, 10001), 1, "everybody's");
    chmod(path("gateway.key").ptr, 0460);
    cr_expect_eq(read_as_other(10001, 10001), 1, "the group writes");
    cr_assert_eq(chown(path("gateway.key").ptr, 10002, 10001), 0);
    chmod(path("gateway.key").ptr, 0440);
    cr_expect_eq(read_as_other(10001, 10001), 1, "not root's");
    cr_expect_eq(read_as_other(10002, 10001), 1, "its own");
}

Test(rpc_curve, files_that_are_no_key_are_refused) /* D-08 */
{
    const char *error = NULL;
    cr_expect_null(busi_curve_open(path("missing.key"), &error));
    cr_expect_null(busi_curve_open(busi_str_of(folder), &error));
    cr_expect_null(busi_curve_open((struct busi_str){0}, &error));
    shell("umask 077; : > empty.key; echo hello > text.key; head -c 1000000 /dev/urandom > noise.key;"
          "cp gateway.pub pub.key; sed 's/secret-key = \"..../secret-key = \"/' gateway.key > short.key;"
          "head -c 4096 /dev/urandom > small.key; chmod 600 pub.key");
    static const char *const files[] = {"empty.key", "text.key",  "noise.key",
                                        "pub.key",   "short.key", "small.key"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        error = NULL;
        cr_expect_null(busi_curve_open(path(files[i]), &error), "%s", files[i]);
        cr_expect_not_null(error);
    }
}

static enum busi_code call_with(const char *key, const char *server_pub, const struct server *server,
                                char *caller, size_t room)
{
    struct busi_curve *curve = key ? open_key(key) : NULL;
    struct client *client = start_client(server->endpoint, path(server_pub).ptr, curve, 8);
    enum busi_code code = BUSI_UNAVAILABLE;
    if (within(800, is_ready, client)) {
        struct busi_call call;
        struct busi_business out;
        busi_call_init(&call, 1 << 20);
        call.until_ms = busi_now_ms() + 500;
        code = busi_rpc_directory_get_business(client->rpc, &call,
                                               &(struct busi_business_id_request){.id = 1}, &out);
        if (code == BUSI_OK && caller)
            snprintf(caller, room, "%.*s", BUSI_ARG(out.description));
        busi_call_fini(&call);
    }
    stop_client(&client);
    busi_curve_close(&curve);
    return code;
}

Test(rpc_curve, only_listed_keys_get_in_and_are_known_by_name) /* Z-03 Z-04 */
{
    char caller[64] = "";
    shell("cp gateway.pub allow/");
    struct busi_curve *curve = open_worker();
    struct server *server = start_server("one", "*", curve, 8);
    cr_expect_eq(call_with("gateway.key", "worker.pub", server, caller, sizeof caller), BUSI_OK);
    cr_expect_str_eq(caller, "gateway");
    cr_expect_eq(busi_metric_get(BUSI_METRIC_curve_refused), 0);
    cr_expect_eq(call_with("stranger.key", "worker.pub", server, NULL, 0), BUSI_UNAVAILABLE);
    cr_expect_gt(busi_metric_get(BUSI_METRIC_curve_refused), 0);
    cr_expect_eq(call_with(NULL, "worker.pub", server, NULL, 0), BUSI_UNAVAILABLE, "a plain client");
    cr_expect_eq(call_with("gateway.key", "stranger.pub", server, NULL, 0), BUSI_UNAVAILABLE,
                 "a client that expects another server");
    cr_expect_eq(call_with("gateway.key", "worker.pub", server, NULL, 0), BUSI_OK);
    cr_expect_eq(server->calls, 2);
    stop_server(&server);
    busi_curve_close(&curve);
}

Test(rpc_curve, the_allow_list_changes_without_a_restart) /* Z-04 */
{
    struct busi_curve *curve = open_worker();
    struct server *server = start_server("one", "*", curve, 8);
    char caller[64] = "";
    cr_expect_eq(call_with("gateway.key", "worker.pub", server, NULL, 0), BUSI_UNAVAILABLE,
                 "the list is empty");
    shell("cp gateway.pub allow/ && sleep 0.25");
    cr_expect_eq(call_with("gateway.key", "worker.pub", server, caller, sizeof caller), BUSI_OK);
    cr_expect_str_eq(caller, "gateway");
    shell("rm allow/gateway.pub && sleep 0.25");
    cr_expect_eq(call_with("gateway.key", "worker.pub", server, NULL, 0), BUSI_UNAVAILABLE, "taken away");
    stop_server(&server);
    busi_curve_close(&curve);
}

/* ---- what a client may call ---- */

static void admit(const char *methods)
{
    char command[400];
    snprintf(command, sizeof command,
             "rm -f limited.key limited.pub; sed 's/name = .*/name = \"limited\"\\n    methods = \"%s\"/' "
             "gateway.pub > new.pub"
             " && mv new.pub allow/limited.pub",
             methods);
    shell("%s", command);
}

Test(rpc_curve, a_certificate_may_say_what_its_owner_may_call) /* M-34 */
{
    static const struct {
        const char *methods;
        enum busi_code code; /* of directory.GetBusiness */
    } rows[] = {{"directory.GetBusiness", BUSI_OK},
                {"auth.CheckToken, directory.GetBusiness", BUSI_OK},
                {"directory.*", BUSI_OK},
                {"*", BUSI_OK},
                {"", BUSI_PERMISSION_DENIED},
                {"auth.*", BUSI_PERMISSION_DENIED},
                {"directory.GetBusines", BUSI_PERMISSION_DENIED},
                {"directory.GetBusinessX", BUSI_PERMISSION_DENIED},
                {"Directory.GetBusiness", BUSI_PERMISSION_DENIED}};
    admit("");
    struct busi_curve *curve = open_worker();
    struct server *server = start_server("one", "*", curve, 8);
    int calls = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        admit(rows[i].methods);
        sleep_ms(250);
        cr_expect_eq(call_with("gateway.key", "worker.pub", server, NULL, 0), rows[i].code, "%s",
                     rows[i].methods);
        calls += rows[i].code == BUSI_OK;
    }
    cr_expect_eq(server->calls, calls, "what is refused reaches no handler");
    stop_server(&server);
    busi_curve_close(&curve);
}

/* Connections stay; what may be done with them changes. */
Test(rpc_curve, what_a_client_may_call_changes_while_it_is_connected) /* M-34 */
{
    admit("directory.*");
    struct busi_curve *curve = open_worker(), *own = open_key("gateway.key");
    struct server *server = start_server("one", "*", curve, 8);
    struct client *client = start_ready_client(server->endpoint, path("worker.pub").ptr, own, 8);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    admit("auth.*");
    sleep_ms(2300);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_PERMISSION_DENIED);
    admit("directory.GetBusiness");
    sleep_ms(2300);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    shell("rm allow/limited.pub");
    sleep_ms(2300);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_PERMISSION_DENIED, "its certificate is gone");
    cr_expect_gt(busi_metric_get(BUSI_METRIC_rpc_denied), 0);
    stop_client(&client);
    busi_curve_close(&own);
    stop_server(&server);
    busi_curve_close(&curve);
}

/* ---- new keys ---- */

struct caller_loop {
    struct client *client;
    atomic_bool stop;
    atomic_int calls, failures;
};

static void *call_on(void *arg)
{
    struct caller_loop *loop = arg;
    while (!loop->stop) {
        loop->failures += get_business(loop->client, 1, 1000, NULL) != BUSI_OK;
        loop->calls++;
        sleep_ms(1);
    }
    return NULL;
}

Test(rpc_curve, our_key_changes_without_a_restart_and_without_a_failure)
{
    pthread_t thread;
    cr_assert_eq(busi_curve_generate(folder, "later", NULL), 0);
    shell("cp gateway.pub allow/ && cp gateway.key mine.key && chmod 600 mine.key");
    struct busi_curve *curve = open_worker(), *own = open_key("mine.key");
    struct server *server = start_server("one", "*", curve, 8);
    struct caller_loop loop = {.client =
                                   start_ready_client(server->endpoint, path("worker.pub").ptr, own, 8)};
    cr_assert_eq(pthread_create(&thread, NULL, call_on, &loop), 0);
    sleep_ms(100);
    shell("cp later.key fresh && chmod 600 fresh && mv fresh mine.key");
    sleep_ms(2500); /* the new one is not admitted yet: the old pipe goes on */
    cr_expect_eq(loop.failures, 0);
    shell("cp later.pub allow/");
    sleep_ms(4000);
    shell("rm allow/gateway.pub");
    sleep_ms(2500);
    loop.stop = true;
    pthread_join(thread, NULL);
    cr_expect_eq(loop.failures, 0, "%d of %d", loop.failures, loop.calls);
    cr_expect_gt(loop.calls, 1000);
    stop_client(&loop.client);
    busi_curve_close(&own);
    stop_server(&server);
    busi_curve_close(&curve);
}

Test(rpc_curve, a_key_file_that_turns_into_nonsense_changes_nothing) /* D-08 */
{
    shell("cp gateway.pub allow/ && cp gateway.key mine.key && chmod 600 mine.key");
    struct busi_curve *own = open_key("mine.key");
    cr_expect_eq(busi_curve_renew(own), 0);
    shell("echo nonsense > mine.key");
    cr_expect_eq(busi_curve_renew(own), 0);
    shell("rm mine.key");
    cr_expect_eq(busi_curve_renew(own), 0);
    shell("cp stranger.key mine.key && chmod 600 mine.key");
    cr_expect_eq(busi_curve_renew(own), 1);
    busi_curve_close(&own);
}

/* A worker that has another key now: its callers have been given that one beside the old. */
Test(rpc_curve, a_service_changes_its_key)
{
    cr_assert_eq(busi_curve_generate(folder, "later", NULL), 0);
    shell("cp gateway.pub allow/");
    struct busi_curve *curve = open_worker(), *own = open_key("gateway.key");
    struct server *server = start_server("one", "*", curve, 8);
    char port[8];
    snprintf(port, sizeof port, "%s", strrchr(server->endpoint, ':') + 1);
    struct client *client = start_ready_client(server->endpoint, path("worker.pub").ptr, own, 8);
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    shell("cp later.pub worker.next.pub");
    stop_server(&server);
    busi_curve_close(&curve);
    shell("cp later.key worker.key && chmod 600 worker.key");
    curve = open_worker();
    server = start_server("one", port, curve, 8);
    enum busi_code code = BUSI_UNAVAILABLE;
    for (int i = 0; i < 80 && code != BUSI_OK; i++) {
        sleep_ms(100);
        code = get_business(client, 1, 500, NULL);
    }
    cr_expect_eq(code, BUSI_OK);
    stop_client(&client);
    busi_curve_close(&own);
    stop_server(&server);
    busi_curve_close(&curve);
}

Test(rpc_curve, keys_are_made_for_methods)
{
    cr_expect_eq(busi_curve_generate(folder, "billing", "auth.CheckToken, auth.GetUser"), 0);
    shell("grep -q 'methods = \"auth.CheckToken, auth.GetUser\"' billing.pub");
    cr_expect_neq(busi_curve_generate(folder, "other", "auth.CheckTokens"), 0, "there is no such method");
    cr_expect_neq(busi_curve_generate(folder, "other", "auth.CheckToken\"; x"), 0);
    cr_expect_neq(access(path("other.pub").ptr, F_OK), 0);
}

/* czmq's own store aborts the process on the first of these. */
Test(rpc_curve, a_messy_folder_harms_nobody) /* D-08 */
{
    shell(
        "cp gateway.pub allow/a.pub; cp gateway.pub allow/b.pub; echo noise > allow/c.pub; : > allow/d.pub;"
        "mkdir allow/e.pub; ln -s nowhere allow/f.pub; cp stranger.pub allow/stranger.txt;"
        "head -c 200000 /dev/urandom > allow/g.pub; printf 'metadata\\n    name = \"a b\"\\n' > allow/h.pub;"
        "sed 's/gateway/not a name/' gateway.pub > allow/i.pub");
    /* as Kubernetes mounts a secret */
    shell("mkdir allow/..2026 && cp gateway.pub allow/..2026/k.pub && ln -s ..2026 allow/..data &&"
          "ln -s ..data/k.pub allow/k.pub");
    struct busi_curve *curve = open_worker();
    struct server *server = start_server("one", "*", curve, 8);
    char caller[64] = "";
    cr_expect_eq(call_with("gateway.key", "worker.pub", server, caller, sizeof caller), BUSI_OK);
    cr_expect_str_eq(caller, "gateway");
    cr_expect_eq(call_with("stranger.key", "worker.pub", server, NULL, 0), BUSI_UNAVAILABLE,
                 "only *.pub count");
    stop_server(&server);
    busi_curve_close(&curve);
}

Test(rpc_curve, whoever_is_in_stays_in_when_descriptors_run_out)
{
    int files[256];
    size_t n = 0;
    shell("cp gateway.pub allow/");
    struct busi_curve *curve = open_worker();
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){200, 200}), 0);
    while (n < 256 && (files[n] = open("/dev/null", O_RDONLY)) >= 0)
        n++;
    cr_assert(n > 0 && n < 256);
    close(files[--n]); /* one is left, which the folder itself takes */
    for (int i = 0; i < 15; i++) {
        usleep(100000); /* it is read again meanwhile */
        cr_assert(busi_curve_may(curve, BUSI_STR("gateway"), BUSI_METHOD_auth_check_token), "%d", i);
    }
    while (n > 0)
        close(files[--n]);
    shell("rm allow/gateway.pub && sleep 1.3");
    cr_expect_not(busi_curve_may(curve, BUSI_STR("gateway"), BUSI_METHOD_auth_check_token));
    busi_curve_close(&curve);
}

Test(rpc_curve, a_certificate_without_a_name_is_called_after_its_file)
{
    shell("grep -v name gateway.pub > allow/front-7.pub");
    struct busi_curve *curve = open_worker();
    struct server *server = start_server("one", "*", curve, 8);
    char caller[64] = "";
    cr_expect_eq(call_with("gateway.key", "worker.pub", server, caller, sizeof caller), BUSI_OK);
    cr_expect_str_eq(caller, "front-7");
    stop_server(&server);
    busi_curve_close(&curve);
}

Test(rpc_curve, the_self_test_passes_and_is_quick)
{
    const char *error = "nothing";
    shell("cp worker.pub gateway.pub allow/");
    struct busi_curve *curve = open_worker();
    for (int i = 0; i < 5; i++) {
        int64_t began_ms = busi_now_ms();
        cr_expect(busi_curve_self_test(curve, &error), "%s", error);
        cr_expect_lt(busi_now_ms() - began_ms, 300);
    }
    cr_expect_null(error);
    shell("rm allow/worker.pub && sleep 0.25");
    cr_expect(busi_curve_self_test(curve, &error), "not listed ourselves: %s", error);
    busi_curve_close(&curve);
}

Test(rpc_curve, without_an_allow_list_nobody_is_served)
{
    const char *error = NULL;
    struct busi_curve *curve = open_key("worker.key");
    cr_expect_not(busi_curve_self_test(curve, &error));
    cr_expect_not_null(error);
    struct busi_loop *loop = busi_loop_new();
    struct busi_fibers *fibers = busi_fibers_new(loop, 1, 65536);
    cr_expect_null(busi_rpc_server_new(
        loop,
        &(struct busi_rpc_server_options){
            .service = "auth", .bind = BUSI_STR("tcp://127.0.0.1:*"), .curve = curve, .fibers = fibers},
        &error));
    cr_expect_not(busi_curve_allow(curve, path("no-such-folder"), &error));
    busi_fibers_free(&fibers);
    busi_loop_free(&loop);
    busi_curve_close(&curve);
}

Test(rpc_curve, an_endpoint_in_use_is_said)
{
    const char *error = NULL;
    struct server *server = start_server("one", "*", NULL, 8);
    char bind[80];
    snprintf(bind, sizeof bind, "tcp://%s", server->endpoint);
    struct busi_loop *loop = busi_loop_new();
    struct busi_fibers *fibers = busi_fibers_new(loop, 1, 65536);
    cr_expect_null(busi_rpc_server_new(
        loop,
        &(struct busi_rpc_server_options){.service = "auth", .bind = busi_str_of(bind), .fibers = fibers},
        &error));
    cr_expect_str_eq(error, "the endpoint cannot be bound");
    busi_fibers_free(&fibers);
    busi_loop_free(&loop);
    stop_server(&server);
}
