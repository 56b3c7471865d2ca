/* The life of one connection: resolve, connect, prepare, serve, lose, pause, again. */
#include "store/pg_internal.h"

#include "base/log.h"
#include "base/metrics.h"

static void on_event(void *arg, unsigned events);

static void watch(struct pg_connection *connection, unsigned events)
{
    connection->watch =
        busi_loop_fd(connection->pg->loop, PQsocket(connection->conn), events, on_event, connection);
    if (!connection->watch)
        busi_pg_connection_lose(connection, "no watch", "");
}

void busi_pg_connection_on_time(void *arg)
{
    struct pg_connection *connection = arg;
    if (connection->state == PG_WAITING)
        busi_pg_connection_open(connection);
    else
        busi_pg_connection_lose(connection, "connecting took too long", "");
}

static void connect_now(struct pg_connection *connection, const struct busi_resolved *found)
{
    struct busi_pg *pg = connection->pg;
    connection->state = PG_CONNECTING;
    busi_timer_set(connection->timer, busi_now_ms() + PG_CONNECT_MS);
    connection->conn = busi_pg_conninfo_connect(pg, found);
    if (!connection->conn || PQstatus(connection->conn) == CONNECTION_BAD) {
        busi_pg_connection_lose(connection, connection->conn ? PQerrorMessage(connection->conn) : "no memory",
                                "");
        return;
    }
    watch(connection, BUSI_WRITABLE);
}

static void on_resolved(void *arg, const struct busi_resolved *found)
{
    struct pg_connection *connection = arg;
    connection->resolve = NULL;
    if (found->n == 0)
        busi_pg_connection_lose(connection, "host name not found", "");
    else
        connect_now(connection, found);
}

void busi_pg_connection_open(struct pg_connection *connection)
{
    struct busi_pg *pg = connection->pg;
    const char *host = busi_pg_conninfo_get(pg->conninfo, "host");
    if (busi_pg_conninfo_get(pg->conninfo, "hostaddr") || !busi_resolve_needed(host)) {
        connect_now(connection, NULL);
        return;
    }
    connection->state = PG_RESOLVING;
    connection->resolve = busi_resolve_start(pg->loop, host, on_resolved, connection);
    if (!connection->resolve)
        busi_pg_connection_lose(connection, "no thread to resolve with", "");
}

/* The prepared statements of the service, in one round trip. */
static bool send_prepare(struct pg_connection *connection)
{
    struct busi_pg *pg = connection->pg;
    PGconn *conn = connection->conn;
    connection->state = PG_PREPARING;
    connection->answers = 0;
    if (PQsetnonblocking(conn, 1) != 0 || PQenterPipelineMode(conn) != 1)
        return false;
    for (size_t i = 0; i < pg->n_statements; i++)
        if (!PQsendPrepare(conn, pg->statements[i].name, pg->statements[i].sql, 0, NULL) ||
            !PQsendDescribePrepared(conn, pg->statements[i].name))
            return false;
    return PQpipelineSync(conn) == 1;
}

static void on_connecting(struct pg_connection *connection)
{
    /* libpq may close the socket and open another, even under the same number */
    busi_watch_free(&connection->watch);
    switch (PQconnectPoll(connection->conn)) {
    case PGRES_POLLING_READING:
        watch(connection, BUSI_READABLE);
        return;
    case PGRES_POLLING_WRITING:
        watch(connection, BUSI_WRITABLE);
        return;
    case PGRES_POLLING_OK:
        if (!send_prepare(connection))
            break;
        watch(connection, BUSI_READABLE);
        if (connection->state == PG_PREPARING)
            busi_pg_connection_flush(connection);
        return;
    default:
        break;
    }
    busi_pg_connection_lose(connection, PQerrorMessage(connection->conn), "");
}

void busi_pg_connection_flush(struct pg_connection *connection)
{
    int left = PQflush(connection->conn);
    if (left < 0)
        busi_pg_connection_lose(connection, PQerrorMessage(connection->conn), "");
    else
        busi_watch_events(connection->watch, left ? BUSI_READABLE | BUSI_WRITABLE : BUSI_READABLE);
}

static void on_event(void *arg, unsigned events)
{
    struct pg_connection *connection = arg;
    if (connection->state == PG_CONNECTING) {
        on_connecting(connection);
        return;
    }
    bool fine = true;
    if (events & (BUSI_READABLE | BUSI_HUNG_UP)) {
        fine = PQconsumeInput(connection->conn) == 1;
        /* what came before the end still counts */
        fine = busi_pg_receive(connection) && fine;
    }
    if (!connection->conn)
        return;
    if (!fine)
        busi_pg_connection_lose(
            connection,
            connection->stale ? "the prepared plans no longer fit" : PQerrorMessage(connection->conn), "");
    else if (events & BUSI_WRITABLE)
        busi_pg_connection_flush(connection);
}

void busi_pg_connection_ready(struct pg_connection *connection)
{
    struct busi_pg *pg = connection->pg;
    busi_timer_set(connection->timer, INT64_MAX);
    connection->state = PG_READY;
    connection->backoff.pause_ms = 0;
    if (atomic_fetch_add(&pg->ready, 1) == 0) {
        pg->logged_ms = 0;
        busi_log(BUSI_INFO, "postgres_ready", BUSI_C("application", pg->application));
    }
}

/* Repeats itself only every few seconds while Postgres is away. */
static void log_loss(struct busi_pg *pg, const char *why, const char *sqlstate)
{
    int64_t now = busi_now_ms();
    if (pg->logged_ms && now < pg->logged_ms + PG_LOG_EVERY_MS)
        return;
    pg->logged_ms = now;
    struct busi_str text = {why, strcspn(why, "\n")};
    busi_log(BUSI_WARN, "postgres_unavailable", BUSI_C("application", pg->application),
             BUSI_S("reason", text), BUSI_C("sqlstate", sqlstate));
}

/* What was sent: reads go once more, writes may or may not have happened. */
static void give_up_flight(struct pg_connection *connection)
{
    struct busi_pg *pg = connection->pg;
    for (struct pg_request *request; (request = busi_pg_landed(connection)) != NULL;) {
        PQclear(request->result);
        request->result = NULL;
        bool write = busi_pg_is_write(pg, request);
        if (write || request->resent) {
            busi_pg_finish(pg, request, write ? BUSI_UNKNOWN : BUSI_UNAVAILABLE);
        } else {
            request->resent = true;
            busi_pg_enqueue(pg, request);
        }
    }
}

void busi_pg_connection_close(struct pg_connection *connection)
{
    if (connection->state == PG_READY)
        atomic_fetch_sub(&connection->pg->ready, 1);
    connection->state = PG_WAITING;
    if (connection->timer) /* else it was never made whole */
        busi_timer_set(connection->timer, INT64_MAX);
    if (connection->watch)
        busi_watch_free(&connection->watch);
    busi_resolve_cancel(&connection->resolve);
    PQfinish(connection->conn);
    connection->conn = NULL;
    connection->at = NULL;
    connection->batches = 0;
    connection->stale = connection->lost = connection->sync_next = false;
}

void busi_pg_connection_lose(struct pg_connection *connection, const char *why, const char *sqlstate)
{
    struct busi_pg *pg = connection->pg;
    log_loss(pg, why, sqlstate);
    busi_metric_add(BUSI_METRIC_postgres_reconnects, 1);
    give_up_flight(connection);
    busi_pg_connection_close(connection);
    busi_timer_set(connection->timer, busi_now_ms() + busi_backoff_next(&connection->backoff));
}
