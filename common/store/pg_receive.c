/* What comes back on a connection: one result per statement in the order sent, then the batch's sync. Nothing
 * is given to a fiber before that sync: it is the commit. */
#include "store/pg_internal.h"

#include "base/log.h"
#include "base/metrics.h"

#include <stdio.h>

bool busi_pg_is_write(const struct busi_pg *pg, const struct pg_request *request)
{
    enum busi_pg_effect effect = pg->statements[request->statement].effect;
    return effect == BUSI_PG_WRITE || effect == BUSI_PG_GROUP;
}

struct pg_request *busi_pg_landed(struct pg_connection *connection)
{
    struct busi_pg *pg = connection->pg;
    struct pg_request *request = busi_pg_queue_take(&connection->flight);
    if (request && pg->statements[request->statement].effect == BUSI_PG_SHARED)
        pg->shared_sent--;
    return request;
}

/* The code an SQLSTATE means. */
static enum busi_code code_of(const char *sqlstate)
{
    static const struct {
        const char *prefix; /* of the SQLSTATE; the first row that fits counts */
        enum busi_code code;
    } rows[] = {
        {"23505", BUSI_ALREADY_EXISTS},
        {"23503", BUSI_FAILED_PRECONDITION},
        {"23514", BUSI_FAILED_PRECONDITION},
        {"22", BUSI_INVALID_ARGUMENT},
        {"40001", BUSI_ABORTED},
        {"40P01", BUSI_ABORTED},
        {"57014", BUSI_DEADLINE_EXCEEDED}, /* statement_timeout */
        {"55P03", BUSI_DEADLINE_EXCEEDED}, /* lock_timeout */
        {"57P", BUSI_UNAVAILABLE},         /* shutting down or starting */
        {"58", BUSI_UNAVAILABLE},          /* its disk or its files fail it */
        {"53", BUSI_UNAVAILABLE},          /* disk full, out of memory or connections */
        {"25006", BUSI_UNAVAILABLE},       /* became a standby */
        {"08", BUSI_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strncmp(sqlstate, rows[i].prefix, strlen(rows[i].prefix)) == 0)
            return rows[i].code;
    return BUSI_INTERNAL;
}

/* The prepared plan no longer fits the table, the server forgot it, or it is read-only now. */
static bool makes_stale(const char *sqlstate)
{
    return strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0 || strcmp(sqlstate, "25006") == 0;
}

/* False: it is not the server's but libpq's own, which has lost the connection or has no memory for what came
 * on it. What was done is not known then, and the connection is given up. */
static bool note_error(struct pg_connection *connection, struct pg_request *request, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    if (!sqlstate)
        return false;
    snprintf(request->sqlstate, sizeof request->sqlstate, "%s", sqlstate);
    snprintf(request->constraint, sizeof request->constraint, "%s", constraint ? constraint : "");
    connection->stale |= makes_stale(request->sqlstate);
    request->code = code_of(request->sqlstate);
    busi_metric_add(BUSI_METRIC_postgres_errors, 1);
    if (request->code == BUSI_INTERNAL)
        busi_log(BUSI_ERR, "postgres_statement_failed",
                 BUSI_C("statement", connection->pg->statements[request->statement].name),
                 BUSI_C("sqlstate", request->sqlstate));
    return true;
}

/* False: as note_error(). */
static bool take_result(struct pg_connection *connection, PGresult *result)
{
    struct pg_request *request = connection->at;
    bool fine = true;
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        request->code = BUSI_OK;
        request->result = result;
        break;
    case PGRES_PIPELINE_ABORTED: /* a neighbour failed; will be run again */
        request->code = BUSI_ABORTED;
        PQclear(result);
        break;
    default:
        fine = note_error(connection, request, result);
        PQclear(result);
        break;
    }
    connection->sync_next = request->ends_batch;
    connection->at = request->next;
    return fine;
}

/* The error of a commit itself (a deferred constraint, a full disk). False: as note_error(). */
static bool take_commit_error(struct pg_connection *connection, const PGresult *result)
{
    struct pg_request *request = connection->flight.first;
    PQclear(request->result);
    request->result = NULL;
    return note_error(connection, request, result);
}

static bool batch_failed(const struct pg_request *first)
{
    for (const struct pg_request *request = first;; request = request->next) {
        if (request->code != BUSI_OK)
            return true;
        if (request->ends_batch)
            return false;
    }
}

static void take_sync(struct pg_connection *connection)
{
    struct busi_pg *pg = connection->pg;
    struct pg_request *request = connection->flight.first;
    bool again = !request->ends_batch && batch_failed(request);
    for (bool last = false; !last;) {
        request = busi_pg_landed(connection);
        last = request->ends_batch;
        if (!again) {
            busi_pg_finish(pg, request, request->code);
            continue;
        }
        /* one of several failed and so all were undone: each on its own now */
        PQclear(request->result);
        request->result = NULL;
        request->sqlstate[0] = request->constraint[0] = '\0';
        request->alone = true;
        busi_pg_enqueue(pg, request);
    }
    connection->sync_next = false;
    connection->at = connection->flight.first;
    connection->batches--;
    connection->moved_ms = busi_now_ms();
}

static bool column_types_known(const struct pg_connection *connection, size_t index, const PGresult *result)
{
    const struct busi_pg_statement *statement = &connection->pg->statements[index];
    bool known = PQnparams(result) == statement->n_params;
    for (int i = 0; i < PQnfields(result); i++)
        known &= busi_pg_kind(PQftype(result, i)) != PG_OTHER;
    if (!known)
        busi_log(BUSI_ERR, "postgres_statement_wrong", BUSI_C("statement", statement->name),
                 BUSI_I("parameters", PQnparams(result)));
    return known;
}

/* Results while preparing: prepare and describe of each statement, then the sync. */
static bool take_preparation(struct pg_connection *connection, const PGresult *result)
{
    struct busi_pg *pg = connection->pg;
    size_t index = connection->answers++ / 2;
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC && index == pg->n_statements) {
        busi_pg_connection_ready(connection);
        return true;
    }
    if (index >= pg->n_statements)
        return false;
    if (PQresultStatus(result) == PGRES_COMMAND_OK)
        return connection->answers % 2 == 1 || column_types_known(connection, index, result);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    char why[200];
    snprintf(why, sizeof why, "cannot prepare %s: %s", pg->statements[index].name,
             message ? message : "no answer");
    busi_pg_connection_lose(connection, why, sqlstate ? sqlstate : "");
    return true;
}

/* False when the server says what was not asked for. */
static bool take(struct pg_connection *connection, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (connection->state == PG_READY && connection->at && !connection->sync_next &&
        status != PGRES_PIPELINE_SYNC)
        return take_result(connection, result);
    bool fine = false;
    if (connection->state == PG_PREPARING) {
        fine = take_preparation(connection, result);
    } else if (connection->state == PG_READY && connection->sync_next) {
        fine = true;
        if (status == PGRES_PIPELINE_SYNC)
            take_sync(connection);
        else
            fine = take_commit_error(connection, result);
    }
    PQclear(result);
    return fine;
}

bool busi_pg_receive(struct pg_connection *connection)
{
    int nothing = 0;
    /* libpq says "not busy" also when it has nothing more: a NULL ends each statement's results, several in a
     * row end the input */
    while (connection->conn && !PQisBusy(connection->conn) && nothing < 3) {
        PGresult *result = PQgetResult(connection->conn);
        nothing = result ? 0 : nothing + 1;
        if (result && !take(connection, result))
            return false;
    }
    if (connection->conn && connection->stale && !connection->flight.first)
        return false;
    return true;
}
