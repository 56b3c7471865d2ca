/* What anybody on the network can do to a worker's port, with and without CURVE: the worker says no, in
 * bounded time and memory, and its callers do not notice. */
#define _GNU_SOURCE /* memmem */
#include "base/metrics.h"
#include "rpc/envelope.h"
#include "rpc_raw.h"
#include <stdio.h>
#include <sys/resource.h>

enum { HANDSHAKE_MS = 2000, PATIENCE_MS = 6000 };

static char folder[64];

static void make_keys(void)
{
    char command[256];
    struct rlimit files;
    snprintf(folder, sizeof folder, "/tmp/busi-neighbours-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(busi_curve_generate(folder, "one", NULL), 0);
    snprintf(command, sizeof command, "cd %s && mkdir allow && cp one.pub allow/", folder);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static void remove_keys(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(rpc_neighbours, .init = make_keys, .fini = remove_keys, .timeout = 120);

/* A worker and one of its callers. */
struct house {
    struct busi_curve *curve; /* NULL: plain */
    char pub[96];             /* of both: one key pair */
    struct server *server;
    struct client *client;
};

static struct house open_house(bool with_curve)
{
    struct house house = {0};
    char key[96], allow[96];
    const char *error;
    snprintf(key, sizeof key, "%s/one.key", folder);
    snprintf(house.pub, sizeof house.pub, "%s/one.pub", folder);
    snprintf(allow, sizeof allow, "%s/allow", folder);
    if (with_curve) {
        house.curve = busi_curve_open(busi_str_of(key), &error);
        cr_assert(house.curve && busi_curve_allow(house.curve, busi_str_of(allow), &error), "%s", error);
    }
    house.server = start_server("one", "*", house.curve, 8);
    house.client = start_ready_client(house.server->endpoint, house.pub, house.curve, 8);
    return house;
}

static void close_house(struct house *house)
{
    stop_client(&house->client);
    stop_server(&house->server);
    busi_curve_close(&house->curve);
}

static void expect_served(const struct house *house, const char *after)
{
    cr_expect_eq(get_business(house->client, 1, 1500, NULL), BUSI_OK, "after %s", after);
}

/* ---- Z-01: who connects and says nothing, or a little ---- */

static const struct bytes_of beginnings[] = {OF(""),
                                             OF("\xff"),
                                             OF(SIGNATURE),
                                             OF(SIGNATURE "\3\0NULL"),
                                             OF(GREETING("\3", NULL_MECHANISM, "\0")),
                                             OF(GREETING("\3", CURVE_MECHANISM, "\0")),
                                             OF(GREETING("\3", CURVE_MECHANISM, "\0") CURVE_HELLO),
                                             OF(GREETING("\3", NULL_MECHANISM, "\0") "\x04\xff")};
enum { BEGINNINGS = sizeof beginnings / sizeof *beginnings, STRANGERS = 1000 };

/* Every other one says a byte of a greeting now and then. */
static void trickle(int *fds, int64_t until_ms)
{
    static const char greeting[] = GREETING("\3", CURVE_MECHANISM, "\0");
    for (size_t at = 0; at < sizeof greeting - 1 && busi_now_ms() < until_ms; at++, sleep_ms(100))
        for (size_t i = 0; i < STRANGERS; i += 2)
            say(fds[i], greeting + at, 1);
}

static void expect_strangers_gone(bool with_curve)
{
    static int fds[STRANGERS];
    struct house house = open_house(with_curve);
    for (size_t i = 0; i < STRANGERS; i++) {
        fds[i] = dial(house.server);
        if (i % 2 == 1)
            say(fds[i], beginnings[i / 2 % BEGINNINGS].bytes, beginnings[i / 2 % BEGINNINGS].n);
    }
    for (int i = 0; i < 50; i++)
        expect_served(&house, "a thousand came");
    struct client *another =
        start_ready_client(house.server->endpoint, house.pub, house.curve, 8); /* within 5 s, or aborts */
    cr_expect_eq(get_business(another, 1, 1500, NULL), BUSI_OK, "somebody new");
    trickle(fds, busi_now_ms() + HANDSHAKE_MS);
    cr_expect_eq(still_open(fds, STRANGERS, PATIENCE_MS), 0);
    cr_expect_eq(get_business(another, 1, 1500, NULL), BUSI_OK);
    expect_served(&house, "they are gone");
    stop_client(&another);
    close_house(&house);
}

Test(rpc_neighbours, a_thousand_silent_and_slow_ones_disturb_nobody) /* Z-01 */
{
    expect_strangers_gone(false);
}

Test(rpc_neighbours, nor_where_keys_are_asked_for) /* Z-01 */
{
    expect_strangers_gone(true);
}

/* ---- Z-02, Z-03, Z-07, Z-08: who speaks something else, or too much, before he is known ---- */

static const struct {
    const char *what, *bytes;
    size_t n;
} strange[] = {
#define ROW(what, literal)                                                                                   \
    {                                                                                                        \
        what, literal, sizeof(literal) - 1                                                                   \
    }
    ROW("HTTP", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n"),
    ROW("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
    ROW("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ROW("Redis", "*1\r\n$4\r\nPING\r\n"),
    ROW("Postgres", "\0\0\0\x08\x04\xd2\x16\x2f"),
    ROW("SSH", "SSH-2.0-OpenSSH_9.2\r\n"),
    ROW("ZMTP 1, nameless", "\1\0\x03\0abc"),
    ROW("ZMTP 1, named", "\5\0name\4\0abc"),
    ROW("ZMTP 1, a long frame", "\xff\0\0\0\0\0\0\0\1\0"),
    ROW("ZMTP 1 of 2^62", "\xff\x40\0\0\0\0\0\0\0\0"),
    ROW("ZMTP 2, DEALER", SIGNATURE "\1\5\0\0\0\3abc"),
    ROW("ZMTP 2, PULL", SIGNATURE "\1\7\0\0"),
    ROW("ZMTP 2, a socket type there is not", SIGNATURE "\1\x7f\0\0"),
    ROW("revision 0", SIGNATURE "\0\5\0\0\0\3abc"),
    ROW("revision 2", SIGNATURE "\2\5\0\0\0\3abc"),
    ROW("no mechanism", GREETING("\3", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "\0")),
    ROW("a mechanism there is not", GREETING("\3", "PIGEON\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "\0")),
    ROW("in small letters", GREETING("\3", "curve\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "\0")),
    ROW("a mechanism without an end", GREETING("\3", "CURVECURVECURVECURVE", "\0")),
    ROW("GSSAPI", GREETING("\3", "GSSAPI\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "\0")),
    ROW("PLAIN", GREETING("\3", PLAIN_MECHANISM, "\0") "\x04\x0e\x05HELLO\2ad\2ad"),
    ROW("another major", GREETING("\x7f", PLAIN_MECHANISM, "\0")),
    ROW("a message before the handshake", GREETING("\3", NULL_MECHANISM, "\0") "\0\3abc"),
    ROW("more and more before the handshake", GREETING("\3", NULL_MECHANISM, "\0") "\1\1a\1\1b\1\1c\1\1d"),
    ROW("a command of 2^62", GREETING("\3", NULL_MECHANISM, "\0") "\x06\x40\0\0\0\0\0\0\0"),
    ROW("READY without a socket type", GREETING("\3", NULL_MECHANISM, "\0") "\x04\x06\5READY"),
    ROW("READY of a publisher",
        GREETING("\3", NULL_MECHANISM, "\0") "\x04\x19\5READY\xbSocket-Type\0\0\0\3PUB"),
    ROW("READY with a property of 4 GiB",
        GREETING("\3", NULL_MECHANISM, "\0") "\x04\x16\5READY\xbSocket-Type\xff\xff\xff\xff"),
    ROW("READY with a name of nothing", GREETING("\3", NULL_MECHANISM, "\0") "\x04\x0b\5READY\0\0\0\0\0"),
    ROW("ERROR", GREETING("\3", NULL_MECHANISM, "\0") "\x04\x07\5ERROR\0"),
    ROW("ERROR that is cut", GREETING("\3", NULL_MECHANISM, "\0") "\x04\x08\5ERROR\xff"
                                                                  "a"),
    ROW("HELLO of one byte", GREETING("\3", CURVE_MECHANISM, "\0") "\x04\x06\5HELLO"),
    ROW("HELLO of version 9", GREETING("\3", CURVE_MECHANISM, "\0") "\x04\x08\5HELLO\x9\0"),
    ROW("INITIATE first", GREETING("\3", CURVE_MECHANISM, "\0") "\x04\x09\x08INITIATE"),
    ROW("MESSAGE first", GREETING("\3", CURVE_MECHANISM, "\0") "\x04\x08\7MESSAGE"),
    ROW("a message instead of HELLO", GREETING("\3", CURVE_MECHANISM, "\0") "\0\3abc"),
};
enum { STRANGE = sizeof strange / sizeof *strange };

static void expect_strange_refused(bool with_curve)
{
    int fds[STRANGE];
    struct house house = open_house(with_curve);
    for (size_t i = 0; i < STRANGE; i++) {
        fds[i] = dial(house.server);
        say(fds[i], strange[i].bytes, strange[i].n);
    }
    expect_served(&house, "all of them");
    (void)still_open(fds, STRANGE, PATIENCE_MS);
    for (size_t i = 0; i < STRANGE; i++)
        cr_expect_eq(fds[i], -1, "%s: left open", strange[i].what);
    cr_expect_eq(house.server->calls, 1, "none of them has been heard");
    expect_served(&house, "they were refused");
    close_house(&house);
}

Test(rpc_neighbours, who_speaks_something_else_is_sent_away) /* Z-02, Z-03, Z-07, Z-08 */
{
    expect_strange_refused(false);
}

Test(rpc_neighbours, also_where_keys_are_asked_for) /* Z-02, Z-03, Z-07, Z-08 */
{
    expect_strange_refused(true);
}

/* ---- what somebody says who has been let in; without CURVE, so that a test can say it ---- */

struct word {
    char bytes[600];
    size_t n;
};

/* One frame with a whole request for business `id`. */
static struct word request(int64_t id)
{
    struct word word = {0};
    struct busi_buf buf;
    busi_buf_init(&buf, 512);
    busi_request_encode(
        &buf,
        &(struct busi_request_head){.method = BUSI_STR("directory.GetBusiness"), .id = 7, .budget_ms = 5000},
        busi_desc_business_id_request(), &(struct busi_business_id_request){.id = id});
    cr_assert(!buf.failed && buf.len < 256);
    word.bytes[1] = (char)buf.len;
    memcpy(word.bytes + 2, buf.ptr, buf.len);
    word.n = buf.len + 2;
    busi_buf_fini(&buf);
    return word;
}

static bool called(void *arg)
{
    const struct server *server = ((void **)arg)[0];
    return server->calls >= *(int *)((void **)arg)[1];
}

static bool calls_reach(const struct server *server, int calls)
{
    return within(3000, called, (void *[]){(void *)(uintptr_t)server, &calls});
}

/* Z-09: the READY of somebody who calls himself so. */
static struct word ready_as(const char *name, size_t n)
{
    static const char head[] = "\5READY\xbSocket-Type\0\0\0\6DEALER\x08Identity";
    struct word word = {0};
    size_t len = sizeof head - 1 + 4 + n;
    cr_assert_lt(len + 9, sizeof word.bytes);
    word.bytes[0] = 6; /* a long command */
    word.bytes[7] = (char)(len >> 8);
    word.bytes[8] = (char)len;
    memcpy(word.bytes + 9, head, sizeof head - 1);
    char *at = word.bytes + 9 + sizeof head - 1;
    at[2] = (char)(n >> 8);
    at[3] = (char)n;
    memcpy(at + 4, name, n);
    word.n = 9 + len;
    return word;
}

static int come_as(const struct server *server, const char *name, size_t n)
{
    int fd = dial(server);
    struct word ready = ready_as(name, n);
    say(fd, GREETING("\3", NULL_MECHANISM, "\0"), 64);
    say(fd, ready.bytes, ready.n);
    hear_ready(fd);
    return fd;
}

Test(rpc_neighbours, names_of_every_kind_get_their_own_answers) /* Z-09 */
{
    static char longest[512];
    memset(longest, 'n', sizeof longest);
    const struct {
        const char *what, *name;
        size_t n;
        bool heard;
    } rows[] = {{"none", "", 0, true},
                {"a zero", "\0", 1, true},
                {"as libzmq itself makes them", "\0\1\2\3\4", 5, true},
                {"longer than those", "\0\1\2\3\4\5", 6, true},
                {"255 bytes", longest, 255, true},
                {"256 bytes", longest, 256, false},
                {"512 bytes", longest, 512, false}};
    struct house house = open_house(false);
    struct word word = request(1);
    int calls = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = come_as(house.server, rows[i].name, rows[i].n);
        say(fd, word.bytes, word.n);
        calls += rows[i].heard;
        cr_expect(calls_reach(house.server, calls), "%s: not heard", rows[i].what);
        expect_served(&house, rows[i].what);
        cr_expect_eq(house.server->calls, ++calls, "%s: heard", rows[i].what);
        close(fd);
    }
    close_house(&house);
}

/* Somebody comes with the name of one who is there, while that one waits for an answer. */
Test(rpc_neighbours, a_name_that_is_taken_takes_no_answers) /* Z-09 */
{
    struct house house = open_house(false);
    struct word word = request(ID_SLEEP + 500);
    char answer[4096];
    int first = come_as(house.server, "\0same", 5);
    say(first, word.bytes, word.n);
    cr_assert(calls_reach(house.server, 1));
    int second = come_as(house.server, "\0same", 5);
    say(second, word.bytes, word.n);
    sleep_ms(800);
    ssize_t n = recv(first, answer, sizeof answer, MSG_DONTWAIT);
    cr_expect(n > 0 && memmem(answer, (size_t)n, "one", 3), "the first has its answer");
    n = recv(second, answer, sizeof answer, MSG_DONTWAIT);
    cr_expect_not(n > 0 && memmem(answer, (size_t)n, "one", 3), "the second has nothing");
    cr_expect_eq(house.server->calls, 1, "nor is it heard");
    close(first);
    close(second);
    expect_served(&house, "that");
    close_house(&house);
}

/* Z-10: commands and messages a ROUTER has no use for. */
static const struct {
    const char *what, *bytes;
    size_t n;
    int times;
} useless[] = {
#define SAYING(what, times, literal)                                                                         \
    {                                                                                                        \
        what, literal, sizeof(literal) - 1, times                                                            \
    }
    SAYING("subscriptions", 20000, "\x04\x0e\x09SUBSCRIBEabcd"),
    SAYING("cancellations", 20000, "\x04\x0b\6CANCELabcd"),
    SAYING("subscriptions of old", 20000, "\0\5\1abcd"),
    SAYING("JOIN", 100, "\x04\x08\4JOINabc"),
    SAYING("LEAVE", 100, "\x04\x09\5LEAVEabc"),
    SAYING("an unknown command", 100, "\x04\x08\3FOOabcd"),
    SAYING("a command with an empty name", 100, "\x04\1\0"),
    SAYING("an empty command", 1, "\x04\0"),
    SAYING("a name longer than its command", 1,
           "\x04\3\xff"
           "ab"),
    SAYING("PING without a time to live", 1, "\x04\5\4PING"),
    SAYING("PING with TTL 0", 1000, "\x04\7\4PING\0\0"),
    SAYING("PING with the longest TTL", 100,
           "\x04\x0b\4PING\xff\xff"
           "abcd"),
    SAYING("PONG nobody asked for", 1000, "\x04\x09\4PONGabcd"),
    SAYING("READY again", 10, NULL_READY),
    SAYING("ERROR", 1, "\x04\x09\5ERROR\2no"),
    SAYING("frames with unknown flags", 1, "\xf8\1a"),
    SAYING("empty messages", 20000, "\0\0"),
    SAYING("messages of empty frames", 2000, "\1\0\1\0\1\0\0\0"),
    SAYING("a command that promises more", 10, "\x05\x08\3FOOabcd\0\1a"),
};

Test(rpc_neighbours, what_is_of_no_use_is_ignored) /* Z-10 */
{
    struct house house = open_house(false);
    for (size_t i = 0; i < sizeof useless / sizeof *useless; i++) {
        int fd = come_in(house.server);
        for (int k = 0; k < useless[i].times; k++)
            say(fd, useless[i].bytes, useless[i].n);
        expect_served(&house, useless[i].what);
        close(fd);
    }
    cr_expect_eq(house.server->calls, sizeof useless / sizeof *useless);
    close_house(&house);
}

Test(rpc_neighbours, a_ping_with_a_large_context_is_none) /* Z-10 */
{
    static char ping[9 + 7 + 65536] = "\x06\0\0\0\0\0\1\0\x07\4PING\0\1";
    struct house house = open_house(false);
    int fd = come_in(house.server);
    for (int i = 0; i < 50; i++)
        say(fd, ping, sizeof ping);
    expect_served(&house, "it");
    close(fd);
    close_house(&house);
}

/* ---- Z-07, Z-08: sizes and numbers of frames ---- */

Test(rpc_neighbours, a_frame_may_be_as_large_as_a_request_and_no_larger) /* Z-07 */
{
    static const struct {
        const char *what, *bytes; /* of the frame's head */
        bool closed;
    } rows[] = {{"of 2^64-1", "\2\xff\xff\xff\xff\xff\xff\xff\xff", true},
                {"of 2^63", "\2\x80\0\0\0\0\0\0\0", true},
                {"of 2^62", "\2\x40\0\0\0\0\0\0\0", true},
                {"of 8 GiB", "\2\0\0\0\2\0\0\0\0", true},
                {"of 4 GiB", "\2\0\0\0\1\0\0\0\0", true},
                {"just too large", "\2\0\0\0\0\0\x20\0\x41", true},
                {"just too large, of many", "\3\0\0\0\0\0\x20\0\x41", true},
                {"as large as may be", "\2\0\0\0\0\0\x20\0\0", false}};
    struct house house = open_house(false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = come_in(house.server);
        say(fd, rows[i].bytes, 9);
        cr_expect_eq(closes(fd, rows[i].closed ? PATIENCE_MS : 300), rows[i].closed, "%s", rows[i].what);
        close(fd);
        expect_served(&house, rows[i].what);
    }
    close_house(&house);
}

static int64_t resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* One message of 400,000 frames without an end: libzmq keeps it, 64 bytes each, until the connection goes. */
Test(rpc_neighbours, a_message_without_an_end_is_no_message) /* Z-08 */
{
    static char frames[3 * 1000];
    struct house house = open_house(false);
    for (size_t i = 0; i < sizeof frames; i += 3)
        memcpy(frames + i, "\1\1a", 3);
    int64_t before_kib = resident_kib();
    for (int round = 0; round < 3; round++) {
        int fd = come_in(house.server);
        for (int i = 0; i < 400; i++)
            say(fd, frames, sizeof frames);
        expect_served(&house, "it");
        close(fd);
    }
    expect_served(&house, "it was given up");
    cr_expect_eq(house.server->calls, 4);
    cr_expect_lt(resident_kib() - before_kib, 256 * 1024);
    close_house(&house);
}

static bool malformed(void *at_least)
{
    return busi_metric_get(BUSI_METRIC_rpc_malformed) >= *(int *)at_least;
}

Test(rpc_neighbours, of_frames_there_is_one) /* Z-08 */
{
    static const int numbers[] = {0, 2, 3, 10, 1000};
    struct house house = open_house(false);
    struct word word = request(1), more = word;
    more.bytes[0] = 1;
    for (int i = 0; i < 5; i++) {
        int fd = come_in(house.server);
        for (int k = 1; k < numbers[i]; k++)
            say(fd, more.bytes, more.n);
        if (numbers[i] > 0)
            say(fd, word.bytes, word.n);
        else
            say(fd, "\0\0", 2);
        cr_expect(within(3000, malformed, &(int){i + 1}), "%d frames", numbers[i]);
        close(fd);
    }
    cr_expect_eq(house.server->calls, 0);
    int fd = come_in(house.server);
    say(fd, word.bytes, word.n);
    cr_expect(calls_reach(house.server, 1), "one frame is a request");
    close(fd);
    close_house(&house);
}
