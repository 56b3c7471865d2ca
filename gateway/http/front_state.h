/* What the files of the front share. Nothing outside front*.c and self_test.c includes this. */
#pragma once
#include "http/http.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct mg_connection;
struct mg_context;

enum {
    FRONT_HEAD_MAX = 8192,        /* bytes of a request head */
    FRONT_ANSWER_MAX = 16 << 20,  /* bytes of an answer's body */
    FRONT_ARENA_MAX = 64 << 20,   /* bytes of memory for one request's work */
    FRONT_SMALL_BODY = 64 * 1024, /* bodies up to this size need not ask for memory */
    FRONT_BODY_COPIES = 2,        /* of a larger one: as it came, and as it goes to a worker */
    FRONT_KEPT_BYTES = 32 * 1024, /* answer buffers up to this size are kept for the thread's next request */
    FRONT_RETRY_MS = 1000,        /* Retry-After of the front's own 503 */
    FRONT_LINGER_MS = 300,        /* longest wait for a refused sender to notice */
    FRONT_LINGER_BYTES = 1024 * 1024, /* most bytes of his we read meanwhile */
};

/* One per CivetWeb thread; used by that thread only (http_front_close() looks at socket). */
struct front_worker {
    struct http_front *front; /* borrowed */
    int socket;   /* of the connection being served, or -1; owned by CivetWeb; set under front->sockets */
    int answered; /* heads of this connection that got an answer */
    uint64_t random[4];          /* state of the request id generator; all 0: not seeded yet */
    char request_id[33];         /* ours, when the client's is missing or unfit */
    time_t date_s;               /* the second `date` is right for */
    char date[32];               /* "Sat, 21 Nov 2026 10:00:00 GMT" */
    struct http_request request; /* the request being served */
    struct busi_buf body;        /* of answers; its memory is kept between requests */
    char head[4096];             /* of the answer */
};

struct http_front {
    struct http_app app;
    struct http_large large;
    struct mg_context *server; /* owned */
    int port;                  /* bound */
    int64_t body_timeout_ms;
    int64_t answer_timeout_ms;    /* until a client must have taken an answer */
    int64_t work_timeout_ms;      /* http_timeout */
    struct front_worker *workers; /* owned; n_workers of them */
    size_t n_workers;
    _Atomic int64_t *waits_since_ms; /* owned; of each worker whose connection has not asked yet, else 0 */
    atomic_size_t leaving;           /* connections that were ended and are not closed yet */
    pthread_mutex_t sockets;         /* held while a worker's socket comes or goes */
    atomic_size_t workers_made;
    atomic_size_t connections;    /* being served, idle ones included */
    atomic_size_t busy;           /* requests being answered */
    atomic_bool accepts;          /* there is a thread for it */
    atomic_bool short_of_threads; /* CivetWeb could not make all workers */
    atomic_bool parting;          /* no connection is kept behind its answer */
    atomic_bool draining;         /* what comes is refused */
    atomic_bool stopping;         /* waits of ours end early */
    atomic_llong tended_ms;       /* when the loop last tended it; 0: never yet. busi_now_ms() scale */
    atomic_llong stalled_ms;      /* how long it did not before stale_until_ms */
    atomic_llong stale_until_ms;  /* until then what is read may have waited stalled_ms */
};

struct front_options {
    struct http_app app;
    const char *listen; /* "127.0.0.1:4000" */
    int64_t threads, queue, head_timeout_ms, body_timeout_ms, work_timeout_ms, large_memory;
};
/* front.c: http_front_open() without the self-test. */
struct http_front *front_start(const struct front_options *options, const char **error);

/* front.c: the connection a thread serves; -1: none any more. */
void front_set_socket(struct front_worker *worker, struct http_front *front, int socket);

/* front_room.c: more than four fifths of the threads are taken. */
bool front_is_crowded(const struct http_front *front);
/* The worker's connection, whose socket is set, waits for its first request; and has asked, or is closing
 * (once more does nothing). */
void front_wait_begins(const struct front_worker *worker);
void front_wait_ends(const struct front_worker *worker);
/* Any thread: when crowded, ends connections that never asked. */
void front_make_room(struct http_front *front);

/* front_stall.c: the loop has come by. */
void front_tended(struct http_front *front);
/* Any thread: for how long a request that is read now may have been there already; 0 but for when the process
 * stood still. */
int64_t front_waited_ms(const struct http_front *front);

/* front_request.c: CivetWeb's begin_request. */
int front_on_request(struct mg_connection *connection);
/* An empty request with a fresh call; end it with busi_call_fini(). */
void front_request_init(struct front_worker *worker, const char *remote_addr);

/* front_error.c: CivetWeb's http_error and connection_close: what it refused, or dropped, without asking us.
 */
int front_on_error(struct mg_connection *connection, int status, const char *text);
void front_on_close(const struct mg_connection *connection);

/* front_large.c: before its body is read. Bodies take half of the memory at most: anybody may send one. */
[[nodiscard]] bool front_hold_body(struct http_request *request);

/* front_body.c */
enum front_body { FRONT_BODY_WHOLE, FRONT_BODY_STALLED, FRONT_BODY_BROKEN, FRONT_BODY_NO_MEMORY };
/* Reads content_length bytes into request->body before now + timeout. *owned is what to wipe and free
 * afterwards, or NULL when the body lies in CivetWeb's buffer. */
enum front_body front_read_body(struct front_worker *worker, struct mg_connection *connection, char **owned);
void front_wipe_body(struct http_request *request, char *owned);
/* Tells the sender we have stopped listening and waits a moment for it to notice: a socket closed with unread
 * input makes the kernel throw our answer away. */
void front_linger(const struct front_worker *worker);

/* front_answer.c */
void front_response_init(struct front_worker *worker, struct http_response *response);
/* The shape comes from the application. */
void front_refuse(struct front_worker *worker, struct busi_str path, int status,
                  struct http_response *response);
void front_send_continue(const struct front_worker *worker);
/* Writes it whole before the deadline. False: it did not, close the connection. */
[[nodiscard]] bool front_send(struct front_worker *worker, struct http_response *response);
void front_response_fini(struct front_worker *worker, struct http_response *response);

/* front_id.c */
/* Sets the call's request_id and traceparent: the client's where well-formed. */
void front_identify(struct front_worker *worker, struct http_request *request);

/* self_test.c: NULL, or what CivetWeb read differently than we rely on. */
const char *front_self_test(void);
