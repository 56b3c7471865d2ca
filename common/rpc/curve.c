#include "rpc/curve.h"
#include "rpc/allow.h"
#include "rpc/link.h"
#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_BYTES = 32, MAX_FILE = 64 * 1024, PATH_ROOM = 2048, MAX_NAME = 63 };

struct busi_curve {
    zcert_t *cert;            /* our key pair */
    struct busi_allow *allow; /* servers: who may talk to us */
};

/* ---- context ---- */

static struct {
    pthread_mutex_t lock;
    void *context; /* NULL until first asked for */
} process = {PTHREAD_MUTEX_INITIALIZER, NULL};

void *busi_zmq_context(void)
{
    pthread_mutex_lock(&process.lock);
    if (!process.context)
        process.context = zmq_ctx_new();
    void *context = process.context;
    pthread_mutex_unlock(&process.lock);
    return context;
}

void busi_zmq_shutdown(void)
{
    pthread_mutex_lock(&process.lock);
    if (process.context)
        zmq_ctx_term(process.context);
    process.context = NULL;
    pthread_mutex_unlock(&process.lock);
}

/* ---- certificates ---- */

static bool valid_name(const char *name)
{
    size_t len = name ? strlen(name) : 0;
    return len > 0 && len <= MAX_NAME && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

/* NULL unless path is a regular file of sensible size that holds a certificate. */
static zcert_t *load(const char *path, mode_t forbidden, const char **error)
{
    struct stat about;
    *error = "the CURVE certificate cannot be read";
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size > MAX_FILE ||
        access(path, R_OK) != 0)
        return NULL;
    *error = "the CURVE key file can be read by others (chmod 600)";
    if (about.st_mode & forbidden)
        return NULL;
    *error = "not a CURVE certificate";
    zcert_t *cert = zcert_load(path);
    if (cert)
        *error = NULL;
    return cert;
}

/* zcert_destroy() only frees. */
static void destroy(zcert_t **cert)
{
    if (!*cert)
        return;
    explicit_bzero((void *)(uintptr_t)zcert_secret_key(*cert), KEY_BYTES);
    explicit_bzero((void *)(uintptr_t)zcert_secret_txt(*cert), strlen(zcert_secret_txt(*cert)));
    zcert_destroy(cert);
}

static bool path_of(char path[PATH_ROOM], struct busi_str text, const char **error)
{
    *error = "the name of the CURVE certificate's file is too long";
    if (text.len == 0 || text.len >= PATH_ROOM)
        return false;
    memcpy(path, text.ptr, text.len);
    path[text.len] = 0;
    *error = NULL;
    return true;
}

bool busi_curve_read_public(const char *path, uint8_t *key, char *name, size_t room)
{
    const char *error;
    zcert_t *cert = load(path, 0, &error);
    if (!cert)
        return false;
    memcpy(key, zcert_public_key(cert), KEY_BYTES);
    const char *file = strrchr(path, '/');
    file = file ? file + 1 : path;
    const char *meta = zcert_meta(cert, "name");
    char text[MAX_NAME + 1];
    if (meta)
        snprintf(text, sizeof text, "%s", meta);
    else
        snprintf(text, sizeof text, "%.*s", (int)strcspn(file, "."), file);
    bool fine = valid_name(text) && (!meta || strlen(meta) <= MAX_NAME) && strlen(text) < room;
    if (fine)
        memcpy(name, text, strlen(text) + 1);
    destroy(&cert);
    return fine;
}

static bool has_secret(zcert_t *cert)
{
    const uint8_t *key = zcert_secret_key(cert);
    unsigned any = 0;
    for (int i = 0; i < KEY_BYTES; i++)
        any |= key[i];
    return any != 0;
}

struct busi_curve *busi_curve_open(struct busi_str key_file, const char **error)
{
    char path[PATH_ROOM];
    zsys_handler_set(NULL); /* czmq must never take SIGTERM from us */
    if (!path_of(path, key_file, error))
        return NULL;
    zcert_t *cert = load(path, S_IRWXG | S_IRWXO, error);
    if (!cert)
        return NULL;
    struct busi_curve *curve = calloc(1, sizeof *curve);
    if (!curve || !has_secret(cert)) {
        *error = curve ? "the CURVE key file holds no secret key" : "out of memory";
        destroy(&cert);
        free(curve);
        return NULL;
    }
    curve->cert = cert;
    return curve;
}

void busi_curve_close(struct busi_curve **curve)
{
    if (!*curve)
        return;
    busi_allow_close(&(*curve)->allow);
    destroy(&(*curve)->cert);
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
    return curve->allow && set_bytes(zmq_socket, ZMQ_ZAP_DOMAIN, "busi", 4) &&
           set_bytes(zmq_socket, ZMQ_CURVE_SERVER, &yes, sizeof yes) &&
           set_bytes(zmq_socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(curve->cert), KEY_BYTES);
}

static bool join(zcert_t *own, void *zmq_socket, const uint8_t *server_key)
{
    return set_bytes(zmq_socket, ZMQ_CURVE_SERVERKEY, server_key, KEY_BYTES) &&
           set_bytes(zmq_socket, ZMQ_CURVE_PUBLICKEY, zcert_public_key(own), KEY_BYTES) &&
           set_bytes(zmq_socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(own), KEY_BYTES);
}

bool busi_curve_join(struct busi_curve *curve, void *zmq_socket, struct busi_str server_pub_file,
                     const char **error)
{
    char path[PATH_ROOM];
    if (!path_of(path, server_pub_file, error))
        return false;
    zcert_t *server = load(path, 0, error);
    if (!server)
        return false;
    bool fine = join(curve->cert, zmq_socket, zcert_public_key(server));
    destroy(&server);
    *error = fine ? NULL : "the CURVE keys were not accepted";
    return fine;
}

/* ---- self-test ---- */

enum { TRY_MS = 2000 };

/* Does a client with this key pair (NULL: plain) get through the handshake? Anything but a clear verdict
 * within the time is *known false. */
static bool gets_in(const char *endpoint, zcert_t *own, const uint8_t *server_key, bool *known)
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
    const uint8_t *key = zcert_public_key(curve->cert);
    bool known;
    zcert_t *stranger = zcert_new();
    if (!stranger)
        return "out of memory";
    bool stranger_in = gets_in(endpoint, stranger, key, &known);
    destroy(&stranger);
    if (stranger_in || !known)
        return "CURVE self-test: a key that is not allowed was not refused";
    if (gets_in(endpoint, NULL, NULL, &known) || !known)
        return "CURVE self-test: a client without CURVE was not refused";
    if (busi_allow_has(curve->allow, key) && (!gets_in(endpoint, curve->cert, key, &known) || !known))
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

/* ---- making keys ---- */

/* Saved beside and linked into place: link() never overwrites. */
static bool save(zcert_t *cert, const char *path, bool with_secret)
{
    char draft[PATH_ROOM + 32];
    snprintf(draft, sizeof draft, "%s.%d.new", path, (int)getpid());
    bool fine = (with_secret ? zcert_save_secret(cert, draft) : zcert_save_public(cert, draft)) == 0 &&
                chmod(draft, with_secret ? 0600 : 0644) == 0 && link(draft, path) == 0;
    int why = errno;
    unlink(draft);
    errno = why;
    return fine;
}

static int complain(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    return 1;
}

int busi_curve_generate(const char *folder, const char *name)
{
    char key[PATH_ROOM], pub[PATH_ROOM];
    if (!valid_name(name))
        return complain(name ? name : "", "a name is 1 to 63 of A-Z a-z 0-9 . _ -");
    if (snprintf(key, sizeof key, "%s/%s.key", folder, name) >= (int)sizeof key ||
        snprintf(pub, sizeof pub, "%s/%s.pub", folder, name) >= (int)sizeof pub)
        return complain(folder, "too long");
    if (access(key, F_OK) == 0 || access(pub, F_OK) == 0)
        return complain(access(key, F_OK) == 0 ? key : pub, "exists, not overwritten");
    zsys_handler_set(NULL);
    zcert_t *cert = zcert_new();
    if (!cert)
        return complain(key, "out of memory");
    zcert_set_meta(cert, "name", "%s", name);
    bool fine = save(cert, key, true) && save(cert, pub, false);
    const char *why = fine ? "" : strerror(errno);
    destroy(&cert);
    return fine ? 0 : complain(key, why);
}
