#include "rpc/curve.h"
#include "rpc/allow.h"
#include "rpc/certificate.h"
#include "rpc/link.h"
#include <stdlib.h>
#include <zmq.h>

struct busi_curve {
    struct busi_certificate own; /* our key pair */
    struct busi_allow *allow;    /* servers: who may talk to us */
};

/* ---- life ---- */

struct busi_curve *busi_curve_open(struct busi_str key_file, const char **error)
{
    struct busi_curve *curve = calloc(1, sizeof *curve);
    *error = "out of memory";
    if (!curve)
        return NULL;
    bool fine = busi_certificate_read_str(&curve->own, key_file, S_IRWXG | S_IRWXO, error);
    if (fine && !curve->own.has_secret)
        *error = "the CURVE key file holds no secret key";
    if (*error)
        busi_curve_close(&curve);
    return curve;
}

void busi_curve_close(struct busi_curve **curve)
{
    if (!*curve)
        return;
    busi_allow_close(&(*curve)->allow);
    busi_certificate_wipe(&(*curve)->own);
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

bool busi_curve_join(struct busi_curve *curve, void *zmq_socket, struct busi_str server_pub_file,
                     const char **error)
{
    struct busi_certificate server;
    if (!busi_certificate_read_str(&server, server_pub_file, 0, error))
        return false;
    bool fine = join(&curve->own, zmq_socket, server.public_key);
    busi_certificate_wipe(&server);
    *error = fine ? NULL : "the CURVE keys were not accepted";
    return fine;
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
        enum busi_link_event event = busi_link_event(monitor);
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
