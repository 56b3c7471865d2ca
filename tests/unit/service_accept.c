/* A listener of libzmq's for whose newcomers there is no descriptor. CivetWeb's is in
 * gateway_front_clients.c. */
#include "base/clock.h"
#include "base/metrics.h"
#include "service/accept.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

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

static void dial_with(int fd, int port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
}

/* It would be told of them again and again, and do nothing else. */
Test(service_accept, a_worker_shows_out_whom_it_has_no_descriptor_for, .timeout = 20)
{
    enum { CLIENTS = 8 };
    int clients[CLIENTS], port = 0;
    char endpoint[64], byte;
    size_t size = sizeof endpoint;
    busi_accept_init();
    void *context = zmq_ctx_new(), *worker = zmq_socket(context, ZMQ_ROUTER);
    cr_assert_eq(zmq_bind(worker, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(worker, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    cr_assert_eq(sscanf(endpoint, "tcp://127.0.0.1:%d", &port), 1);
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct rlimit before = take_descriptors();
    double busy = processor_s();
    int64_t began = busi_now_ms();
    for (int i = 0; i < CLIENTS; i++)
        dial_with(clients[i], port);
    for (int i = 0; i < CLIENTS; i++) {
        const struct timeval patience = {.tv_sec = 1};
        setsockopt(clients[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        cr_expect_eq(recv(clients[i], &byte, 1, 0), 0, "it is left waiting");
    }
    usleep(500 * 1000);
    cr_expect_lt(processor_s() - busy, 0.3 * (double)(busi_now_ms() - began) / 1000);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_turned_away), CLIENTS);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    int later = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    dial_with(later, port);
    cr_expect_eq(recv(later, &byte, 1, 0), 1, "a greeting");
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    close(later);
    zmq_close(worker);
    zmq_ctx_term(context);
}
