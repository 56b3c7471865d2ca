/* CURVE between processes: key pairs as czmq certificates, an allow-list of client keys answered by zauth.
 * The certificates' metadata "name" is the identity handlers see as call->caller. */
#pragma once
#include "base/str.h"

/* The process's one ZeroMQ context (czmq's own, its signal handlers off). First call creates it. */
void *busi_zmq_context(void);
void busi_zmq_shutdown(void); /* after every socket is closed */

struct busi_curve; /* this process's key pair and, for servers, its running allow-list */

/* Loads the key pair. NULL and *error (static) when the file is missing, malformed or readable by others. */
[[nodiscard]] struct busi_curve *busi_curve_open(struct busi_str key_file, const char **error);
void busi_curve_close(struct busi_curve **curve);

/* Admits only the public certificates in folder; starts the ZAP handler before any bind. Once per process. */
[[nodiscard]] bool busi_curve_allow(struct busi_curve *curve, struct busi_str folder, const char **error);
/* Makes a socket a CURVE server with our key / a CURVE client of the server whose certificate file is given.
 */
[[nodiscard]] bool busi_curve_serve(struct busi_curve *curve, void *zmq_socket);
[[nodiscard]] bool busi_curve_join(struct busi_curve *curve, void *zmq_socket,
                                   struct busi_str server_pub_file, const char **error);
/* Proves on a loopback socket that an allowed-list of ours refuses a random key and a plain client, and
 * admits our own key when listed. False: do not serve. At most 300 ms. */
[[nodiscard]] bool busi_curve_self_test(struct busi_curve *curve, const char **error);
/* gen-keys: writes <folder>/<name>.key (mode 600) and <folder>/<name>.pub. Never overwrites. Exit code. */
int busi_curve_generate(const char *folder, const char *name);
