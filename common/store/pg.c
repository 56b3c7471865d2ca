#include "store/pg_internal.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/metrics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { TICK_MS = 250, RETRIES = 3, SCRATCH_MOST = 8 << 20 };

void busi_pg_queue_add(struct pg_queue *queue, struct pg_request *request)
{
    request->next = NULL;
    if (queue->last)
        queue->last->next = request;
    else
        queue->first = request;
    queue->last = request;
    queue->n++;
}

struct pg_request *busi_pg_queue_take(struct pg_queue *queue)
{
    struct pg_request *request = queue->first;
    if (!request)
        return NULL;
    queue->first = request->next;
    if (!queue->first)
        queue->last = NULL;
    queue->n--;
    request->next = NULL;
    return request;
}

static struct pg_request *request_new(struct busi_pg *pg)
{
    if (pg->in_flight == PG_IN_FLIGHT_MOST)
        return NULL;
    struct pg_request *request = pg->free_requests;
    if (request)
        pg->free_requests = request->next;
    else
        request = malloc(sizeof *request);
    if (!request)
        return NULL;
    pg->in_flight++;
    memset(request, 0, sizeof *request);
    return request;
}

static void rows_drop(struct pg_rows *rows)
{
    if (!rows || --rows->owners > 0)
        return;
    PQclear(rows->result);
    free(rows);
}

void busi_pg_request_free(struct busi_pg *pg, struct pg_request *request)
{
    PQclear(request->result);
    rows_drop(request->rows);
    request->next = pg->free_requests;
    pg->free_requests = request;
    pg->in_flight--;
}

static void finish_one(struct busi_pg *pg, struct pg_request *request, const struct pg_request *leader,
                       struct pg_rows *rows, enum busi_code code)
{
    if (!request->fiber) {
        busi_pg_request_free(pg, request);
        return;
    }
    if (rows)
        rows->owners++;
    request->rows = rows;
    request->code = code;
    if (request != leader) {
        memcpy(request->sqlstate, leader->sqlstate, sizeof request->sqlstate);
        memcpy(request->constraint, leader->constraint, sizeof request->constraint);
    }
    request->done = true;
    busi_fiber_wake(request->fiber);
}

void busi_pg_finish(struct busi_pg *pg, struct pg_request *request, enum busi_code code)
{
    struct pg_rows *rows = code == BUSI_OK ? malloc(sizeof *rows) : NULL;
    if (rows) {
        *rows =
            (struct pg_rows){.result = request->result, .map = &pg->maps[request->statement], .owners = 1};
        request->result = NULL;
    } else if (code == BUSI_OK) { /* no memory to tell of what is done */
        code = busi_pg_is_write(pg, request) ? BUSI_UNKNOWN : BUSI_UNAVAILABLE;
    }
    for (struct pg_request *follower = request->followers, *next; follower; follower = next) {
        next = follower->next;
        finish_one(pg, follower, request, rows, code);
    }
    request->followers = NULL;
    finish_one(pg, request, request, rows, code);
    rows_drop(rows);
}

static bool same_params(const struct busi_pg *pg, const struct pg_request *a, const struct pg_request *b)
{
    /* one whose fiber gave up has no parameters any more */
    if (!a->fiber || !b->fiber || a->statement != b->statement)
        return false;
    for (int i = 0; i < pg->statements[a->statement].n_params; i++)
        if (!busi_str_eq(a->params[i], b->params[i]) || !a->params[i].ptr != !b->params[i].ptr)
            return false;
    return true;
}

/* Joins the request to one that asks the same and is still to be sent. */
static bool follow(struct busi_pg *pg, struct pg_request *request)
{
    for (struct pg_request *leader = pg->shared.first; leader; leader = leader->next) {
        if (!same_params(pg, leader, request))
            continue;
        request->next = leader->followers;
        leader->followers = request;
        if (leader->until_ms < request->until_ms)
            leader->until_ms = request->until_ms;
        return true;
    }
    return false;
}

void busi_pg_enqueue(struct busi_pg *pg, struct pg_request *request)
{
    request->ends_batch = false;
    switch (pg->statements[request->statement].effect) {
    case BUSI_PG_SHARED:
        if (request->followers || !follow(pg, request))
            busi_pg_queue_add(&pg->shared, request);
        return;
    case BUSI_PG_READ:
        busi_pg_queue_add(&pg->reads, request);
        return;
    case BUSI_PG_GROUP:
        busi_pg_queue_add(request->alone ? &pg->writes : &pg->groups, request);
        return;
    case BUSI_PG_WRITE:
        busi_pg_queue_add(&pg->writes, request);
        return;
    }
}

static enum busi_code run_once(struct busi_pg *pg, size_t index, const struct busi_str *params,
                               int64_t until_ms, struct busi_pg_result *result)
{
    if (!busi_pg_ready(pg))
        return BUSI_UNAVAILABLE;
    struct pg_request *request = request_new(pg);
    if (!request)
        return BUSI_RESOURCE_EXHAUSTED;
    request->fiber = busi_fiber_self();
    request->params = params;
    request->statement = index;
    request->until_ms = until_ms;
    busi_pg_enqueue(pg, request);
    while (!request->done) {
        if (busi_fiber_wait(until_ms) == BUSI_TIMED_OUT && !request->done) {
            request->fiber = NULL;
            request->params = NULL;
            return BUSI_DEADLINE_EXCEEDED;
        }
    }
    enum busi_code code = request->code;
    if (request->rows) {
        const PGresult *rows = request->rows->result;
        result->rows = PQntuples(rows);
        result->columns = PQnfields(rows);
        result->affected = strtoll(PQcmdTuples((PGresult *)rows), NULL, 10);
        result->handle = request->rows;
        request->rows = NULL;
    }
    memcpy(result->sqlstate, request->sqlstate, sizeof result->sqlstate);
    memcpy(result->constraint, request->constraint, sizeof result->constraint);
    busi_pg_request_free(pg, request);
    return code;
}

static bool params_valid(const struct busi_str *params, int n)
{
    for (int i = 0; i < n; i++)
        if (params[i].len && memchr(params[i].ptr, 0, params[i].len))
            return false;
    return true;
}

enum busi_code busi_pg_run(struct busi_pg *pg, size_t index, const struct busi_str *params, int64_t until_ms,
                           struct busi_pg_result *result)
{
    assert(index < pg->n_statements && busi_fiber_self());
    *result = (struct busi_pg_result){0};
    if (!params_valid(params, pg->statements[index].n_params))
        return BUSI_INVALID_ARGUMENT;
    int64_t now = busi_now_ms();
    if (until_ms > now + pg->statement_timeout_ms)
        until_ms = now + pg->statement_timeout_ms;
    if (until_ms <= now)
        return BUSI_DEADLINE_EXCEEDED;
    if (pg->statements[index].effect == BUSI_PG_WRITE || pg->statements[index].effect == BUSI_PG_GROUP)
        busi_fiber_commit(); /* what belongs to it shall be done, too */
    for (int attempt = 0;; attempt++) {
        enum busi_code code = run_once(pg, index, params, until_ms, result);
        /* a serialization failure or deadlock: the server undid it and asks for another try */
        int64_t pause_ms = 2 + busi_backoff_random(&pg->connections[0].backoff) % (8u << attempt);
        if (code != BUSI_ABORTED || attempt == RETRIES || busi_now_ms() + pause_ms >= until_ms)
            return code;
        busi_pg_clear(result);
        busi_fiber_sleep(pause_ms);
    }
}

void busi_pg_clear(struct busi_pg_result *result)
{
    rows_drop(result->handle);
    *result = (struct busi_pg_result){0};
}

/* The server's own timeouts come first; this is for a server or link that is silent. */
static void look_for_overdue(void *arg)
{
    struct busi_pg *pg = arg;
    int64_t now = busi_now_ms();
    for (int i = 0; i < pg->n_connections; i++) {
        struct pg_connection *connection = &pg->connections[i];
        const struct pg_request *head = connection->flight.first;
        if (connection->state == PG_READY && head && now > head->until_ms + PG_GRACE_MS)
            busi_pg_connection_lose(connection, "no answer", "");
    }
}

bool busi_pg_ready(const struct busi_pg *pg)
{
    return atomic_load_explicit(&pg->ready, memory_order_relaxed) > 0;
}

static bool start(struct busi_pg *pg)
{
    pg->tick = busi_loop_every(pg->loop, TICK_MS, look_for_overdue, pg);
    if (!pg->tick || !busi_loop_at_turn_end(pg->loop, busi_pg_dispatch, pg))
        return false;
    bool fine = true;
    for (int i = 0; i < pg->n_connections && fine; i++) {
        struct pg_connection *connection = &pg->connections[i];
        connection->pg = pg;
        connection->number = i;
        connection->timer = busi_loop_timer(pg->loop, busi_pg_connection_on_time, connection);
        fine = connection->timer != NULL;
        if (fine)
            busi_pg_connection_open(connection);
    }
    return fine;
}

/* A lock is given up a little earlier than the statement, so that the SQLSTATE tells which it was. A client
 * whose host was cut off is forgotten within seconds: Postgres would keep its connections for two hours, and
 * they count for the limit of the role. */
static void write_server_options(struct busi_pg *pg)
{
    snprintf(pg->server_options, sizeof pg->server_options,
             "-c statement_timeout=%lld -c lock_timeout=%lld -c idle_in_transaction_session_timeout=%lld"
             " -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
             " -c tcp_user_timeout=20000",
             (long long)pg->statement_timeout_ms, (long long)pg->statement_timeout_ms * 3 / 4 + 1,
             (long long)pg->statement_timeout_ms * 2);
}

struct busi_pg *busi_pg_new(struct busi_loop *loop, const struct busi_pg_options *options)
{
    assert(options->connections >= 2);
    size_t n = (size_t)options->connections;
    struct busi_pg *pg = calloc(1, sizeof *pg + n * sizeof pg->connections[0]);
    if (!pg)
        return NULL;
    pg->loop = loop;
    pg->statements = options->statements;
    pg->n_statements = options->n_statements;
    pg->statement_timeout_ms = options->statement_timeout_ms;
    pg->application = options->application;
    pg->n_connections = options->connections;
    pg->maps = calloc(options->n_statements + 1, sizeof *pg->maps);
    pg->conninfo = busi_pg_conninfo_parse(options->conninfo);
    busi_buf_init(&pg->scratch, SCRATCH_MOST);
    write_server_options(pg);
    if (!pg->conninfo)
        busi_log(BUSI_ERR, "postgres_conninfo_malformed", BUSI_C("application", options->application));
    if (!pg->maps || !pg->conninfo || !start(pg))
        busi_pg_free(&pg);
    return pg;
}

static void queue_fini(struct busi_pg *pg, struct pg_queue *queue)
{
    for (struct pg_request *request; (request = busi_pg_queue_take(queue)) != NULL;)
        busi_pg_finish(pg, request, BUSI_UNAVAILABLE);
}

void busi_pg_free(struct busi_pg **pg_)
{
    struct busi_pg *pg = *pg_;
    if (!pg)
        return;
    *pg_ = NULL;
    for (int i = 0; i < pg->n_connections; i++) {
        queue_fini(pg, &pg->connections[i].flight);
        busi_pg_connection_close(&pg->connections[i]);
        busi_timer_free(&pg->connections[i].timer);
    }
    queue_fini(pg, &pg->reads);
    queue_fini(pg, &pg->shared);
    queue_fini(pg, &pg->groups);
    queue_fini(pg, &pg->writes);
    while (pg->free_requests) {
        struct pg_request *request = pg->free_requests;
        pg->free_requests = request->next;
        free(request);
    }
    if (pg->tick)
        busi_timer_free(&pg->tick);
    busi_pg_conninfo_free(&pg->conninfo);
    busi_buf_fini(&pg->scratch);
    free(pg->maps);
    free(pg);
}
