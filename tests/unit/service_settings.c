#include "service/setting_row.h"
#include "service/settings.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* One reading and what it said. Criterion runs each test in a process of its own. */
static struct busi_settings settings;
static struct busi_arena arena;
static struct busi_buf errors;
static char folder[64];

static void begin(void)
{
    busi_arena_init(&arena, 1024 * 1024);
    busi_buf_init(&errors, 64 * 1024);
    strcpy(folder, "/tmp/busi-settings-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void end(void)
{
    char command[128];
    busi_arena_fini(&arena);
    busi_buf_fini(&errors);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(settings, .init = begin, .fini = end);

static const char *write_file(const char *name, const void *bytes, size_t n)
{
    static char path[4][128];
    static unsigned next;
    char *to = path[next++ % 4];
    snprintf(to, sizeof(path[0]), "%s/%s", folder, name);
    FILE *file = fopen(to, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, n, file), n);
    fclose(file);
    return to;
}

static const char *write_text(const char *name, const char *text)
{
    return write_file(name, text, strlen(text));
}

static const char *said(void)
{
    busi_buf_char(&errors, 0);
    return errors.ptr;
}

/* Reads a file (or NULL) and the environment given as a list of strings. */
#define READ(user, file, ...)                                                                                \
    (busi_buf_clear(&errors),                                                                                \
     busi_settings_read(&settings, user, file, (char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, &arena,          \
                        &errors))
#define EXPECT_FINE(...) cr_assert(READ(__VA_ARGS__), "%s", said())
#define EXPECT_SAID(text, ...)                                                                               \
    do {                                                                                                     \
        busi_buf_clear(&errors);                                                                             \
        cr_assert_not(READ(__VA_ARGS__));                                                                    \
        cr_expect_str_eq(said(), text);                                                                      \
    } while (0)

static void expect_text(struct busi_str got, const char *want)
{
    cr_expect(busi_str_eq(got, busi_str_of(want)), "'%.*s' is not '%s'", BUSI_ARG(got), want);
}

Test(settings, every_default_fits_its_own_row)
{
    for (unsigned user = BUSI_USER_G; user <= BUSI_USER_M; user <<= 1)
        EXPECT_FINE((enum busi_user)user, NULL);
    cr_expect_eq(settings.http_port, 4000);
    cr_expect_eq(settings.jwt_lifetime_ms, 28 * 86400000LL);
    cr_expect_eq(settings.password_memory, 19 * 1024 * 1024);
    cr_expect_eq(settings.http_timeout_ms, 3000);
    expect_text(settings.log_level, "info");
}

Test(settings, the_environment_wins_over_the_file_and_the_file_over_the_default)
{
    const char *file = write_text("a.conf", "http_port = 1001\nhttp_bind = 127.0.0.2\n");
    EXPECT_FINE(BUSI_USER_G, file, "BUSI_HTTP_PORT=1002", "PATH=/bin", "HTTP_PORT=x");
    cr_expect_eq(settings.http_port, 1002);
    expect_text(settings.http_bind, "127.0.0.2");
    cr_expect_eq(settings.http_threads, 1024);
}

Test(settings, units_are_understood)
{
    EXPECT_FINE(BUSI_USER_G, NULL, "BUSI_HTTP_HEAD_TIMEOUT=250ms", "BUSI_HTTP_BODY_TIMEOUT=2m",
                "BUSI_HTTP_TIMEOUT=1m", "BUSI_HTTP_BODY_LIMIT=64K", "BUSI_HTTP_BUSINESS_BODY_LIMIT=1M",
                "BUSI_DRAIN=1s");
    cr_expect_eq(settings.http_head_timeout_ms, 250);
    cr_expect_eq(settings.http_body_timeout_ms, 120000);
    cr_expect_eq(settings.http_timeout_ms, 60000);
    cr_expect_eq(settings.http_body_limit, 65536);
    cr_expect_eq(settings.http_business_body_limit, 1048576);
    cr_expect_eq(settings.drain_ms, 1000);
    EXPECT_FINE(BUSI_USER_A, NULL, "BUSI_JWT_LIFETIME=1h");
    cr_expect_eq(settings.jwt_lifetime_ms, 3600000);
}

static void expect_rates(const char *text, const char *printed)
{
    struct busi_buf out;
    char entry[128];
    const char *wanted;
    snprintf(entry, sizeof(entry), "BUSI_LIMIT_SIGN_IN_NETWORK=%s", text);
    EXPECT_FINE(BUSI_USER_A, NULL, entry);
    busi_buf_init(&out, 64 * 1024);
    busi_settings_print(&out, &settings, BUSI_USER_A);
    busi_buf_char(&out, 0);
    wanted = strstr(out.ptr, "\nBUSI_LIMIT_SIGN_IN_NETWORK=");
    cr_assert_not_null(wanted);
    wanted += strlen("\nBUSI_LIMIT_SIGN_IN_NETWORK=");
    cr_expect(strncmp(wanted, printed, strlen(printed)) == 0 && wanted[strlen(printed)] == '\n', "'%s'",
              text);
    busi_buf_fini(&out);
}

Test(settings, rates_are_understood)
{
    expect_rates("3/10s", "3/10s");
    cr_expect_eq(settings.limit_sign_in_network.n, 1);
    cr_expect_eq(settings.limit_sign_in_network.rate[0].count, 3);
    cr_expect_eq(settings.limit_sign_in_network.rate[0].window_ms, 10000);
    expect_rates("1/1000ms 2/60s 3/60m 1000000/24h", "1/1s 2/1m 3/1h 1000000/1d");
    cr_expect_eq(settings.limit_sign_in_network.n, 4);
    cr_expect_eq(settings.limit_sign_in_network.rate[3].window_ms, 86400000);
    expect_rates("off", "off");
    cr_expect_eq(settings.limit_sign_in_network.n, 0);
    expect_rates("OFF", "off");
}

Test(settings, what_are_no_rates_names_its_culprit)
{
    static const char *const wrong[] = {"",
                                        "on",
                                        "3",
                                        "3/",
                                        "/10s",
                                        "3/10",
                                        "3/s",
                                        "0/10s",
                                        "-1/10s",
                                        "3/0s",
                                        "3/999ms",
                                        "3/2d",
                                        "1000001/1s",
                                        "3/10s,10/1m",
                                        " 3/10s",
                                        "3/10s ",
                                        "3/10s  4/1m",
                                        "3/10s 4",
                                        "3/10s off",
                                        "3 /10s",
                                        "3/10s/1",
                                        "1/1s 1/1s 1/1s 1/1s 1/1s",
                                        "99999999999999999999/1s",
                                        "3/99999999999999999d",
                                        "3.5/10s",
                                        "0x3/10s"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong)[0]; i++) {
        char entry[128];
        snprintf(entry, sizeof(entry), "BUSI_LIMIT_SIGN_IN_NETWORK=%s", wrong[i]);
        cr_expect_not(READ(BUSI_USER_A, NULL, entry), "'%s'", wrong[i]);
        cr_expect_eq(strncmp(said(), "BUSI_LIMIT_SIGN_IN_NETWORK: '", 29), 0, "%s", errors.ptr);
    }
    EXPECT_SAID(
        "BUSI_LIMIT_SIGN_IN_NETWORK: '3' is not 'off' or up to 4 rates of 1 to 1000000 in 1s to 1d, like "
        "3/10s or 5/10m 10/15m\n",
        BUSI_USER_A, NULL, "BUSI_LIMIT_SIGN_IN_NETWORK=3");
}

Test(settings, an_out_of_range_value_names_its_culprit_in_its_unit)
{
    EXPECT_SAID("BUSI_HTTP_PORT: 99999 is not within 1..65535\n", BUSI_USER_G, NULL, "BUSI_HTTP_PORT=99999");
    EXPECT_SAID("BUSI_HTTP_PORT: 0 is not within 1..65535\n", BUSI_USER_G, NULL, "BUSI_HTTP_PORT=0");
    EXPECT_SAID("BUSI_HTTP_PORT: -1 is not within 1..65535\n", BUSI_USER_G, NULL, "BUSI_HTTP_PORT=-1");
    EXPECT_SAID("BUSI_HTTP_TIMEOUT: 50ms is not within 100ms..1m\n", BUSI_USER_G, NULL,
                "BUSI_HTTP_TIMEOUT=50ms");
    EXPECT_SAID("BUSI_HTTP_BODY_LIMIT: 1G is not within 1K..16M\n", BUSI_USER_G, NULL,
                "BUSI_HTTP_BODY_LIMIT=1G");
    EXPECT_SAID("BUSI_JWT_ISSUER: its length in bytes, 0, is not within 1..128\n", BUSI_USER_A, NULL,
                "BUSI_JWT_ISSUER=");
}

Test(settings, a_value_of_another_type_names_its_culprit)
{
    static const char *const ports[] = {
        "", "x", "4000x", "4e3", "0x10", "+5", "1 2", " 1", "04000", "-", "1.5", "١", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports)[0]; i++) {
        char entry[64];
        snprintf(entry, sizeof(entry), "BUSI_HTTP_PORT=%s", ports[i]);
        cr_expect_not(READ(BUSI_USER_G, NULL, entry), "'%s'", ports[i]);
        cr_expect_eq(strncmp(said(), "BUSI_HTTP_PORT: '", 17), 0, "%s", errors.ptr);
    }
    EXPECT_SAID("BUSI_DRAIN: '10' is not a duration with its unit, like 250ms, 5s, 2m, 1h or 28d\n",
                BUSI_USER_G, NULL, "BUSI_DRAIN=10");
    EXPECT_SAID("BUSI_DRAIN: '10 s' is not a duration with its unit, like 250ms, 5s, 2m, 1h or 28d\n",
                BUSI_USER_G, NULL, "BUSI_DRAIN=10 s");
    EXPECT_SAID("BUSI_DRAIN: '9223372036854775807d' is not a duration with its unit, like 250ms, 5s, 2m, 1h "
                "or 28d\n",
                BUSI_USER_G, NULL, "BUSI_DRAIN=9223372036854775807d");
    EXPECT_SAID("BUSI_HTTP_BODY_LIMIT: '1KB' is not a size in bytes, like 512, 64K or 1M\n", BUSI_USER_G,
                NULL, "BUSI_HTTP_BODY_LIMIT=1KB");
    EXPECT_SAID("BUSI_MAIL_FROM: 'a?b' is not UTF-8 text without control characters\n", BUSI_USER_M, NULL,
                "BUSI_MAIL_FROM=a\nb");
    EXPECT_SAID("BUSI_MAIL_FROM: 'a??b' is not UTF-8 text without control characters\n", BUSI_USER_M, NULL,
                "BUSI_MAIL_FROM=a\xff\xfe"
                "b");
}

Test(settings, unknown_names_are_refused_with_the_nearest)
{
    EXPECT_SAID("BUSI_HTTP_PROT: there is no such setting; did you mean BUSI_HTTP_PORT?\n", BUSI_USER_G, NULL,
                "BUSI_HTTP_PROT=1");
    EXPECT_SAID("BUSI_COLOUR_OF_THE_BIKE_SHED: there is no such setting\n", BUSI_USER_G, NULL,
                "BUSI_COLOUR_OF_THE_BIKE_SHED=red");
    EXPECT_SAID("BUSI_: there is no such setting\n", BUSI_USER_G, NULL, "BUSI_=1");
    EXPECT_SAID("BUSI_HTTP_PORT_FILE: there is no such setting\n", BUSI_USER_G, NULL,
                "BUSI_HTTP_PORT_FILE=/dev/null");
}

Test(settings, several_faults_are_all_said)
{
    EXPECT_SAID("BUSI_HTTP_PORT: 'a' is not a whole number\n"
                "BUSI_X: there is no such setting\n"
                "BUSI_FIBERS_: there is no such setting; did you mean BUSI_FIBERS?\n",
                BUSI_USER_G, NULL, "BUSI_HTTP_PORT=a", "BUSI_X=", "BUSI_FIBERS_=1");
}

Test(settings, settings_of_other_processes_may_be_there)
{
    const char *file = write_text("shared.conf", "jwt_secret = abc\nredis = redis://h:1/0\nhttp_port = 1\n");
    EXPECT_FINE(BUSI_USER_G, file, "BUSI_AUTH_DATABASE=host=a", "BUSI_JWT_SECRET_FILE=/nowhere");
    cr_expect_eq(settings.jwt_secret.len, 0);
}

Test(settings, what_scripts_and_kubernetes_set_is_ignored)
{
    EXPECT_FINE(BUSI_USER_G, NULL, "BUSI_VAR=/x", "BUSI_CONFIG=/y", "BUSI_TEST_POSTGRES=z",
                "BUSI_REPLICAS_AUTH=2", "BUSI_AUTH_SERVICE_HOST=10.0.0.1", "BUSI_AUTH_SERVICE_PORT=80",
                "BUSI_AUTH_SERVICE_PORT_RPC=80", "BUSI_AUTH_PORT=tcp://10.0.0.1:80",
                "BUSI_AUTH_PORT_80_TCP=tcp://10.0.0.1:80", "BUSI_AUTH_PORT_80_TCP_PROTO=tcp",
                "BUSI_AUTH_PORT_80_TCP_ADDR=10.0.0.1", "BUSI_SERVICE_HOST=10.0.0.1", "BUSI_SERVICE_PORT=1",
                "BUSI_PORT=tcp://10.0.0.1:80", "BUSI_PORT_80_TCP_PORT=80",
                "BUSI_HTTP_PORT=tcp://10.0.0.9:80");
    cr_expect_eq(settings.http_port, 4000);
    EXPECT_SAID("BUSI_AUTH_PORT: there is no such setting; did you mean BUSI_HTTP_PORT?\n", BUSI_USER_G, NULL,
                "BUSI_AUTH_PORT=80");
}

Test(settings, a_secret_comes_from_a_file_without_its_last_line_end) /* D-08 */
{
    char entry[160];
    snprintf(entry, sizeof(entry), "BUSI_JWT_SECRET_FILE=%s", write_text("jwt", "s3cret\n"));
    EXPECT_FINE(BUSI_USER_A, NULL, entry);
    expect_text(settings.jwt_secret, "s3cret");
    snprintf(entry, sizeof(entry), "BUSI_JWT_SECRET_FILE=%s", write_text("jwt", " a b \n\n"));
    EXPECT_FINE(BUSI_USER_A, NULL, entry);
    expect_text(settings.jwt_secret, " a b \n");
    char line[160];
    snprintf(line, sizeof(line), "jwt_secret_file = %s\n", write_text("jwt", "windows\r\n"));
    EXPECT_FINE(BUSI_USER_A, write_text("a.conf", line));
    expect_text(settings.jwt_secret, "windows");
}

Test(settings, a_secret_file_that_cannot_be_read_is_named) /* D-08 */
{
    char entry[160];
    cr_assert_not(READ(BUSI_USER_A, NULL, "BUSI_JWT_SECRET_FILE=/nowhere/jwt"));
    cr_expect_not_null(strstr(said(), "BUSI_JWT_SECRET_FILE: cannot read '/nowhere/jwt': No such file"));
    snprintf(entry, sizeof(entry), "BUSI_JWT_SECRET_FILE=%s", folder);
    cr_assert_not(READ(BUSI_USER_A, NULL, entry));
    cr_expect_not_null(strstr(said(), "is not a regular file"), "%s", errors.ptr);
    cr_assert_not(READ(BUSI_USER_A, NULL, "BUSI_JWT_SECRET_FILE="));
    cr_expect_not_null(strstr(said(), "BUSI_JWT_SECRET_FILE: names no file"), "%s", errors.ptr);
    /* a pipe nobody writes to must not hang the start */
    char pipe[100];
    snprintf(pipe, sizeof(pipe), "%s/pipe", folder);
    cr_assert_eq(mkfifo(pipe, 0600), 0);
    snprintf(entry, sizeof(entry), "BUSI_JWT_SECRET_FILE=%s", pipe);
    cr_assert_not(READ(BUSI_USER_A, NULL, entry));
    cr_expect_not_null(strstr(said(), "is not a regular file"), "%s", errors.ptr);
}

Test(settings, a_secret_is_never_repeated_in_an_error) /* D-08 */
{
    char entry[160], big[2100];
    snprintf(entry, sizeof(entry), "BUSI_JWT_SECRET_FILE=%s", write_file("jwt", "hush\0hush", 9));
    EXPECT_SAID("BUSI_JWT_SECRET: is not free of NUL bytes\n", BUSI_USER_A, NULL, entry);
    memset(big, 'h', sizeof(big));
    memcpy(big, "BUSI_JWT_SECRET=", 16);
    big[sizeof(big) - 1] = 0;
    EXPECT_SAID("BUSI_JWT_SECRET: its length in bytes, 2083, is not within 0..2048\n", BUSI_USER_A, NULL,
                big);
    memset(big, 'h', sizeof(big));
    snprintf(entry, sizeof(entry), "BUSI_JWT_SECRET_FILE=%s", write_file("jwt", big, sizeof(big)));
    cr_assert_not(READ(BUSI_USER_A, NULL, entry));
    cr_expect_null(strstr(said(), "hhhh"));
    cr_expect_not_null(strstr(errors.ptr, "is larger than it may be"), "%s", errors.ptr);
}

Test(settings, nothing_is_given_twice)
{
    const char *file = write_text("a.conf", "http_port = 1\nhttp_port = 2\n");
    cr_assert_not(READ(BUSI_USER_G, file));
    cr_expect_not_null(strstr(said(), "/a.conf line 2: is given twice"), "%s", errors.ptr);
    cr_expect_eq(strncmp(errors.ptr, "BUSI_HTTP_PORT, ", 16), 0, "%s", errors.ptr);
    cr_assert_not(READ(BUSI_USER_A, NULL, "BUSI_JWT_SECRET=a", "BUSI_JWT_SECRET_FILE=/nowhere"));
    cr_expect_not_null(strstr(said(), "BUSI_JWT_SECRET_FILE: is given twice"), "%s", errors.ptr);
}

Test(settings, a_wrong_file_is_named_with_its_line) /* D-08 */
{
    char want[1024];
    const char *file = write_text("a.conf", "# x\nhttp_prot = 1\nnonsense\nhttp_port = 70000\nvar = 1\n");
    snprintf(want, sizeof(want),
             "BUSI_HTTP_PROT, %s line 2: there is no such setting; did you mean BUSI_HTTP_PORT?\n"
             "%s line 3: is not \"key = value\"\n"
             "BUSI_HTTP_PORT, %s line 4: 70000 is not within 1..65535\n"
             "BUSI_VAR, %s line 5: there is no such setting\n",
             file, file, file, file);
    EXPECT_SAID(want, BUSI_USER_G, file);
    cr_assert_not(READ(BUSI_USER_G, "/nowhere/a.conf"));
    cr_expect_not_null(strstr(said(), "/nowhere/a.conf: cannot read the configuration: No such file"));
}

Test(settings, a_file_of_ten_mebibytes_is_refused) /* D-08 */
{
    size_t n = 10 * 1024 * 1024;
    char *bytes = malloc(n);
    cr_assert_not_null(bytes);
    memset(bytes, '#', n);
    const char *file = write_file("big.conf", bytes, n);
    free(bytes);
    cr_assert_not(READ(BUSI_USER_G, file));
    cr_expect_not_null(strstr(said(), "is larger than it may be"), "%s", errors.ptr);
}

Test(settings, printing_masks_secrets_and_only_secrets)
{
    struct busi_buf out;
    busi_buf_init(&out, 64 * 1024);
    EXPECT_FINE(BUSI_USER_A, NULL, "BUSI_JWT_SECRET=hushhush", "BUSI_PASSWORD_MEMORY=20M",
                "BUSI_REDIS=redis://:hushhush@h/0");
    busi_settings_print(&out, &settings, BUSI_USER_A);
    busi_buf_char(&out, 0);
    cr_expect_null(strstr(out.ptr, "hush"));
    cr_expect_not_null(strstr(out.ptr, "\nBUSI_JWT_SECRET=***\n"));
    cr_expect_not_null(strstr(out.ptr, "\nBUSI_REDIS=***\n"));
    cr_expect_not_null(strstr(out.ptr, "\nBUSI_TOKEN_HASH_KEY=\n"), "an empty secret is seen to be empty");
    cr_expect_not_null(strstr(out.ptr, "\nBUSI_PASSWORD_MEMORY=20M\n"));
    cr_expect_not_null(strstr(out.ptr, "\nBUSI_JWT_LIFETIME=28d\n"));
    cr_expect_null(strstr(out.ptr, "BUSI_HTTP_PORT"), "another process's setting");
    busi_buf_fini(&out);
}

Test(settings, what_is_printed_can_be_read_back)
{
    struct busi_buf out;
    busi_buf_init(&out, 64 * 1024);
    EXPECT_FINE(BUSI_USER_G, NULL, "BUSI_HTTP_TIMEOUT=1500ms", "BUSI_HTTP_BODY_LIMIT=1025");
    busi_settings_print(&out, &settings, BUSI_USER_G);
    busi_buf_char(&out, 0);
    char *environment[64] = {NULL}, *rest = NULL;
    size_t n = 0;
    for (char *line = strtok_r(out.ptr, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        environment[n++] = line;
    struct busi_settings again;
    cr_assert(busi_settings_read(&again, BUSI_USER_G, NULL, environment, &arena, &errors), "%s", said());
    cr_expect_eq(again.http_timeout_ms, 1500);
    cr_expect_eq(again.http_body_limit, 1025);
    cr_expect_eq(again.http_threads, settings.http_threads);
    busi_buf_fini(&out);
}

Test(settings, help_fits_80_columns)
{
    for (unsigned user = BUSI_USER_G; user <= BUSI_USER_M; user <<= 1) {
        struct busi_buf out;
        busi_buf_init(&out, 64 * 1024);
        busi_settings_help(&out, (enum busi_user)user);
        busi_buf_char(&out, 0);
        char *rest = NULL;
        for (char *line = strtok_r(out.ptr, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            cr_expect_leq(strlen(line), 80, "%s", line);
        busi_buf_fini(&out);
    }
}
