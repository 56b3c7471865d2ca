/* The side port of every process: /livez, /readyz, /metrics over CivetWeb with a few threads of its own. GET
 * and HEAD only, no keep-alive; meant for probes and Prometheus, not for the public. */
#pragma once
#include "base/str.h"

struct busi_side_port;
struct busi_side_port_options {
    struct busi_str bind;     /* "127.0.0.1:0": an IPv4 address and a port, 0 picks a free one */
    const char *service;      /* static; name of the process, in busi_build_info */
    bool (*live)(void *arg);  /* any thread, at once */
    bool (*ready)(void *arg); /* any thread, at once */
    void *arg;
};
/* NULL and *error (static; the reason of the system is in the log) when bind is malformed or taken. */
[[nodiscard]] struct busi_side_port *busi_side_port_open(const struct busi_side_port_options *options,
                                                         const char **error);
/* Whether a text is what bind must be. */
bool busi_side_port_bind_valid(struct busi_str bind);
int busi_side_port_number(const struct busi_side_port *port); /* the port really bound */
void busi_side_port_close(struct busi_side_port **port);
