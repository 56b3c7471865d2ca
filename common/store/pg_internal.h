/* What the files of the pg module share. Statements wait in the queues of struct busi_pg, are handed to
 * connections at the end of a turn (pg_dispatch.c) and come back in order (pg_connection.c). */
#pragma once
#include "base/buf.h"
#include "store/backoff.h"
#include "store/pg.h"
#include "store/resolve.h"
#include "wire/desc.h"

#include <libpq-fe.h>
#include <stdatomic.h>

enum {
    PG_IN_FLIGHT_MOST = 1024, /* statements waiting or sent; past it RESOURCE_EXHAUSTED */
    PG_GROUP_MOST = 128,      /* members of one group commit */
    PG_READS_MOST = 128,      /* reads that share one sync */
    PG_WRITES_DEEP = 4,       /* writes pipelined on one connection: what one blocked row can hold up */
    PG_SHARED_DEEP = 1,       /* executions of SHARED statements at once; later ones meanwhile find company */
    PG_PARAMS_MOST = 16,
    PG_FIELDS_MOST = 63,
    PG_STUCK_MS = 100,    /* no batch came back for so long: others take the work if they can */
    PG_CONNECT_MS = 5000, /* connect, authenticate, prepare */
    PG_GRACE_MS = 1000,   /* how long a connection may be overdue before it is dropped */
    PG_LOG_EVERY_MS = 10000,
};

/* The rows of one execution; fibers that shared it each hold one owner count. */
struct pg_rows {
    PGresult *result;   /* owned */
    struct pg_map *map; /* of its statement; borrowed */
    int owners;
};

enum pg_kind { PG_OTHER, PG_TEXT, PG_INT, PG_BOOL, PG_STAMP };

/* Which column fills which field; rows of one statement always have the same columns. */
struct pg_map {
    const struct busi_desc *desc;     /* NULL: not made yet */
    int8_t column_of[PG_FIELDS_MOST]; /* by field index; -1: no column */
    uint8_t kind_of[PG_FIELDS_MOST];  /* likewise: how the column is read, enum pg_kind */
    bool complete;                    /* every required field has a column of a fitting type */
};

/* One statement a fiber waits for. Lives in a queue, then in a connection's flight. */
struct pg_request {
    struct pg_request *next;       /* in its queue, flight or free list */
    struct pg_request *followers;  /* asked the same before it was sent: get the same rows */
    struct busi_fiber *fiber;      /* NULL: gave up; its answer is swallowed */
    const struct busi_str *params; /* the fiber's; only while it waits */
    size_t statement;              /* index */
    int64_t until_ms;              /* deadline */
    PGresult *result;              /* came, but its sync did not yet; owned */
    struct pg_rows *rows;          /* of a finished one; owned share */
    enum busi_code code;           /* of a finished one */
    char sqlstate[6];              /* of a finished one */
    char constraint[64];           /* of a finished one */
    bool done;                     /* the fiber may take it */
    bool alone;                    /* failed in company: to be run with its own sync */
    bool resent;                   /* a read whose first connection was lost */
    bool ends_batch;               /* a sync follows */
};

struct pg_queue {
    struct pg_request *first, *last;
    size_t n;
};

enum pg_state { PG_WAITING, PG_RESOLVING, PG_CONNECTING, PG_PREPARING, PG_READY };

struct pg_connection {
    struct busi_pg *pg;
    int number; /* 0: reads */
    enum pg_state state;
    PGconn *conn;                 /* NULL while waiting and resolving */
    struct busi_watch *watch;     /* of its socket */
    struct busi_timer *timer;     /* backoff when waiting, deadline until ready: what brings the
                                   * connection back must not need memory */
    struct busi_resolve *resolve; /* while resolving */
    struct busi_backoff backoff;
    struct pg_queue flight; /* sent, in order */
    struct pg_request *at;  /* whose result comes next, unless sync_next; NULL: nothing in flight */
    size_t batches;         /* syncs that have not come back */
    int64_t moved_ms;       /* when the first of the flight became the first */
    size_t answers;         /* while preparing: results that came */
    bool sync_next;         /* the flight's first batch has all its results */
    bool stale;             /* prepared statements no longer fit: remake when idle */
    bool lost;              /* remake as soon as the current work is off the stack */
};

struct busi_pg {
    struct busi_loop *loop;
    const struct busi_pg_statement *statements;
    size_t n_statements;
    int64_t statement_timeout_ms;
    const char *application;
    PQconninfoOption *conninfo; /* parsed; owned, wiped */
    char server_options[320];   /* -c settings given at connect */
    struct busi_timer *tick;    /* looks for overdue connections */
    struct pg_queue reads, shared, groups, writes;
    int64_t now_ms;     /* of the turn that ends */
    size_t shared_sent; /* SHARED executions in flight */
    size_t in_flight;   /* requests in use */
    struct pg_request *free_requests;
    struct pg_map *maps;     /* by statement */
    struct busi_buf scratch; /* parameters with NULs behind them, while sending */
    atomic_int ready;        /* connections that are */
    int64_t logged_ms;       /* when a fault was last logged; 0: never or recovered since */
    int n_connections;
    struct pg_connection connections[];
};

/* pg.c */
void busi_pg_queue_add(struct pg_queue *queue, struct pg_request *request);
struct pg_request *busi_pg_queue_take(struct pg_queue *queue); /* NULL: empty */
void busi_pg_request_free(struct busi_pg *pg, struct pg_request *request);
/* Gives the outcome to the fiber, or frees the request when that gave up; followers likewise. */
void busi_pg_finish(struct busi_pg *pg, struct pg_request *request, enum busi_code code);
/* Puts it (back) into the queue of its kind. */
void busi_pg_enqueue(struct busi_pg *pg, struct pg_request *request);

/* pg_dispatch.c */
void busi_pg_dispatch(void *pg); /* end-of-turn hook */

/* pg_connection.c */
void busi_pg_connection_on_time(void *connection); /* of the timer */
void busi_pg_connection_open(struct pg_connection *connection);
void busi_pg_connection_close(struct pg_connection *connection);
/* Fails or requeues what was sent and begins anew after a pause. */
void busi_pg_connection_lose(struct pg_connection *connection, const char *why, const char *sqlstate);
/* All statements are prepared. */
void busi_pg_connection_ready(struct pg_connection *connection);
/* After a batch was written to libpq: flush, watch for writability if it did not all go. */
void busi_pg_connection_flush(struct pg_connection *connection);

/* pg_receive.c */
/* Takes in what libpq has parsed. False: the connection must be lost. */
bool busi_pg_receive(struct pg_connection *connection);
/* Takes the first of the flight; NULL: none. */
struct pg_request *busi_pg_landed(struct pg_connection *connection);
bool busi_pg_is_write(const struct busi_pg *pg, const struct pg_request *request);

/* pg_conninfo.c */
/* NULL: malformed. */
PQconninfoOption *busi_pg_conninfo_parse(struct busi_str text);
void busi_pg_conninfo_free(PQconninfoOption **conninfo);
const char *busi_pg_conninfo_get(const PQconninfoOption *conninfo, const char *keyword); /* NULL: not given */
/* Starts connecting without blocking; found: addresses of the conninfo's hosts, NULL when none needs a
 * look-up. NULL: out of memory. */
PGconn *busi_pg_conninfo_connect(const struct busi_pg *pg, const struct busi_resolved *found);

/* pg_result.c */
enum pg_kind busi_pg_kind(Oid type); /* PG_OTHER: not one of ours */
