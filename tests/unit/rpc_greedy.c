/* Who has been let in and asks for more than is good for others: answers nobody reads, requests that are
 * large. */
#include "base/metrics.h"
#include "rpc/calls.h"
#include "rpc/unread.h"
#include "rpc_peer.h"
#include "rpc_raw.h"
#include <poll.h>
#include <stdio.h>

/* A sanitizer keeps what has been freed for a while. */
#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { KEEPS_FREED = 1 };
#else
enum { KEEPS_FREED = 0 };
#endif

static int64_t resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert(file && fscanf(file, "%*d %ld", &pages) == 1);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void expect_grown_by_less(int64_t before_kib, int mib)
{
    int64_t kib = resident_kib() - before_kib;
    cr_expect(KEEPS_FREED || kib < mib * 1024, "%d KiB", (int)kib);
}

/* ---- what is noted ---- */

enum { MANY = 256 };

static struct busi_peer peer_of(int number)
{
    struct busi_peer peer = {.len = sizeof number};
    memcpy(peer.id, &number, sizeof number);
    return peer;
}

/* How many of so many bytes may be sent to a connection; they are kept in notes. */
static size_t fill(struct busi_unread *unread, int peer, const char *name, size_t bytes,
                   struct busi_frame_note **notes, size_t most)
{
    size_t n = 0;
    struct busi_peer to = peer_of(peer);
    while (n < most && (notes[n] = busi_unread_add(unread, &to, busi_str_of(name), bytes)) != NULL)
        n++;
    return n;
}

static void take_all(struct busi_frame_note **notes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        notes[i]->done(notes[i]);
}

Test(rpc_greedy, a_connection_has_so_many_bytes_unread_and_no_more)
{
    enum { BYTES = 1024 * 1024, FIT = BUSI_UNREAD_PEER_MOST / BYTES };
    struct busi_frame_note *notes[MANY], *more[MANY];
    struct busi_unread *unread = busi_unread_new();
    struct busi_peer first = peer_of(1), second = peer_of(2);
    cr_expect_eq(fill(unread, 1, "one", BYTES, notes, MANY), FIT);
    cr_expect(busi_unread_much(unread, &first, BUSI_STR("one")));
    cr_expect_not(busi_unread_much(unread, &second, BUSI_STR("one")),
                  "one beside it has nothing to do with it");
    cr_expect_eq(fill(unread, 2, "one", BYTES, more, 1), 1);
    take_all(notes, FIT);
    cr_expect_not(busi_unread_much(unread, &first, BUSI_STR("one")));
    cr_expect_eq(fill(unread, 1, "one", BYTES, notes, MANY), FIT, "there is room again");
    take_all(notes, FIT);
    take_all(more, 1);
    busi_unread_free(&unread);
}

Test(rpc_greedy, nor_have_all_connections_of_a_certificate)
{
    enum { BYTES = 1024 * 1024, FIT = BUSI_UNREAD_NAME_MOST / BYTES };
    struct busi_frame_note *notes[MANY];
    struct busi_unread *unread = busi_unread_new();
    struct busi_peer late = peer_of(100);
    size_t n = 0;
    for (int peer = 0; peer < 20; peer++)
        n += fill(unread, peer, "one", BYTES, notes + n, MANY - n);
    cr_expect_eq(n, FIT);
    cr_expect_not(busi_unread_much(unread, &late, BUSI_STR("one")), "who reads is not to blame");
    n += fill(unread, 100, "one", 4096, notes + n, 3);
    cr_expect_eq(n, FIT + 3, "and has what is little");
    n += fill(unread, 100, "one", BYTES, notes + n, 1);
    cr_expect_eq(n, FIT + 3);
    n += fill(unread, 101, "other", BYTES, notes + n, 1);
    cr_expect_eq(n, FIT + 4, "another certificate has its own");
    take_all(notes, n);
    busi_unread_free(&unread);
}

static void *take_later(void *notes)
{
    take_all(notes, MANY);
    return NULL;
}

Test(rpc_greedy, what_is_unread_may_be_taken_by_any_thread_and_after_the_end)
{
    static struct busi_frame_note *notes[MANY];
    struct busi_unread *unread = busi_unread_new();
    pthread_t thread;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < MANY; i++)
            cr_assert_eq(fill(unread, i % 7, "one", 100, notes + i, 1), 1);
        pthread_create(&thread, NULL, take_later, notes);
        for (int i = 0; i < 1000; i++) {
            struct busi_frame_note *note;
            cr_assert_eq(fill(unread, i % 11, "one", 100, &note, 1), 1);
            take_all(&note, 1);
        }
        pthread_join(thread, NULL);
    }
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(fill(unread, i, "one", 100, notes + i, 1), 1);
    busi_unread_free(&unread);
    take_all(notes, MANY);
}

/* ---- who does not read ---- */

static void ask_and_never_read(int fd, const char *method, int64_t business, int times)
{
    char frame[2 + 1024];
    for (int i = 0; i < times; i++) {
        size_t n = request(frame + 2, 1024, method, (uint64_t)i + 1, 30000, business);
        cr_assert_lt(n, 256);
        frame[0] = 0;
        frame[1] = (char)n;
        say(fd, frame, n + 2);
    }
}

struct counter {
    enum busi_metric metric;
    int64_t before;
};

static bool has_grown(void *arg)
{
    struct counter *counter = arg;
    return busi_metric_get(counter->metric) > counter->before;
}

/* The other end says nothing when it gives up: it is asked. */
static bool has_ended(void *fd)
{
    struct pollfd end = {.fd = *(int *)fd};
    sleep_ms(200);
    say(*(int *)fd, "\0", 1);
    return poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLERR));
}

/* 250 kB each, for which half a MiB is allocated. */
Test(rpc_greedy, who_does_not_read_is_given_little_and_disturbs_nobody, .timeout = 60)
{
    enum { ASKED = 400 };
    struct server *server = start_server("one", "*", NULL, 64);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct counter shed = {BUSI_METRIC_rpc_shed, busi_metric_get(BUSI_METRIC_rpc_shed)};
    int64_t before_kib = resident_kib();
    int fd = come_in(server);
    ask_and_never_read(fd, "directory.GetBusiness", ID_BIG, ASKED);
    cr_expect(within(5000, has_grown, &shed), "it is told to read first");
    for (int i = 0; i < 50; i++)
        cr_expect_eq(get_business(client, ID_BIG, 1000, NULL), BUSI_OK);
    cr_expect_lt(server->calls, ASKED / 2 + 50, "%d", (int)server->calls);
    expect_grown_by_less(before_kib, 48);
    cr_expect(within(15000, has_ended, &fd), "nobody waits for it for ever");
    close(fd);
    stop_client(&client);
    stop_server(&server);
}

/* Kilobytes for a question of 30 bytes. */
Test(rpc_greedy, who_asks_what_there_is_and_does_not_read_costs_little, .timeout = 60)
{
    struct server *server = start_server("one", "*", NULL, 64);
    struct client *client = start_ready_client(server->endpoint, "", NULL, 8);
    struct counter shed = {BUSI_METRIC_rpc_shed, busi_metric_get(BUSI_METRIC_rpc_shed)};
    int64_t before_kib = resident_kib();
    int fd = come_in(server);
    ask_and_never_read(fd, "rpc.Describe", 1, 6000);
    cr_expect(within(5000, has_grown, &shed), "so often in a second and no oftener");
    cr_expect_eq(get_business(client, 1, 1000, NULL), BUSI_OK);
    expect_grown_by_less(before_kib, 9);
    close(fd);
    stop_client(&client);
    stop_server(&server);
}

/* ---- large requests ---- */

/* {1: business, 99: so many bytes} */
static size_t large_request(char *bytes, uint64_t id, int64_t business, uint32_t more)
{
    static const char tail[] = "\x63\xc6";
    size_t n = request(bytes, 512, "directory.GetBusiness", id, 30000, business);
    char *map = memchr(bytes + n - 7, '\x81', 7); /* the body is the last, one int of at most five bytes */
    cr_assert_not_null(map);
    *map = '\x82';
    memcpy(bytes + n, tail, sizeof tail - 1);
    n += sizeof tail - 1;
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes[n++] = (char)(more >> shift);
    memset(bytes + n, 'x', more);
    return n + more;
}

Test(rpc_greedy, of_large_requests_only_some_are_worked_on_at_once, .timeout = 60)
{
    enum { BYTES = 2 * 1024 * 1024 - 1024, FIT = BUSI_CALLS_LARGE_MOST / BYTES, ASKED = FIT + 8 };
    static char bytes[2 * 1024 * 1024];
    char reply[4096];
    struct server *server = start_server("one", "*", NULL, 128);
    void *peer = connect_peer(server);
    int refused = 0, done = 0;
    for (uint64_t id = 1; id <= ASKED; id++)
        send_frames(peer, 1, bytes, large_request(bytes, id, ID_SLEEP + 3000, BYTES));
    size_t n = request(bytes, sizeof bytes, "directory.GetBusiness", 1000, 30000, 1);
    send_frames(peer, 1, bytes, n);
    for (int i = 0; i <= ASKED; i++) {
        struct busi_reply_head head;
        const char *bad = "nothing came";
        int len = receive(peer, reply, sizeof reply, 10000);
        cr_assert(len > 0 && busi_reply_decode((struct busi_str){reply, (size_t)len}, &head, &bad), "%s",
                  bad);
        cr_expect(head.id != 1000 || (head.code == BUSI_OK && done == 0),
                  "what is small goes on beside them");
        refused += head.code == BUSI_RESOURCE_EXHAUSTED && head.retry_after_ms > 0;
        done += head.code == BUSI_OK && head.id != 1000;
    }
    cr_expect(done >= FIT && done < ASKED, "%d", done);
    cr_expect_eq(done + refused, ASKED);
    send_frames(peer, 1, bytes, large_request(bytes, 1, 1, BYTES));
    n = (size_t)receive(peer, reply, sizeof reply, 2000);
    struct busi_reply_head head = {.code = -1};
    const char *bad;
    cr_expect(busi_reply_decode((struct busi_str){reply, n}, &head, &bad) && head.code == BUSI_OK,
              "and then there is room again");
    zmq_close(peer);
    stop_server(&server);
}
