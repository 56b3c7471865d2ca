/* The business directory: the handlers of proto/methods.def's METHOD_DIRECTORY over one table. They run on
 * fibers of the loop; all they answer with lives in the call's arena. */
#pragma once
#include "rpc/call.h"
#include "store/pg.h"

enum directory_statement {
#define STATEMENT(name, effect, n_params, sql) DIRECTORY_##name,
#include "statements.def"
#undef STATEMENT
    DIRECTORY_STATEMENTS
};

struct directory {
    struct busi_pg *pg; /* owned */
};

struct directory_options {
    struct busi_str database; /* libpq connection string */
    int connections;
    int64_t statement_timeout_ms;
};
/* Connects in the background. NULL: the connection string is malformed, or out of memory. */
[[nodiscard]] struct directory *directory_new(struct busi_loop *loop,
                                              const struct directory_options *options);
void directory_free(struct directory **directory);
bool directory_ready(const struct directory *directory);

#define METHOD_DIRECTORY(name, wire, request, reply, retry, timeout_ms)                                      \
    enum busi_code directory_##name(struct directory *self, struct busi_call *call,                          \
                                    const struct busi_##request *in, struct busi_##reply *out);
#include "proto/methods.def"
