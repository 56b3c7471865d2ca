/* The allow-list of client keys, what their owners may call, and the ZAP handler
 * (https://rfc.zeromq.org/spec/27) that answers from it on a thread of its own. czmq's zauth would do, but
 * two files with the same key in its folder abort the process, which a rotation or a Kubernetes mount easily
 * makes. */
#pragma once
#include "rpc/methods.h"

struct busi_allow;

/* Reads the public certificates (*.pub, czmq format) of folder and starts answering. One per context. The
 * folder is read again every second, and at a handshake at most every 200 ms. A file that is no certificate
 * is skipped with a warning; a key that vanishes is not admitted again, connections it already has stay, and
 * may call nothing any more when no other key has its name. */
[[nodiscard]] struct busi_allow *busi_allow_open(struct busi_str folder, const char **error);
void busi_allow_close(struct busi_allow **allow);
/* Is this key (32 bytes) on the list now? Any thread. */
bool busi_allow_has(struct busi_allow *allow, const uint8_t *key);
/* How often the thread that answers has looked for requests, at least once a second. Any thread. */
uint64_t busi_allow_turns(const struct busi_allow *allow);
/* So many connections have been let in before and are still there, of so many at most (crowd.h). Any thread.
 */
void busi_allow_crowd(struct busi_allow *allow, size_t connections, size_t most);
/* May its owner, whom a certificate on the list calls name, call this? A certificate that says nothing of
 * methods lets it call all. Any thread. */
bool busi_allow_may(struct busi_allow *allow, struct busi_str name, enum busi_method_id id);
