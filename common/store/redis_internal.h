/* What the files of the redis module share. */
#pragma once
#include "base/buf.h"
#include "store/backoff.h"
#include "store/redis.h"
#include "store/resolve.h"

#include <hiredis/hiredis.h>
#include <stdatomic.h>

enum {
    REDIS_IN_FLIGHT_MOST = 1024,
    REDIS_OUT_MOST = 4 << 20,                    /* bytes of commands not yet written */
    REDIS_TEXT_MOST = 1 << 20,                   /* bytes of one bulk */
    REDIS_REPLY_MOST = 4 << 20,                  /* bytes of all texts of one reply */
    REDIS_ITEMS_MOST = 65536,                    /* of all arrays of one reply */
    REDIS_DEPTH_MOST = 8,                        /* hiredis refuses deeper ones itself */
    REDIS_UNREAD_MOST = REDIS_TEXT_MOST + 65536, /* bytes of an incomplete item */
    REDIS_CONNECT_MS = 2000,                     /* connect and authenticate */
    REDIS_IDLE_MS = 1000,                        /* then a PING asks whether the server is still there */
    REDIS_TICK_MS = 100,
    REDIS_LOG_EVERY_MS = 10000,
    REDIS_SCRIPTS_MOST = 32, /* whose digests are remembered */
};

struct redis_request {
    struct redis_request *next;     /* in flight or in the free list */
    struct busi_fiber *fiber;       /* NULL: nobody waits, the reply is swallowed */
    struct busi_arena *arena;       /* the fiber's; only while it waits */
    struct busi_redis_reply *reply; /* likewise */
    int64_t overdue_ms;             /* no reply by then: the connection is dropped */
    enum busi_code code;            /* when done */
    bool done;
};

struct redis_url {
    char *user, *password; /* NULL: none; owned, wiped */
    char *host;            /* or the path of a socket, which begins with '/'; owned */
    int port;
    int db;
};

struct redis_script {
    const char *text; /* the caller's; its address is its identity */
    char sha1[41];    /* as the server told; "": not yet */
};

enum redis_state { REDIS_WAITING, REDIS_RESOLVING, REDIS_CONNECTING, REDIS_GREETING, REDIS_READY };

struct busi_redis {
    struct busi_loop *loop;
    struct redis_url url;
    int64_t timeout_ms;
    enum redis_state state;
    redisContext *context;        /* NULL while waiting and resolving */
    struct busi_watch *watch;     /* of its socket */
    struct busi_timer *timer;     /* backoff when waiting, deadline until ready */
    struct busi_timer *tick;      /* overdue replies, idle PING */
    struct busi_resolve *resolve; /* while resolving */
    struct busi_backoff backoff;
    size_t attempts;                    /* walks through the addresses of the host */
    struct busi_buf out;                /* commands, beginning with those written already */
    size_t written;                     /* bytes of out that were */
    size_t greetings;                   /* replies of the greeting still to come */
    struct redis_request *first, *last; /* in flight, in order */
    struct redis_request *free_requests;
    size_t in_flight;                    /* requests in use */
    size_t reply_bytes;                  /* of the reply being parsed */
    size_t reply_items;                  /* likewise */
    redisReplyObjectFunctions functions; /* hiredis' own, but bounded */
    void *(*create_array)(const redisReadTask *task, int n);
    void *(*create_string)(const redisReadTask *task, char *bytes, size_t n);
    atomic_bool ready;
    uint64_t generation;
    struct redis_script scripts[REDIS_SCRIPTS_MOST]; /* run so far */
    size_t n_scripts;
    int64_t sent_ms;   /* when something was last sent */
    int64_t logged_ms; /* when a fault was last logged; 0: never or recovered since */
};

/* redis_url.c; false: malformed, *error says why (static). Fini wipes. */
bool busi_redis_url_parse(struct redis_url *url, struct busi_str text, const char **error);
void busi_redis_url_fini(struct redis_url *url);

/* redis.c: appends a command; fiber NULL: its reply is swallowed. NULL: too many or too much in flight. */
struct redis_request *busi_redis_send(struct busi_redis *redis, int argc, const struct busi_str *argv);
/* The reply of the oldest request came; NULL: it never will. */
void busi_redis_finish(struct busi_redis *redis, enum busi_code code, const redisReply *reply);

/* redis_connection.c */
void busi_redis_open(struct busi_redis *redis);
void busi_redis_close(struct busi_redis *redis);
void busi_redis_lose(struct busi_redis *redis, const char *why);
void busi_redis_flush(void *redis); /* end-of-turn hook: one write */

/* redis_reply.c */
/* Makes hiredis' reader refuse what is too large. */
void busi_redis_bound_replies(struct busi_redis *redis);
/* Copies to the arena. OK, INTERNAL or UNAVAILABLE for an error reply, RESOURCE_EXHAUSTED. */
enum busi_code busi_redis_copy(const redisReply *from, struct busi_redis_reply *to, struct busi_arena *arena);
/* The server no longer is what we connected to. */
bool busi_redis_moved(const redisReply *reply);
