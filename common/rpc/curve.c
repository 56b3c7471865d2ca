#include "rpc/curve.h"
#include "base/log.h"
#include "rpc/allow.h"
#include "rpc/certificate.h"
#include "rpc/link.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

enum { PATH_ROOM = 1024 };

struct busi_curve {
    struct busi_allow *allow; /* servers: who may talk to us */
    char file[PATH_ROOM];     /* of our key pair */
    pthread_mutex_t lock;     /* guards what follows */
    struct busi_certificate own;
    struct stat about; /* the file when it was read */
    uint64_t changes;  /* of the pair */
};

/* ---- life ---- */

static bool read_own(struct busi_certificate *own, const char *file, const char **error)
{
    if (!busi_certificate_read(own, file, S_IRWXG | S_IRWXO, error))
        return false;
    if (!own->has_secret)
        *error = "the CURVE key file holds no secret key";
    return own->has_secret;
}

struct busi_curve *busi_curve_open(struct busi_str key_file, const char **error)
{
    struct busi_curve *curve = calloc(1, sizeof *curve);
    *error = "out of memory";
    if (!curve)
        return NULL;
    pthread_mutex_init(&curve->lock, NULL);
    *error = "the name of the CURVE key file is empty or too long";
    if (key_file.len > 0 && key_file.len < sizeof curve->file) {
        memcpy(curve->file, key_file.ptr, key_file.len);
        (void)stat(curve->file, &curve->about);
        if (read_own(&curve->own, curve->file, error))
            return curve;
    }
    busi_curve_close(&curve);
    return NULL;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Lock held. */
static void read_again(struct busi_curve *curve)
{
    struct busi_certificate fresh;
    const char *error;
    if (!read_own(&fresh, curve->file, &error)) {
        busi_log(BUSI_ERR, "curve_key_unreadable", BUSI_C("file", curve->file), BUSI_C("why", error));
    } else if (memcmp(fresh.public_key, curve->own.public_key, BUSI_KEY_BYTES) != 0) {
        curve->own = fresh;
        curve->changes++;
        busi_log(BUSI_INFO, "curve_key_changed", BUSI_C("file", curve->file));
    }
    busi_certificate_wipe(&fresh);
}

uint64_t busi_curve_renew(struct busi_curve *curve)
{
    struct stat about = {0};
    pthread_mutex_lock(&curve->lock);
    if (stat(curve->file, &about) == 0 && !same_file(&about, &curve->about)) {
        curve->about = about; /* a bad one is told of once */
        read_again(curve);
    }
    uint64_t changes = curve->changes;
    pthread_mutex_unlock(&curve->lock);
    return changes;
}

void busi_curve_close(struct busi_curve **curve)
{
    if (!*curve)
        return;
    busi_allow_close(&(*curve)->allow);
    busi_certificate_wipe(&(*curve)->own);
    pthread_mutex_destroy(&(*curve)->lock);
    free(*curve);
    *curve = NULL;
}

bool busi_curve_allow(struct busi_curve *curve, struct busi_str folder, const char **error)
{
    curve->allow = busi_allow_open(folder, error);
    return curve->allow != NULL;
}

/* ---- sockets ---- */

static bool set_bytes(void *zmq_socket, int option, const void *bytes, size_t n)
{
    return zmq_setsockopt(zmq_socket, option, bytes, n) == 0;
}

bool busi_curve_serve(struct busi_curve *curve, void *zmq_socket)
{
    int yes = 1;
    return curve->allow && set_bytes(zmq_socket, ZMQ_CURVE_SERVER, &yes, sizeof yes) &&
           set_bytes(zmq_socket, ZMQ_CURVE_SECRETKEY, curve->own.secret_key, BUSI_KEY_BYTES);
}

static bool join(const struct busi_certificate *own, void *zmq_socket, const uint8_t *server_key)
{
    return set_bytes(zmq_socket, ZMQ_CURVE_SERVERKEY, server_key, BUSI_KEY_BYTES) &&
           set_bytes(zmq_socket, ZMQ_CURVE_PUBLICKEY, own->public_key, BUSI_KEY_BYTES) &&
           set_bytes(zmq_socket, ZMQ_CURVE_SECRETKEY, own->secret_key, BUSI_KEY_BYTES);
}

/* "NAME.pub" -> "NAME.next.pub", if there is such a file. */
static bool find_next(struct busi_str file, char path[PATH_ROOM])
{
    const size_t tail = strlen(".pub");
    if (file.len < tail || memcmp(file.ptr + file.len - tail, ".pub", tail) != 0)
        return false;
    int n = snprintf(path, PATH_ROOM, "%.*s.next.pub", (int)(file.len - tail), file.ptr);
    return n < PATH_ROOM && access(path, R_OK) == 0;
}

bool busi_curve_join(struct busi_curve *curve, void *zmq_socket, struct busi_str server_pub_file, bool next,
                     const char **error)
{
    struct busi_certificate server;
    char path[PATH_ROOM];
    if (next && find_next(server_pub_file, path))
        server_pub_file = busi_str_of(path);
    if (!busi_certificate_read_str(&server, server_pub_file, 0, error))
        return false;
    pthread_mutex_lock(&curve->lock);
    bool fine = join(&curve->own, zmq_socket, server.public_key);
    pthread_mutex_unlock(&curve->lock);
    busi_certificate_wipe(&server);
    *error = fine ? NULL : "the CURVE keys were not accepted";
    return fine;
}

bool busi_curve_may(struct busi_curve *curve, struct busi_str name, enum busi_method_id id)
{
    return busi_allow_may(curve->allow, name, id);
}

uint64_t busi_curve_turns(const struct busi_curve *curve)
{
    return busi_allow_turns(curve->allow);
}

void busi_curve_crowd(struct busi_curve *curve, size_t connections, size_t most)
{
    busi_allow_crowd(curve->allow, connections, most);
}

/* ---- self-test ---- */

enum { TRY_MS = 2000 };

/* Does a client with this key pair (NULL: plain) get through the handshake? Anything but a clear verdict
 * within the time is *known false. */
static bool gets_in(const char *endpoint, const struct busi_certificate *own, const uint8_t *server_key,
                    bool *known)
{
    *known = false;
    bool in = false;
    void *link = busi_link_open(BUSI_LINK_CLIENT, 1, 1024);
    void *monitor = link ? busi_link_monitor(link) : NULL;
    if (monitor && (!own || join(own, link, server_key)) && busi_link_connect(link, endpoint) &&
        busi_link_wait(monitor, TRY_MS)) {
        enum busi_link_event event = busi_link_event(monitor, NULL);
        in = event == BUSI_LINK_UP;
        *known = in || event == BUSI_LINK_DOWN || event == BUSI_LINK_REFUSED;
    }
    busi_link_close(&link);
    busi_link_close(&monitor);
    return in;
}

static const char *try_all(struct busi_curve *curve, const char *endpoint)
{
    const uint8_t *key = curve->own.public_key;
    bool known;
    struct busi_certificate stranger;
    if (!busi_certificate_make(&stranger))
        return "out of memory";
    bool stranger_in = gets_in(endpoint, &stranger, key, &known);
    busi_certificate_wipe(&stranger);
    if (stranger_in || !known)
        return "CURVE self-test: a key that is not allowed was not refused";
    if (gets_in(endpoint, NULL, NULL, &known) || !known)
        return "CURVE self-test: a client without CURVE was not refused";
    if (busi_allow_has(curve->allow, key) && (!gets_in(endpoint, &curve->own, key, &known) || !known))
        return "CURVE self-test: our own allowed key was refused";
    return NULL;
}

bool busi_curve_self_test(struct busi_curve *curve, const char **error)
{
    *error = "CURVE self-test: there is no allow-list";
    if (!curve->allow)
        return false;
    char endpoint[64];
    void *server = busi_link_open(BUSI_LINK_SERVER, 1, 1024);
    *error = "CURVE self-test: no socket";
    if (server && busi_curve_serve(curve, server) &&
        busi_link_bind(server, "tcp://127.0.0.1:*", endpoint, sizeof endpoint))
        *error = try_all(curve, endpoint);
    busi_link_close(&server);
    return *error == NULL;
}
