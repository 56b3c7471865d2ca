/* From the queues to the connections, once per turn: reads share a sync on the reading connection, a group of
 * inserts shares one on an idle writing connection, every other write has its own. */
#include "store/pg_internal.h"

#include "base/metrics.h"

/* The request to send for this one: itself, or a follower when its own fiber gave up. NULL: nobody waits. */
static struct pg_request *still_wanted(struct busi_pg *pg, struct pg_request *request)
{
    while (request && !request->fiber) {
        struct pg_request *heir = request->followers;
        if (heir)
            heir->followers = heir->next;
        request->followers = NULL;
        busi_pg_request_free(pg, request);
        request = heir;
    }
    return request;
}

static struct pg_request *take_wanted(struct busi_pg *pg, struct pg_queue *queue)
{
    struct pg_request *request = NULL;
    while (!request && queue->first)
        request = still_wanted(pg, busi_pg_queue_take(queue));
    return request;
}

/* libpq wants NUL-terminated texts; ours have a length. */
static bool copy_params(struct busi_buf *scratch, const struct busi_str *params, int n, const char **values)
{
    size_t size = 1;
    for (int i = 0; i < n; i++)
        size += params[i].len + 1;
    busi_buf_clear(scratch);
    char *at = busi_buf_reserve(scratch, size);
    if (!at) {
        scratch->failed = false;
        return false;
    }
    for (int i = 0; i < n; i++) {
        values[i] = params[i].ptr ? at : NULL;
        if (!params[i].ptr)
            continue;
        memcpy(at, params[i].ptr, params[i].len);
        at += params[i].len;
        *at++ = '\0';
    }
    return true;
}

/* True when it is in flight; false when it was answered at once. */
static bool send_one(struct pg_connection *connection, struct pg_request *request)
{
    struct busi_pg *pg = connection->pg;
    const struct busi_pg_statement *statement = &pg->statements[request->statement];
    const char *values[PG_PARAMS_MOST];
    if (!copy_params(&pg->scratch, request->params, statement->n_params, values)) {
        busi_pg_finish(pg, request, BUSI_RESOURCE_EXHAUSTED);
        return false;
    }
    if (!PQsendQueryPrepared(connection->conn, statement->name, statement->n_params, values, NULL, NULL, 1)) {
        connection->lost = true;
        busi_pg_finish(pg, request, BUSI_UNAVAILABLE);
        return false;
    }
    if (statement->effect == BUSI_PG_SHARED)
        pg->shared_sent++;
    if (!connection->flight.first) {
        connection->at = request;
        connection->moved_ms = pg->now_ms;
    }
    busi_pg_queue_add(&connection->flight, request);
    return true;
}

/* Sends up to most of the queue as one batch. */
static void send_batch(struct pg_connection *connection, struct pg_queue *queue, size_t most)
{
    struct pg_request *last = NULL;
    while (most > 0 && !connection->lost) {
        struct pg_request *request = take_wanted(connection->pg, queue);
        if (!request)
            break;
        if (!send_one(connection, request))
            continue;
        last = request;
        if (request->alone)
            break;
        most--;
    }
    if (!last)
        return;
    last->ends_batch = true;
    connection->batches++;
    if (!PQpipelineSync(connection->conn))
        connection->lost = true;
}

/* Held up by a lock or a slow statement. */
static bool is_stuck(const struct pg_connection *connection)
{
    return connection->flight.first && connection->pg->now_ms > connection->moved_ms + PG_STUCK_MS;
}

static bool is_usable(const struct pg_connection *connection)
{
    return connection->state == PG_READY && !connection->stale;
}

static bool is_better(const struct pg_connection *a, const struct pg_connection *b)
{
    if (is_stuck(a) != is_stuck(b))
        return is_stuck(b);
    return a->batches < b->batches;
}

/* A usable writer, the least busy one; the reading connection only when no other is there. NULL: none. */
static struct pg_connection *pick_writer(struct busi_pg *pg)
{
    struct pg_connection *best = NULL;
    for (int i = 1; i < pg->n_connections; i++) {
        struct pg_connection *connection = &pg->connections[i];
        if (is_usable(connection) && (!best || is_better(connection, best)))
            best = connection;
    }
    return best || !is_usable(&pg->connections[0]) ? best : &pg->connections[0];
}

static struct pg_connection *pick_reader(struct busi_pg *pg)
{
    struct pg_connection *first = &pg->connections[0];
    if (is_usable(first) && !is_stuck(first))
        return first;
    struct pg_connection *other = pick_writer(pg);
    return is_usable(first) && (!other || is_stuck(other)) ? first : other;
}

/* A batch was sent: push what libpq still holds. False: the connection is gone, pick another. */
static bool sent(struct pg_connection *connection)
{
    if (connection->lost) {
        busi_pg_connection_lose(connection, PQerrorMessage(connection->conn), "");
        return false;
    }
    busi_pg_connection_flush(connection);
    return connection->state == PG_READY;
}

static void send_reads(struct busi_pg *pg)
{
    struct pg_connection *connection;
    while (pg->reads.first && (connection = pick_reader(pg)) != NULL) {
        send_batch(connection, &pg->reads, PG_READS_MOST);
        sent(connection);
    }
    /* SHARED ones wait for the one before them: those that come meanwhile ask the same and are answered by
     * one execution, and plain reads never queue behind more than one of them */
    while (pg->shared.first && pg->shared_sent < PG_SHARED_DEEP && (connection = pick_reader(pg)) != NULL) {
        send_batch(connection, &pg->shared, 1);
        sent(connection);
    }
}

static void send_groups(struct busi_pg *pg)
{
    struct pg_connection *connection;
    /* only on an idle one: while a commit is on its way to the disk the next group gathers */
    while (pg->groups.first && (connection = pick_writer(pg)) != NULL && connection->batches == 0) {
        send_batch(connection, &pg->groups, PG_GROUP_MOST);
        sent(connection);
    }
}

static void send_writes(struct busi_pg *pg)
{
    struct pg_connection *connection;
    while (pg->writes.first && (connection = pick_writer(pg)) != NULL &&
           connection->batches < PG_WRITES_DEEP) {
        send_batch(connection, &pg->writes, 1);
        sent(connection);
    }
}

static void fail_queue(struct busi_pg *pg, struct pg_queue *queue)
{
    for (struct pg_request *request; (request = busi_pg_queue_take(queue)) != NULL;)
        busi_pg_finish(pg, request, BUSI_UNAVAILABLE);
}

void busi_pg_dispatch(void *arg)
{
    struct busi_pg *pg = arg;
    if (pg->in_flight > 0)
        pg->now_ms = busi_now_ms();
    send_writes(pg);
    send_groups(pg);
    send_reads(pg);
    if (!busi_pg_ready(pg)) {
        fail_queue(pg, &pg->reads);
        fail_queue(pg, &pg->shared);
        fail_queue(pg, &pg->groups);
        fail_queue(pg, &pg->writes);
    }
    busi_metric_set(BUSI_METRIC_postgres_in_flight, (int64_t)pg->in_flight);
}
