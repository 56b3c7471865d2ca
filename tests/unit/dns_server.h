/* A name server of the test's own, in a network and with a resolv.conf of the test's own: what getaddrinfo()
 * really asks and hears. */
#pragma once
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DNS_A = 1, DNS_AAAA = 28, DNS_CNAME = 5, DNS_PACKET = 4096, DNS_HEAD = 12 };

static atomic_int dns_round;   /* which addresses "changes" has */
static atomic_int dns_queries; /* that came so far */

static inline void dns_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s: %s", path, strerror(errno));
}

/* This process alone in a network of its own, where only we are root if we are not root here. Skipped where
 * neither may be had, as in a container without the right to, or in a chroot. */
static inline void dns_enter_network(void)
{
    char ids[64], path[] = "/tmp/busi-resolv-XXXXXX";
    unsigned user = getuid(), group = getgid();
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
            cr_skip_test("wants a network of its own: root, or users who may have one");
        dns_write("/proc/self/setgroups", "deny");
        snprintf(ids, sizeof ids, "0 %u 1", user);
        dns_write("/proc/self/uid_map", ids);
        snprintf(ids, sizeof ids, "0 %u 1", group);
        dns_write("/proc/self/gid_map", ids);
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        cr_skip_test("wants mounts of its own: %s", strerror(errno));
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0, "%s", strerror(errno));
    close(fd);
    fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    dns_write(path, "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n");
    cr_assert_eq(mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL), 0, "%s", strerror(errno));
    unlink(path);
}

struct dns_answer {
    unsigned char bytes[DNS_PACKET];
    size_t n;
};

static inline void dns_put(struct dns_answer *answer, const void *bytes, size_t n)
{
    memcpy(answer->bytes + answer->n, bytes, n);
    answer->n += n;
}

/* One record of the name that was asked for. */
static inline void dns_record(struct dns_answer *answer, int type, const void *data, size_t n)
{
    const unsigned char head[] = {0xC0, DNS_HEAD, 0, (unsigned char)type, 0, 1, 0, 0,
                                  0,    0,        0, (unsigned char)n};
    dns_put(answer, head, sizeof head);
    dns_put(answer, data, n);
    answer->bytes[7]++; /* fewer than 256 */
}

static inline void dns_addresses(struct dns_answer *answer, int type, int net, int n)
{
    for (int i = 1; i <= n && type == DNS_A; i++)
        dns_record(answer, DNS_A, (unsigned char[]){127, 0, (unsigned char)net, (unsigned char)i}, 4);
}

static inline bool dns_is(const unsigned char *question, const char *label)
{
    size_t n = strlen(label);
    return question[0] == n && memcmp(question + 1, label, n) == 0;
}

/* By the first label of the name. False: no answer at all. */
static inline bool dns_answer_of(struct dns_answer *answer, const unsigned char *question, int type)
{
    static const unsigned char loopback6[16] = {[15] = 1}, itself[] = {0xC0, DNS_HEAD};
    if (dns_is(question, "silent"))
        return false;
    if (dns_is(question, "slow"))
        usleep(600 * 1000);
    if (dns_is(question, "none"))
        answer->bytes[3] |= 3;
    else if (dns_is(question, "fails"))
        answer->bytes[3] |= 2;
    else if (dns_is(question, "refuses"))
        answer->bytes[3] |= 5;
    else if (dns_is(question, "fifty"))
        dns_addresses(answer, type, 50, 50);
    else if (dns_is(question, "many"))
        dns_addresses(answer, type, 200, 200);
    else if (dns_is(question, "changes"))
        dns_addresses(answer, type, 100 + atomic_load(&dns_round), 3);
    else if (dns_is(question, "six") && type == DNS_AAAA)
        dns_record(answer, DNS_AAAA, loopback6, sizeof loopback6);
    else if (dns_is(question, "loop"))
        dns_record(answer, DNS_CNAME, itself, sizeof itself);
    else if (dns_is(question, "garbage"))
        memset(answer->bytes + DNS_HEAD, 0xA5, answer->n - DNS_HEAD);
    else if (dns_is(question, "promises"))
        answer->bytes[7] = 200; /* records that do not come */
    else if (dns_is(question, "short"))
        answer->n = 7;
    else if (dns_is(question, "stranger"))
        answer->bytes[0] ^= 0xFF; /* of another question */
    else if (dns_is(question, "one") || dns_is(question, "slow"))
        dns_addresses(answer, type, 0, 1);
    return true;
}

static inline void *dns_main(void *arg)
{
    int fd = *(int *)arg;
    for (;;) {
        unsigned char asked[512];
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, asked, sizeof asked, 0, (struct sockaddr *)&from, &size);
        if (n < DNS_HEAD + 6)
            continue;
        size_t end = DNS_HEAD;
        while (end + 5 < (size_t)n && asked[end])
            end += asked[end] + 1u;
        struct dns_answer answer = {.n = end + 5};
        if (answer.n > (size_t)n)
            continue;
        memcpy(answer.bytes, asked, answer.n);
        memcpy(answer.bytes + 2, (unsigned char[]){0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, 10);
        atomic_fetch_add(&dns_queries, 1);
        if (dns_answer_of(&answer, asked + DNS_HEAD, asked[end + 2]))
            sendto(fd, answer.bytes, answer.n, 0, (struct sockaddr *)&from, size);
    }
    return NULL;
}

/* Enters the network and answers there until the process ends. */
static inline void dns_start(void)
{
    static int fd;
    pthread_t thread;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    dns_enter_network();
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0, "%s", strerror(errno));
    cr_assert_eq(pthread_create(&thread, NULL, dns_main, &fd), 0);
    pthread_detach(thread);
}
