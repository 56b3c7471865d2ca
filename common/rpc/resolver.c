#define _GNU_SOURCE /* pthread_setname_np */
#include "rpc/resolver.h"
#include "base/clock.h"
#include "base/log.h"
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { EVERY_MS = 5000, FAILED_MS = 1000, LEAST_MS = 250, HOST_ROOM = 256 };

struct host {
    char name[HOST_ROOM];        /* what to look up */
    struct busi_addresses found; /* last good answer */
    bool fresh;                  /* not taken yet */
    bool failed;                 /* the last look-up; the log says changes only */
};

struct busi_resolver {
    pthread_mutex_t lock; /* guards all that follows */
    pthread_cond_t news;  /* hurry or closed */
    struct host *hosts;   /* owned */
    size_t n;             /* of hosts */
    bool hurry;           /* do not wait the whole pause */
    bool closed;          /* the owner has left */
    int users;            /* owner and thread; the last one frees */
};

static void leave(struct busi_resolver *resolver) /* lock held */
{
    bool last = --resolver->users == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&resolver->lock);
    pthread_cond_destroy(&resolver->news);
    free(resolver->hosts);
    free(resolver);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool look_up(const char *name, struct busi_addresses *out)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    *out = (struct busi_addresses){0};
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return false;
    for (const struct addrinfo *at = list; at && out->n < BUSI_MOST_ADDRESSES; at = at->ai_next) {
        struct sockaddr_in address;
        memcpy(&address, at->ai_addr, sizeof address);
        out->ipv4[out->n++] = address.sin_addr.s_addr;
    }
    freeaddrinfo(list);
    qsort(out->ipv4, out->n, sizeof *out->ipv4, ascending);
    size_t kept = 0;
    for (size_t i = 0; i < out->n; i++)
        if (i == 0 || out->ipv4[i] != out->ipv4[i - 1])
            out->ipv4[kept++] = out->ipv4[i];
    out->n = kept;
    return kept > 0;
}

static bool same(const struct busi_addresses *a, const struct busi_addresses *b)
{
    return a->n == b->n && memcmp(a->ipv4, b->ipv4, a->n * sizeof *a->ipv4) == 0;
}

static void note(struct host *host, bool found, const struct busi_addresses *addresses) /* lock held */
{
    if (found && !same(&host->found, addresses)) {
        host->found = *addresses;
        host->fresh = true;
    }
    if (found == host->failed)
        busi_log(found ? BUSI_INFO : BUSI_WARN, found ? "name_resolved" : "name_not_resolved",
                 BUSI_C("host", host->name));
    host->failed = !found;
}

static void pause_until_next(struct busi_resolver *resolver) /* lock held */
{
    int64_t began_ms = busi_now_ms(), pause_ms = EVERY_MS;
    for (size_t i = 0; i < resolver->n; i++)
        if (resolver->hosts[i].failed)
            pause_ms = FAILED_MS;
    while (!resolver->closed) {
        int64_t until_ms = began_ms + (resolver->hurry ? LEAST_MS : pause_ms);
        if (busi_now_ms() >= until_ms)
            break;
        struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = (until_ms % 1000) * 1000000};
        pthread_cond_timedwait(&resolver->news, &resolver->lock, &until);
    }
    resolver->hurry = false;
}

static void *run(void *arg)
{
    struct busi_resolver *resolver = arg;
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->closed) {
        for (size_t i = 0; i < resolver->n && !resolver->closed; i++) {
            struct busi_addresses addresses;
            pthread_mutex_unlock(&resolver->lock);
            bool found = look_up(resolver->hosts[i].name, &addresses); /* the name never changes */
            pthread_mutex_lock(&resolver->lock);
            note(&resolver->hosts[i], found, &addresses);
        }
        pause_until_next(resolver);
    }
    leave(resolver);
    return NULL;
}

/* Signals are for the process's main thread. */
static bool start(struct busi_resolver *resolver)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool fine = pthread_create(&thread, NULL, run, resolver) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (fine) {
        pthread_setname_np(thread, "resolver");
        pthread_detach(thread);
    }
    return fine;
}

struct busi_resolver *busi_resolver_new(const struct busi_str *hosts, size_t n)
{
    struct busi_resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver)
        return NULL;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&resolver->news, &clock);
    pthread_condattr_destroy(&clock);
    resolver->hosts = calloc(n ? n : 1, sizeof *resolver->hosts);
    resolver->n = n;
    resolver->users = 2;
    for (size_t i = 0; resolver->hosts && i < n; i++)
        memcpy(resolver->hosts[i].name, hosts[i].ptr,
               hosts[i].len < HOST_ROOM ? hosts[i].len : HOST_ROOM - 1);
    if (resolver->hosts && start(resolver))
        return resolver;
    resolver->users = 1;
    busi_resolver_free(&resolver);
    return NULL;
}

void busi_resolver_free(struct busi_resolver **resolver)
{
    if (!*resolver)
        return;
    pthread_mutex_lock(&(*resolver)->lock);
    (*resolver)->closed = true;
    pthread_cond_signal(&(*resolver)->news);
    leave(*resolver);
    *resolver = NULL;
}

bool busi_resolver_take(struct busi_resolver *resolver, size_t i, struct busi_addresses *out)
{
    pthread_mutex_lock(&resolver->lock);
    bool fresh = resolver->hosts[i].fresh;
    if (fresh)
        *out = resolver->hosts[i].found;
    resolver->hosts[i].fresh = false;
    pthread_mutex_unlock(&resolver->lock);
    return fresh;
}

void busi_resolver_hurry(struct busi_resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    resolver->hurry = true;
    pthread_cond_signal(&resolver->news);
    pthread_mutex_unlock(&resolver->lock);
}
