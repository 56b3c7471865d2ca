/* What rpc.Describe says, for people. */
#pragma once
#include "base/buf.h"
#include "rpc/methods.h"

/* These methods, those of every service, and all their messages. Out of memory fails the buffer. */
void busi_methods_text(struct busi_buf *out, const struct busi_endpoint *endpoints, size_t n);
