#define _GNU_SOURCE /* pthread_setname_np */
#include "rpc/allow.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "rpc/certificate.h"
#include "rpc/context.h"
#include "rpc/crowd.h"
#include "rpc/method_set.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

enum {
    MOST_KEYS = 1024,
    RELOAD_MS = 200,
    REREAD_MS = 1000,
    MOST_PARTS = 7,
    PART_ROOM = 256,
    COMPLAIN_MS = 1000
};

struct entry {
    uint8_t key[BUSI_KEY_BYTES];
    char name[BUSI_NAME_ROOM];      /* call->caller of its owner */
    struct busi_method_set methods; /* what it may call */
};

struct busi_allow {
    char folder[1024];       /* of the certificates */
    pthread_t thread;        /* answers ZAP requests */
    atomic_ullong turns;     /* of the thread */
    atomic_size_t old, most; /* connections that are there, and may be */
    struct busi_crowd crowd; /* who comes beside them; the thread's */
    int64_t complained_ms;   /* that there are too many; the thread's */
    void *handler;           /* REP on the well-known endpoint; the thread's */
    void *stop, *stopped;    /* PAIR ends: the closer's, the thread's */
    pthread_mutex_t reading; /* held while files are read; guards spare, skipped and loaded_ms */
    struct entry *spare;     /* MOST_KEYS: what is read next */
    size_t skipped;          /* files that were no certificate, at the last reading */
    int64_t loaded_ms;       /* busi_now_ms() of the last reading */
    pthread_mutex_t lock;    /* guards what follows, never while a file is read: each call asks */
    struct entry *entries;   /* MOST_KEYS of them */
    size_t n;                /* used */
};

/* ---- the list ---- */

static bool is_certificate_name(const char *name)
{
    size_t len = strlen(name);
    return len > 4 && name[0] != '.' && strcmp(name + len - 4, ".pub") == 0;
}

static void fill(struct entry *entry, const struct busi_certificate *certificate)
{
    struct busi_str unknown;
    *entry = (struct entry){0};
    memcpy(entry->key, certificate->public_key, BUSI_KEY_BYTES);
    memcpy(entry->name, certificate->name, BUSI_NAME_ROOM);
    if (certificate->limited)
        busi_method_set_read(&entry->methods, busi_str_of(certificate->methods), &unknown);
    else
        busi_method_set_fill(&entry->methods);
}

/* Says nothing of the file, but of us or the disk: nobody is struck off for that. */
static bool is_passing(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO;
}

/* Into spare. False: not everything there could be looked at. */
static bool read_all(struct busi_allow *allow, DIR *dir, size_t *n, size_t *skipped)
{
    for (;;) {
        errno = 0;
        const struct dirent *file = readdir(dir);
        if (!file)
            return errno == 0;
        if (!is_certificate_name(file->d_name))
            continue;
        char path[2048];
        struct busi_certificate certificate;
        const char *error;
        snprintf(path, sizeof path, "%s/%s", allow->folder, file->d_name);
        if (*n < MOST_KEYS && busi_certificate_read(&certificate, path, 0, &error)) {
            fill(&allow->spare[(*n)++], &certificate);
            busi_certificate_wipe(&certificate);
        } else if (is_passing(errno)) {
            return false;
        } else {
            ++*skipped;
        }
    }
}

/* False when the folder or what is in it cannot be read: the list then stays as it was. Reading held. */
static bool load(struct busi_allow *allow)
{
    DIR *dir = opendir(allow->folder);
    if (!dir)
        return false;
    size_t n = 0, skipped = 0, before = allow->n, skipped_before = allow->skipped;
    bool whole = read_all(allow, dir, &n, &skipped);
    closedir(dir);
    if (!whole)
        return false;
    pthread_mutex_lock(&allow->lock);
    struct entry *old = allow->entries;
    allow->entries = allow->spare;
    allow->spare = old;
    allow->n = n;
    pthread_mutex_unlock(&allow->lock);
    allow->skipped = skipped;
    allow->loaded_ms = busi_now_ms();
    if (n != before || skipped != skipped_before)
        busi_log(skipped ? BUSI_WARN : BUSI_INFO, "curve_allow_list", BUSI_C("folder", allow->folder),
                 BUSI_I("keys", (int64_t)n), BUSI_I("skipped_files", (int64_t)skipped));
    return true;
}

static const struct entry *find(const struct busi_allow *allow, const uint8_t *key)
{
    for (size_t i = 0; i < allow->n; i++)
        if (memcmp(allow->entries[i].key, key, BUSI_KEY_BYTES) == 0)
            return &allow->entries[i];
    return NULL;
}

static void reread(struct busi_allow *allow, int64_t age_ms)
{
    pthread_mutex_lock(&allow->reading);
    if (busi_now_ms() - allow->loaded_ms >= age_ms) {
        allow->loaded_ms = busi_now_ms(); /* also when it fails: not at every handshake */
        if (!load(allow))
            busi_log(BUSI_ERR, "curve_allow_list_unreadable", BUSI_C("folder", allow->folder));
    }
    pthread_mutex_unlock(&allow->reading);
}

/* Copies the name of the key's owner. False: not admitted. */
static bool admit(struct busi_allow *allow, const uint8_t *key, char name[BUSI_NAME_ROOM])
{
    reread(allow, RELOAD_MS);
    pthread_mutex_lock(&allow->lock);
    const struct entry *entry = find(allow, key);
    if (entry)
        memcpy(name, entry->name, BUSI_NAME_ROOM);
    pthread_mutex_unlock(&allow->lock);
    return entry != NULL;
}

bool busi_allow_has(struct busi_allow *allow, const uint8_t *key)
{
    char name[BUSI_NAME_ROOM];
    return admit(allow, key, name);
}

uint64_t busi_allow_turns(const struct busi_allow *allow)
{
    return atomic_load_explicit(&allow->turns, memory_order_relaxed);
}

void busi_allow_crowd(struct busi_allow *allow, size_t connections, size_t most)
{
    atomic_store_explicit(&allow->most, most, memory_order_relaxed);
    atomic_store_explicit(&allow->old, connections, memory_order_relaxed);
}

bool busi_allow_may(struct busi_allow *allow, struct busi_str name, enum busi_method_id id)
{
    bool may = false;
    pthread_mutex_lock(&allow->lock);
    for (size_t i = 0; i < allow->n && !may; i++)
        may = busi_str_eq(busi_str_of(allow->entries[i].name), name) &&
              busi_method_set_has(&allow->entries[i].methods, id);
    pthread_mutex_unlock(&allow->lock);
    return may;
}

/* ---- answering ---- */

/* version, sequence, domain, address, routing id, mechanism, key */
struct request {
    struct {
        char bytes[PART_ROOM];
        size_t len;
    } part[MOST_PARTS];
    size_t n;
    bool whole; /* nothing too long, nothing too many */
};

static bool receive(void *handler, struct request *request)
{
    *request = (struct request){.whole = true};
    int more = 1;
    while (more) {
        char bytes[PART_ROOM];
        int len = zmq_recv(handler, bytes, sizeof bytes, ZMQ_DONTWAIT);
        if (len < 0)
            return false;
        if (request->n < MOST_PARTS && (size_t)len <= sizeof bytes) {
            memcpy(request->part[request->n].bytes, bytes, (size_t)len);
            request->part[request->n++].len = (size_t)len;
        } else {
            request->whole = false;
        }
        size_t size = sizeof more;
        if (zmq_getsockopt(handler, ZMQ_RCVMORE, &more, &size) != 0)
            return false;
    }
    return true;
}

/* 300: not now. The client hears nothing, and comes again. */
static void reply(void *handler, const struct request *request, const char *status, const char *name)
{
    size_t len = request->n > 1 ? request->part[1].len : 0;
    zmq_send(handler, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(handler, request->part[1].bytes, len, ZMQ_SNDMORE);
    zmq_send(handler, status, 3, ZMQ_SNDMORE);
    zmq_send(handler, "", 0, ZMQ_SNDMORE);
    zmq_send(handler, name ? name : "", name ? strlen(name) : 0, ZMQ_SNDMORE); /* "User-Id" of its messages */
    zmq_send(handler, "", 0, 0);
}

static bool has_place(struct busi_allow *allow, const char *name)
{
    int64_t now_ms = busi_now_ms();
    size_t old = atomic_load_explicit(&allow->old, memory_order_relaxed);
    size_t most = atomic_load_explicit(&allow->most, memory_order_relaxed);
    if (busi_crowd_admits(&allow->crowd, old, most, name, now_ms))
        return true;
    if (now_ms - allow->complained_ms >= COMPLAIN_MS) {
        allow->complained_ms = now_ms;
        busi_log(BUSI_WARN, "curve_crowded", BUSI_C("caller", name), BUSI_I("connections", (int64_t)old));
    }
    return false;
}

static void answer(struct busi_allow *allow)
{
    struct request request;
    if (!receive(allow->handler, &request))
        return;
    bool curve = request.whole && request.n == MOST_PARTS && request.part[5].len == 5 &&
                 memcmp(request.part[5].bytes, "CURVE", 5) == 0 && request.part[6].len == BUSI_KEY_BYTES;
    char name[BUSI_NAME_ROOM];
    bool fine = curve && admit(allow, (const uint8_t *)request.part[6].bytes, name);
    bool fits = fine && has_place(allow, name);
    if (!fits)
        busi_metric_add(BUSI_METRIC_curve_refused, 1);
    reply(allow->handler, &request, fits ? "200" : fine ? "300" : "400", fits ? name : NULL);
}

static void *run(void *arg)
{
    struct busi_allow *allow = arg;
    zmq_pollitem_t items[] = {{.socket = allow->handler, .events = ZMQ_POLLIN},
                              {.socket = allow->stopped, .events = ZMQ_POLLIN}};
    for (;;) {
        int ready = zmq_poll(items, 2, REREAD_MS);
        atomic_fetch_add_explicit(&allow->turns, 1, memory_order_relaxed);
        reread(allow, REREAD_MS);
        if (ready < 0 && zmq_errno() == ETERM)
            break;
        if (ready > 0 && items[1].revents)
            break;
        if (ready > 0 && items[0].revents)
            answer(allow);
    }
    return NULL;
}

/* ---- life ---- */

static bool open_sockets(struct busi_allow *allow)
{
    void *context = busi_zmq_context();
    if (!context)
        return false;
    allow->handler = zmq_socket(context, ZMQ_REP);
    allow->stop = zmq_socket(context, ZMQ_PAIR);
    allow->stopped = zmq_socket(context, ZMQ_PAIR);
    return allow->handler && allow->stop && allow->stopped &&
           zmq_bind(allow->handler, "inproc://zeromq.zap.01") == 0 &&
           zmq_bind(allow->stop, "inproc://busi-zap-stop") == 0 &&
           zmq_connect(allow->stopped, "inproc://busi-zap-stop") == 0;
}

static void close_sockets(struct busi_allow *allow)
{
    void **sockets[] = {&allow->handler, &allow->stop, &allow->stopped};
    int linger = 0;
    for (size_t i = 0; i < 3; i++) {
        if (*sockets[i]) {
            zmq_setsockopt(*sockets[i], ZMQ_LINGER, &linger, sizeof linger);
            zmq_close(*sockets[i]);
        }
        *sockets[i] = NULL;
    }
}

/* Signals are for the process's main thread. */
static bool start(struct busi_allow *allow)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool fine = pthread_create(&allow->thread, NULL, run, allow) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (fine)
        pthread_setname_np(allow->thread, "zap");
    return fine;
}

struct busi_allow *busi_allow_open(struct busi_str folder, const char **error)
{
    struct busi_allow *allow = calloc(1, sizeof *allow);
    if (allow) {
        allow->entries = calloc(MOST_KEYS, sizeof *allow->entries);
        allow->spare = calloc(MOST_KEYS, sizeof *allow->spare);
    }
    *error = "out of memory";
    if (!allow || !allow->entries || !allow->spare)
        goto out;
    atomic_init(&allow->most, BUSI_CROWD_MOST);
    pthread_mutex_init(&allow->lock, NULL);
    pthread_mutex_init(&allow->reading, NULL);
    *error = "the folder of client keys cannot be read";
    if (folder.len >= sizeof allow->folder)
        goto out;
    memcpy(allow->folder, folder.ptr, folder.len);
    if (!load(allow))
        goto out;
    *error = "the ZAP handler cannot be started (one per process)";
    if (!open_sockets(allow) || !start(allow))
        goto out;
    *error = NULL;
    return allow;
out:
    if (allow) {
        close_sockets(allow);
        free(allow->entries);
        free(allow->spare);
    }
    free(allow);
    return NULL;
}

void busi_allow_close(struct busi_allow **allow)
{
    if (!*allow)
        return;
    zmq_send((*allow)->stop, "", 0, ZMQ_DONTWAIT);
    pthread_join((*allow)->thread, NULL);
    close_sockets(*allow);
    pthread_mutex_destroy(&(*allow)->lock);
    pthread_mutex_destroy(&(*allow)->reading);
    free((*allow)->entries);
    free((*allow)->spare);
    free(*allow);
    *allow = NULL;
}
