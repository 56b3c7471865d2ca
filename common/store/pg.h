/* Postgres, pipelined: a few libpq connections in pipeline mode, shared by all fibers of the loop. Every
 * statement is prepared, has its own deadline and its own sync point; a result counts only after its sync
 * (the commit). Connections are made and remade with backoff in the background. Loop thread only. */
#pragma once
#include "base/arena.h"
#include "base/code.h"
#include "loop/fiber.h"

/* One row of a service's statements.def:  STATEMENT(name, effect, parameters, sql) */
enum busi_pg_effect {
    BUSI_PG_READ,  /* sent again once when the connection is lost */
    BUSI_PG_WRITE, /* lost connection after sending: outcome unknown, never repeated here */
    BUSI_PG_GROUP, /* an insert that may share a transaction with others of its turn (group commit);
                      when one of a group fails, each is run again alone */
};
struct busi_pg_statement {
    const char *name; /* prepared under this name */
    enum busi_pg_effect effect;
    int n_params;
    const char *sql;
};

struct busi_pg;
struct busi_pg_options {
    struct busi_str conninfo; /* copied; never logged */
    const char *application;  /* static; application_name */
    const struct busi_pg_statement *statements;
    size_t n_statements;
    int connections;              /* one for reads, the others for writes; at least 2 */
    int64_t statement_timeout_ms; /* also set on the server, with lock_timeout */
};
/* Returns at once; connects in the background. */
[[nodiscard]] struct busi_pg *busi_pg_new(struct busi_loop *loop, const struct busi_pg_options *options);
void busi_pg_free(struct busi_pg **pg);
bool busi_pg_ready(const struct busi_pg *pg); /* connected, statements prepared */

/* A parameter in text format; ptr NULL is SQL NULL. Must hold no NUL byte (INVALID_ARGUMENT). */
struct busi_pg_result {
    int rows, columns;
    int64_t affected;    /* of INSERT/UPDATE/DELETE */
    char sqlstate[6];    /* "" or the error's SQLSTATE, "23505" */
    char constraint[64]; /* the violated constraint's name, or "" */
    void *handle;        /* PGresult; cleared by busi_pg_clear */
};
/* Runs statement `index` and suspends the fiber. OK with *result filled (clear it in every case);
 *   ALREADY_EXISTS 23505, FAILED_PRECONDITION 23503/23514, INVALID_ARGUMENT 22xxx,
 *   ABORTED 40001/40P01 after retries, DEADLINE_EXCEEDED 57014/55P03 or until_ms,
 *   UNAVAILABLE not connected / server gone; for a WRITE already sent, UNKNOWN: outcome not known,
 *   INTERNAL anything else (logged with its SQLSTATE, never with data). */
[[nodiscard]] enum busi_code busi_pg_run(struct busi_pg *pg, size_t index, const struct busi_str *params,
                                         int64_t until_ms, struct busi_pg_result *result);
/* Borrowed until clear; ptr NULL for SQL NULL or out of range. */
struct busi_str busi_pg_value(const struct busi_pg_result *result, int row, int column);
int64_t busi_pg_int(const struct busi_pg_result *result, int row, int column); /* 0 when null */
void busi_pg_clear(struct busi_pg_result *result);

struct busi_desc;
/* SQL row -> message: columns are matched to fields by name; texts are copied to the arena. False when a
 * REQUIRED field has no column or a column does not parse: a bug or a wrong schema. */
[[nodiscard]] bool busi_pg_message(const struct busi_pg_result *result, int row, const struct busi_desc *desc,
                                   void *message, struct busi_arena *arena);
