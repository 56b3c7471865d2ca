/* The front and slow, greedy or vanishing clients; its drain and its end. */
#define _GNU_SOURCE /* unshare */
#include "base/clock.h"
#include "base/metrics.h"
#include "few_threads.h"
#include "gateway_front_kit.h"
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(front_clients, .init = start_front, .fini = stop_front, .timeout = 30);

/* ---- bodies ---- */

Test(front_clients, reads_bodies_in_pieces)
{
    static char text[BODY_LIMIT + 1];
    char head[128];
    memset(text, 'x', BODY_LIMIT);
    int s = dial();
    snprintf(head, sizeof(head), POST "Content-Length: %d\r\n\r\n", BODY_LIMIT);
    say(s, head);
    for (int i = 0; i < 10; i++) {
        usleep(5000);
        say_bytes(s, text, BODY_LIMIT / 10);
    }
    say(s, BEHIND);
    hear(s, 300);
    cr_expect_str_eq(statuses(), "200 200");
    cr_expect(memcmp(body(), "/a||xxxx", 8) == 0);
    close(s);
}

Test(front_clients, answers_expectations)
{
    int s = dial();
    say(s, POST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    hear(s, 100);
    cr_expect_str_eq(got, "HTTP/1.1 100 Continue\r\n\r\n");
    say(s, "{}");
    hear(s, 100);
    cr_expect_str_eq(body(), "/a||{}");
    close(s);
    ask(POST "Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
    cr_expect_str_eq(statuses(), "413");
}

Test(front_clients, refuses_long_bodies_before_they_come)
{
    int64_t begun = busi_now_ms();
    int s = dial();
    say(s, POST "Content-Length: 9999999999\r\n\r\n");
    static char junk[65536];
    bool cut = false;
    while (!cut && busi_now_ms() - begun < 5000)
        cut = send(s, junk, sizeof(junk), MSG_NOSIGNAL) < 0;
    cr_expect(cut);
    cr_expect(busi_now_ms() - begun < 1000, "%d ms", (int)(busi_now_ms() - begun));
    close(s);
    s = dial();
    say(s, POST "Content-Length: 100001\r\n\r\n");
    hear(s, 1000);
    cr_expect_str_eq(statuses(), "413");
    cr_expect_str_eq(body(), "refused 413 /a");
    cr_expect(was_closed);
    close(s);
}

/* Sends text, then one byte every so often until the front closes; how long that took. */
static int64_t drip(const char *text, char byte, int every_ms)
{
    int64_t begun = busi_now_ms();
    int s = dial();
    say(s, text);
    for (was_closed = false; !was_closed && busi_now_ms() - begun < 8000;) {
        if (send(s, &byte, 1, MSG_NOSIGNAL) < 0)
            break;
        hear(s, every_ms);
        if (got_len > 0)
            break;
    }
    int64_t took = busi_now_ms() - begun;
    close(s);
    return took;
}

Test(front_clients, ends_dripped_heads)
{
    int64_t took = drip("GET / HTTP/1.1\r\nX: ", 'a', 50);
    cr_expect(took < HEAD_MS + 1000, "%d ms", (int)took);
    cr_expect_str_eq(statuses(), "408");
}

Test(front_clients, ends_dripped_bodies)
{
    int before = atomic_load(&answered);
    int64_t took = drip(POST "Content-Length: 1000\r\n\r\n", 'a', 50);
    cr_expect(took >= BODY_MS - 10 && took < BODY_MS + 500, "%d ms", (int)took);
    cr_expect_str_eq(statuses(), "408");
    expect_header("Connection: close");
    cr_expect(atomic_load(&answered) == before);
    cr_expect(http_front_busy(front) == 0);
}

Test(front_clients, acts_on_no_short_body)
{
    int s = dial();
    say(s, POST "Content-Length: 10\r\n\r\nshort");
    shutdown(s, SHUT_WR);
    hear(s, 1000);
    cr_expect_str_eq(statuses(), "400");
    cr_expect(was_closed);
    close(s);
    s = dial();
    say(s, POST "Content-Length: 10\r\n\r\nshort");
    usleep(20000);
    struct linger reset = {1, 0};
    setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(s);
    s = dial();
    say(s, POST "Content-Length: 10\r\n\r\nshort");
    hear(s, BODY_MS * 2);
    cr_expect_str_eq(statuses(), "408");
    close(s);
    cr_expect(atomic_load(&answered) == 0);
    ask(BEHIND);
    cr_expect_str_eq(statuses(), "200");
}

/* ---- slow and many clients ---- */

Test(front_clients, delivers_after_a_half_close)
{
    int s = dial();
    say(s, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    shutdown(s, SHUT_WR);
    hear(s, 1000);
    cr_expect(was_closed);
    cr_expect(strlen(body()) == BIG_BYTES);
    close(s);
}

Test(front_clients, gives_up_clients_that_do_not_read)
{
    int s = dial();
    say(s, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    usleep(100 * 1000);
    cr_expect(http_front_busy(front) == 1);
    usleep((BODY_MS + 300) * 1000);
    cr_expect(http_front_busy(front) == 0);
    close(s);
}

Test(front_clients, keeps_no_connection_when_crowded)
{
    int crowd[8];
    for (int i = 0; i < 8; i++) {
        crowd[i] = dial();
        say(crowd[i], BEHIND);
        hear(crowd[i], 10);
        cr_assert_not(was_closed);
    }
    ask(BEHIND BEHIND);
    cr_expect_str_eq(statuses(), "200");
    expect_header("Connection: close");
    cr_expect(was_closed);
    for (int i = 0; i < 8; i++)
        close(crowd[i]);
    usleep(50 * 1000);
    ask(BEHIND BEHIND);
    cr_expect_str_eq(statuses(), "200 200");
}

/* The beginning of BEHIND, and what is missing. */
#define BEGUN "GET /behind HT"
#define MISSING "TP/1.1\r\n" HOST "Connection: close\r\n\r\n"

Test(front_clients, gives_no_thread_to_who_says_nothing)
{
    int silent[5 * THREADS];
    for (int i = 0; i < 5 * THREADS; i++)
        silent[i] = dial();
    usleep(30 * 1000);
    ask(BEHIND BEHIND);
    cr_expect_str_eq(statuses(), "200 200", "not even crowded");
    for (int i = 0; i < 5 * THREADS; i++) {
        say(silent[i], GET "Connection: close\r\n\r\n");
        hear(silent[i], 300);
        cr_expect_str_eq(statuses(), "200");
        close(silent[i]);
    }
}

Test(front_clients, ends_who_does_not_go_on_for_those_who_ask)
{
    enum { SLOW = 3 * THREADS };
    int slow[SLOW], kept = dial();
    say(kept, BEHIND);
    hear(kept, 10);
    for (int i = 0; i < SLOW; i++) {
        slow[i] = dial();
        say(slow[i], BEGUN);
    }
    int64_t begun = busi_now_ms();
    int s = dial();
    say(s, BEHIND);
    /* the slow ones have every thread and wait for more: nobody who comes can make room */
    for (got_len = 0; got_len == 0 && busi_now_ms() - begun < HEAD_MS;) {
        http_front_tend(front);
        hear(s, 15);
    }
    cr_expect_str_eq(statuses(), "200");
    cr_expect(busi_now_ms() - begun < HEAD_MS, "%d ms", (int)(busi_now_ms() - begun));
    hear(slow[0], 50);
    cr_expect_str_eq(statuses(), "408");
    cr_expect(was_closed);
    say(kept, BEHIND);
    hear(kept, 50);
    cr_expect_str_eq(statuses(), "200", "who has asked before keeps his place");
    for (int i = 0; i < SLOW; i++)
        close(slow[i]);
    close(s);
    close(kept);
}

Test(front_clients, ends_nobody_while_threads_are_left)
{
    int slow[THREADS - 3];
    for (int i = 0; i < THREADS - 3; i++) {
        slow[i] = dial();
        say(slow[i], BEGUN);
    }
    usleep(30 * 1000);
    http_front_tend(front);
    ask(BEHIND);
    cr_expect_str_eq(statuses(), "200");
    for (int i = 0; i < THREADS - 3; i++) {
        say(slow[i], MISSING);
        hear(slow[i], 300);
        cr_expect_str_eq(statuses(), "200");
        close(slow[i]);
    }
}

Test(front_clients, survives_clients_that_come_and_go)
{
    for (int i = 0; i < 500; i++) {
        int s = dial();
        struct linger reset = {1, 0};
        if (i % 2)
            setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        if (i % 3 == 0)
            say(s, "GET / HT");
        close(s);
    }
    ask(BEHIND);
    cr_expect_str_eq(statuses(), "200");
}

/* Sends a head of a body of so many bytes, and none of these. */
static int announce(int bytes)
{
    char head[256];
    int s = dial();
    snprintf(head, sizeof(head), POST "Content-Length: %d\r\n\r\n", bytes);
    say(s, head);
    usleep(50 * 1000);
    return s;
}

static const char *finish(int s, size_t bytes)
{
    static char text[BODY_LIMIT];
    memset(text, 'x', bytes);
    say_bytes(s, text, bytes);
    hear(s, 200);
    close(s);
    return statuses();
}

Test(front_clients, large_bodies_share_their_memory)
{
    int first = announce(BODY_LIMIT), second = announce(BODY_LIMIT), small = announce(BODY_LIMIT / 2);
    cr_expect_str_eq(finish(second, BODY_LIMIT), "503", "also when all of it is sent: it hears why");
    expect_header("Retry-After: 1");
    expect_header("Connection: close");
    cr_expect_str_eq(finish(small, BODY_LIMIT / 2), "200", "who needs little asks nobody");
    cr_expect_str_eq(finish(first, BODY_LIMIT), "200");
    cr_expect_str_eq(finish(announce(BODY_LIMIT), BODY_LIMIT), "200", "it is given back behind an answer");
    close(announce(BODY_LIMIT));
    usleep(50 * 1000);
    cr_expect_str_eq(finish(announce(BODY_LIMIT), BODY_LIMIT), "200", "and when its sender leaves");
}

static void *ask_slow(void *arg)
{
    int s = dial();
    say(s, "GET /slow HTTP/1.1\r\n" HOST "\r\n");
    char text[512];
    ssize_t n = recv(s, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    *(bool *)arg = strncmp(text, "HTTP/1.1 200", 12) == 0 && strstr(text, "/slow||");
    close(s);
    return NULL;
}

/* A balancer takes a gateway out of its list, but not the connections that were made before. */
Test(front_clients, ends_kept_connections_behind_an_answer_before_it_drains)
{
    int s = dial();
    say(s, BEHIND);
    hear(s, 100);
    cr_expect_str_eq(statuses(), "200");
    cr_expect_not(was_closed);
    http_front_leave(front);
    say(s, BEHIND);
    hear(s, 1500);
    close(s);
    cr_expect_str_eq(statuses(), "200", "served: it is the connection that ends");
    expect_header("Connection: close");
    cr_expect(was_closed);
}

Test(front_clients, drains)
{
    pthread_t thread;
    bool served = false;
    cr_assert(pthread_create(&thread, NULL, ask_slow, &served) == 0);
    usleep(100 * 1000);
    http_front_drain(front);
    cr_expect(http_front_busy(front) == 1);
    ask(BEHIND BEHIND);
    cr_expect_str_eq(statuses(), "503");
    expect_header("Connection: close");
    expect_header("Retry-After: 1");
    cr_expect(was_closed);
    pthread_join(thread, NULL);
    cr_expect(served, "a request in work is answered");
    usleep(10 * 1000);
    cr_expect(http_front_busy(front) == 0);
}

/* Clients that come back at once would otherwise hold up the drain for ever. */
Test(front_clients, does_not_wait_for_those_it_refuses_while_it_drains)
{
    http_front_drain(front);
    int refused[3];
    for (int i = 0; i < 3; i++) {
        char text[512] = "";
        refused[i] = dial();
        say(refused[i], i == 2 ? "nonsense\r\n\r\n" : BEHIND);
        cr_expect(recv(refused[i], text, sizeof(text) - 1, 0) > 0); /* and now the front lingers */
        cr_expect_str_neq(text, "");
    }
    cr_expect(http_front_busy(front) == 0);
    for (int i = 0; i < 3; i++)
        close(refused[i]);
}

/* CivetWeb's parser looks past what was received, at what earlier connections left in the thread's buffer. */
Test(front_clients, never_meets_what_another_left_behind)
{
    char text[1024];
    for (int i = 0; i < THREADS * 2; i++) {
        snprintf(text, sizeof(text),
                 POST "Connection: close\r\nContent-Length: 500\r\n\r\n%400s" BEHIND "%100s", "", "");
        text[sizeof(POST "Connection: close\r\nContent-Length: 500\r\n\r\n") - 1 + 500] = 0;
        ask(text);
        cr_assert_str_eq(statuses(), "200");
    }
    int before = atomic_load(&answered);
    for (int i = 0; i < THREADS * 2; i++) {
        ask("\r\n\r\n");
        cr_expect_str_eq(statuses(), "400");
    }
    cr_expect(atomic_load(&answered) == before);
}

Test(front_clients, closes_at_once_although_connections_are_kept)
{
    int kept[4];
    for (int i = 0; i < 4; i++) {
        kept[i] = dial();
        say(kept[i], BEHIND);
        hear(kept[i], 20);
        cr_expect_not(was_closed);
    }
    int64_t begun = busi_now_ms();
    http_front_close(&front);
    cr_expect(busi_now_ms() - begun < HEAD_MS / 2, "%d ms", (int)(busi_now_ms() - begun));
    for (int i = 0; i < 4; i++)
        close(kept[i]);
}

/* What is in work when the front closes is answered too. */
Test(front_clients, closes_behind_the_last_answer)
{
    pthread_t thread;
    bool served = false;
    cr_assert(pthread_create(&thread, NULL, ask_slow, &served) == 0);
    usleep(100 * 1000);
    http_front_close(&front);
    pthread_join(thread, NULL);
    cr_expect(served);
    const char *error = NULL;
    front = open_front(&error);
    cr_expect(front, "the port is free again: %s", error);
}

Test(front_clients, starts_only_where_it_can)
{
    const char *error = NULL;
    cr_expect_null(open_front(&error));
    cr_expect(strstr(error, "cannot listen"), "%s", error);
    settings.http_bind = BUSI_STR("127.0.0.1:80s,0.0.0.0");
    cr_expect_null(open_front(&error));
    cr_expect_str_eq(error, "BUSI_HTTP_BIND is no IPv4 address");
    settings.http_bind = BUSI_STR("::1");
    cr_expect_null(open_front(&error));
    settings.http_bind = BUSI_STR("127.0.0.1");
    settings.http_threads = 1 << 30;
    cr_expect_null(open_front(&error));
    settings.http_threads = THREADS;
}

static int threads_here(void)
{
    int n = -2; /* "." and ".." */
    DIR *tasks = opendir("/proc/self/task");
    while (tasks && readdir(tasks))
        n++;
    closedir(tasks);
    return n;
}

enum start { REFUSED, SERVED, LAME };

/* In a process of its own: what CivetWeb began and cannot end stays there. */
static enum start start_with_threads(int most)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const char *error = "";
        front = allow_threads((rlim_t)most) ? open_front(&error) : NULL;
        if (!front)
            _exit(strstr(error, "threads") ? REFUSED : LAME);
        ask(GET "\r\n");
        _exit(strcmp(statuses(), "200") == 0 && threads_here() == THREADS + 2 ? SERVED : LAME);
    }
    cr_assert(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return (enum start)WEXITSTATUS(status);
}

Test(front_clients, serves_with_all_its_threads_or_not_at_all)
{
    const char *error = NULL;
    int most = 1;
    http_front_close(&front);
    if (!bow_to_limits())
        cr_skip_test("nobody may have fewer threads here");
    for (enum start start = REFUSED; start == REFUSED && most < 10 * THREADS; most++) {
        start = start_with_threads(most);
        cr_assert_neq(start, LAME, "with %d threads", most);
    }
    cr_expect(most > THREADS && most < 10 * THREADS, "%d", most);
    front = open_front(&error);
    cr_expect(front, "%s", error);
}

/* ---- no descriptors ---- */

/* From now on nothing can be opened. */
static struct rlimit take_descriptors(void)
{
    struct rlimit before;
    int next = dup(STDERR_FILENO);
    close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next, before.rlim_max}), 0);
    return before;
}

static double processor_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

Test(front_clients, shows_out_whom_it_has_no_descriptor_for)
{
    enum { CLIENTS = 8 };
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct rlimit before = take_descriptors();
    double busy = processor_s();
    int64_t began = busi_now_ms();
    for (int i = 0; i < CLIENTS; i++) {
        dial_with(clients[i]);
        say(clients[i], GET);
        hear(clients[i], 1000);
        cr_expect(was_closed);
    }
    usleep(500 * 1000);
    int64_t took_ms = busi_now_ms() - began;
    cr_expect_lt(took_ms, 2000);
    cr_expect_lt(processor_s() - busy, 0.5 * (double)took_ms / 1000);
    cr_expect_geq(busi_metric_get(BUSI_METRIC_turned_away), CLIENTS);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ask(GET "\r\n");
    cr_expect_str_eq(statuses(), "200");
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
}
