/* Postgres, pipelined: a few libpq connections in pipeline mode, shared by all fibers of the loop. Every
 * statement is prepared and has its own deadline; a result counts only after its sync point (the commit).
 * Connections are made and remade with backoff in the background. Loop thread only, but for ready. */
#pragma once
#include "base/arena.h"
#include "base/code.h"
#include "loop/fiber.h"

/* One row of a service's statements.def:  STATEMENT(name, effect, parameters, sql) */
enum busi_pg_effect {
    BUSI_PG_READ,   /* sent again once when the connection is lost */
    BUSI_PG_SHARED, /* a READ that callers with equal parameters may share: those that ask before it is sent
                       get one execution's result. For answers that are dear and often the same */
    BUSI_PG_WRITE,  /* lost connection after sending: outcome unknown, never repeated here */
    BUSI_PG_GROUP,  /* an insert that may share a transaction with others waiting (group commit); when one of
                       a group fails, each is run again alone */
};
struct busi_pg_statement {
    const char *name; /* prepared under this name */
    enum busi_pg_effect effect;
    int n_params; /* at most 16 */
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
/* Returns at once; connects in the background, resolving host names off the loop. NULL (and a log line): the
 * conninfo is malformed, or out of memory. */
[[nodiscard]] struct busi_pg *busi_pg_new(struct busi_loop *loop, const struct busi_pg_options *options);
/* Whether libpq understands it ("host=.. dbname=.." or postgresql://..). Any thread. */
bool busi_pg_conninfo_valid(struct busi_str conninfo);
/* Only when no fiber waits in busi_pg_run() and the loop will not turn again. */
void busi_pg_free(struct busi_pg **pg);
/* A connection is up and its statements are prepared. Any thread. */
bool busi_pg_ready(const struct busi_pg *pg);

struct busi_pg_result {
    int rows, columns;
    int64_t affected;    /* of INSERT/UPDATE/DELETE */
    char sqlstate[6];    /* "" or the error's SQLSTATE, "23505" */
    char constraint[64]; /* the violated constraint's name, or "" */
    void *handle;        /* the rows, perhaps shared; cleared by busi_pg_clear */
};
/* Runs statement `index` and suspends the fiber, which a WRITE or a GROUP commits (busi_fiber_commit()).
 * params are in text format; ptr NULL is SQL NULL, a NUL byte within is INVALID_ARGUMENT. OK with *result
 * filled (clear it in every case); ALREADY_EXISTS 23505, FAILED_PRECONDITION 23503/23514, INVALID_ARGUMENT
 * 22xxx, ABORTED 40001/40P01 after retries, DEADLINE_EXCEEDED 57014/55P03, until_ms or the statement timeout,
 *   UNAVAILABLE not connected / server gone or without resources; for a WRITE already sent, UNKNOWN: outcome
 *   not known, RESOURCE_EXHAUSTED too many statements in flight,
 *   INTERNAL anything else (logged with its SQLSTATE, never with data). */
[[nodiscard]] enum busi_code busi_pg_run(struct busi_pg *pg, size_t index, const struct busi_str *params,
                                         int64_t until_ms, struct busi_pg_result *result);

/* Result columns may be int2, int4, int8, bool, text, varchar, name, bytea or timestamptz (they travel in
 * binary); a statement with another type is refused at start: cast it in the SQL. */

/* A text or bytea column; borrowed until clear. ptr NULL for SQL NULL, another type or out of range. */
struct busi_str busi_pg_value(const struct busi_pg_result *result, int row, int column);
/* An int or bool column, or a timestamptz as microseconds since 1970; 0 when null. */
int64_t busi_pg_int(const struct busi_pg_result *result, int row, int column);
void busi_pg_clear(struct busi_pg_result *result);

struct busi_desc;
/* SQL row -> message: columns are matched to fields by name; texts are copied to the arena. A timestamptz
 * fills a TIME field, or a TEXT field as UTC "2018-11-11 07:00:53.229068". False when a REQUIRED field has no
 * column or is NULL, or a column's type does not fit its field: a bug or a wrong schema; or out of arena. */
[[nodiscard]] bool busi_pg_message(const struct busi_pg_result *result, int row, const struct busi_desc *desc,
                                   void *message, struct busi_arena *arena);
