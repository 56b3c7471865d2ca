#include "store/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Shared by the loop and the thread: whoever lets go last frees it, so that neither waits for the other (a
 * dead name server can hold getaddrinfo() for half a minute). */
struct busi_resolve {
    atomic_int owners;          /* 2: loop and thread */
    int done_fd;                /* eventfd; written by the thread when found is complete */
    struct busi_watch *watch;   /* loop side */
    busi_resolve_fn *fn;        /* loop side */
    void *arg;                  /* loop side */
    struct busi_resolved found; /* the thread's until done_fd is readable */
    char hosts[];               /* copy; the thread cuts it at the commas */
};

static void let_go(struct busi_resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->owners, 1) > 1)
        return;
    close(resolve->done_fd);
    free(resolve);
}

bool busi_resolve_needed(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (!host || !*host || *host == '/' || *host == '@')
        return false;
    return inet_pton(AF_INET, host, address) != 1 && inet_pton(AF_INET6, host, address) != 1;
}

static void add(struct busi_resolved *found, size_t host, const struct addrinfo *info)
{
    if (found->n == BUSI_RESOLVE_MOST)
        return;
    char *text = found->items[found->n].text;
    if (info && getnameinfo(info->ai_addr, info->ai_addrlen, text, BUSI_RESOLVE_ADDRESS, NULL, 0,
                            NI_NUMERICHOST) != 0)
        return;
    found->items[found->n++].host = host;
}

static void look_up(struct busi_resolved *found, size_t index, const char *host)
{
    if (!busi_resolve_needed(host) && (!*host || *host == '/' || *host == '@')) {
        add(found, index, NULL);
        return;
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        return;
    for (const struct addrinfo *info = list; info; info = info->ai_next)
        add(found, index, info);
    freeaddrinfo(list);
}

static void *thread_main(void *arg)
{
    struct busi_resolve *resolve = arg;
    char *at = resolve->hosts;
    size_t index = 0;
    do
        look_up(&resolve->found, index++, strsep(&at, ","));
    while (at);
    uint64_t one = 1;
    if (write(resolve->done_fd, &one, sizeof one) != sizeof one)
        abort(); /* an eventfd at 0 takes a 1 */
    let_go(resolve);
    return NULL;
}

static void on_done(void *arg, unsigned events)
{
    (void)events;
    struct busi_resolve *resolve = arg;
    uint64_t one;
    /* the read is what orders the thread's writes to found before ours */
    if (read(resolve->done_fd, &one, sizeof one) != sizeof one)
        return;
    busi_watch_free(&resolve->watch);
    resolve->fn(resolve->arg, &resolve->found);
    let_go(resolve);
}

/* Signals are for the main thread only. */
static bool start_thread(struct busi_resolve *resolve)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 256 * 1024);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, &attributes, thread_main, resolve) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

struct busi_resolve *busi_resolve_start(struct busi_loop *loop, const char *hosts, busi_resolve_fn *fn,
                                        void *arg)
{
    size_t size = strlen(hosts) + 1;
    struct busi_resolve *resolve = calloc(1, sizeof *resolve + size);
    if (!resolve)
        return NULL;
    memcpy(resolve->hosts, hosts, size);
    resolve->fn = fn;
    resolve->arg = arg;
    atomic_init(&resolve->owners, 2);
    resolve->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolve->done_fd < 0)
        goto no_fd;
    resolve->watch = busi_loop_fd(loop, resolve->done_fd, BUSI_READABLE, on_done, resolve);
    if (!resolve->watch)
        goto no_watch;
    if (start_thread(resolve))
        return resolve;
    busi_watch_free(&resolve->watch);
no_watch:
    close(resolve->done_fd);
no_fd:
    free(resolve);
    return NULL;
}

void busi_resolve_cancel(struct busi_resolve **resolve)
{
    if (!*resolve)
        return;
    busi_watch_free(&(*resolve)->watch);
    let_go(*resolve);
    *resolve = NULL;
}
