/* The side port of every process: /livez, /readyz, /metrics over CivetWeb with two threads. */
#pragma once
#include "base/str.h"

struct busi_side_port;
struct busi_side_port_options {
    struct busi_str bind;     /* "127.0.0.1:0" */
    bool (*live)(void *arg);  /* any thread, at once */
    bool (*ready)(void *arg); /* any thread, at once */
    void *arg;
};
[[nodiscard]] struct busi_side_port *busi_side_port_open(const struct busi_side_port_options *options,
                                                         const char **error);
int busi_side_port_number(const struct busi_side_port *port); /* the port really bound */
void busi_side_port_close(struct busi_side_port **port);
