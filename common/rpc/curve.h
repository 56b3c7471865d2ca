/* CURVE between processes: key pairs as czmq certificates, an allow-list of client keys.
 * The certificates' metadata "name" is the identity handlers see as call->caller. */
#pragma once
#include "rpc/methods.h"

struct busi_curve; /* this process's key pair and, for servers, its running allow-list */

/* Loads the key pair. NULL and *error (static) when the file is missing, malformed or readable by others. */
[[nodiscard]] struct busi_curve *busi_curve_open(struct busi_str key_file, const char **error);
void busi_curve_close(struct busi_curve **curve);
/* Reads the key file again if it is another than the one read last: what connects from then on uses the new
 * pair. A file that is none is said in the log, and the pair stays. Returns how often the pair has changed.
 * Any thread. */
uint64_t busi_curve_renew(struct busi_curve *curve);

/* Admits only the public certificates (*.pub) in folder; starts the ZAP handler before any bind. Once per
 * process. A certificate put there or taken away counts at the next handshake; what is connected stays. */
[[nodiscard]] bool busi_curve_allow(struct busi_curve *curve, struct busi_str folder, const char **error);
/* Makes a socket a CURVE server with our key (false without an allow-list) / a CURVE client of the server
 * whose certificate file is given, NAME.pub; with next its successor NAME.next.pub, if there is one. */
[[nodiscard]] bool busi_curve_serve(struct busi_curve *curve, void *zmq_socket);
[[nodiscard]] bool busi_curve_join(struct busi_curve *curve, void *zmq_socket,
                                   struct busi_str server_pub_file, bool next, const char **error);
/* May the client of this name call this method? By its certificate in the folder, as it is now (within two
 * seconds): not if that is gone. Several of one name: what any of them says. Any thread. */
bool busi_curve_may(struct busi_curve *curve, struct busi_str name, enum busi_method_id id);
/* A number that grows at least once a second as long as clients can be let in. Any thread. */
uint64_t busi_curve_turns(const struct busi_curve *curve);
/* So many connections are there of so many at most: newcomers are let in by it (crowd.h). Any thread. */
void busi_curve_crowd(struct busi_curve *curve, size_t connections, size_t most);
/* Proves on a loopback socket that our allow-list refuses a random key and a plain client, and admits our
 * own key if it is listed. False: do not serve. A few ms; gives up (false) after 2 s without an answer. */
[[nodiscard]] bool busi_curve_self_test(struct busi_curve *curve, const char **error);
/* gen-keys: writes <folder>/<name>.key (mode 600) and <folder>/<name>.pub. Never overwrites. Exit code; says
 * why on stderr. name: [A-Za-z0-9._-], at most 63. methods: what its owner may call where it is admitted
 * (method_set.h); NULL: everything. */
int busi_curve_generate(const char *folder, const char *name, const char *methods);
