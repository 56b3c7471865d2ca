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
    REDIS_LOOK_MS = 1000,                        /* between looks whether the server still is the master */
    REDIS_STEADY_MS = 2000,                      /* ready for so long: what was before is forgotten */
    REDIS_TICK_MS = 100,
    REDIS_LOG_EVERY_MS = 10000,
    REDIS_SCRIPTS_MOST = 32, /* whose digests are remembered */
    REDIS_SENTINELS_MOST = 9,
    REDIS_ASK_MS = 500,    /* between questions to the sentinels */
    REDIS_LEASE_MS = 3000, /* how long a majority's answer is good for; all processes must agree on it */
    REDIS_NAME_MOST = 256, /* bytes of a host name with its NUL */
    REDIS_ID_MOST = 41,    /* bytes of a replication id with its NUL */
};

/* reply NULL: it never came. NULL, or why the connection is over (copied at once). */
typedef const char *redis_taker(void *arg, const redisReply *reply, int64_t sent_ms);

struct redis_request {
    struct redis_request *next;     /* in flight or in the free list */
    struct busi_fiber *fiber;       /* NULL: nobody waits, the reply is swallowed */
    redis_taker *taker;             /* or handed to this one */
    void *taker_arg;                /* its first argument */
    int64_t sent_ms;                /* when it was queued */
    struct busi_arena *arena;       /* the fiber's; only while it waits */
    struct busi_redis_reply *reply; /* likewise */
    int64_t overdue_ms;             /* no reply by then: the connection is dropped */
    enum busi_code code;            /* when done */
    bool done;
};

struct redis_address {
    char host[REDIS_NAME_MOST]; /* or the path of a socket, which begins with '/'; "": none */
    int port;
};

static inline bool busi_redis_same(const struct redis_address *a, const struct redis_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

struct redis_url {
    char *user, *password;                   /* of the server; NULL: none; owned, wiped */
    char *sentinel_user, *sentinel_password; /* likewise, of the sentinels */
    struct redis_address address;            /* of the server, unless there are sentinels */
    struct redis_address sentinels[REDIS_SENTINELS_MOST];
    size_t n_sentinels;
    char *master; /* its name among the sentinels; owned */
    int db;
};

struct redis_script {
    const char *text; /* the caller's; its address is its identity */
    char sha1[41];    /* as the server told; "": not yet */
};

enum redis_state {
    REDIS_WAITING,   /* a pause after a failure */
    REDIS_ASKING,    /* for the master's address, which the sentinels have not agreed on */
    REDIS_RESOLVING, /* its host name */
    REDIS_CONNECTING,
    REDIS_GREETING, /* authenticates, and sees that it is a master */
    REDIS_SETTLING, /* until no other process can still hold another one for the master */
    REDIS_READY
};
struct redis_sentinels;

struct busi_redis {
    struct busi_loop *loop;
    struct redis_url url;
    struct redis_address address;      /* connected to, or about to be */
    struct redis_sentinels *sentinels; /* who say where the master is; NULL: the URL does; owned */
    bool is_sentinel;                  /* this is a connection to one */
    int64_t timeout_ms;
    enum redis_state state;
    redisContext *context;        /* NULL while waiting and resolving */
    struct busi_watch *watch;     /* of its socket */
    struct busi_timer *timer;     /* backoff when waiting, deadline until greeted, end of settling: what
                                   * brings the connection back must not need memory */
    struct busi_timer *tick;      /* overdue replies, looks at the server */
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
    atomic_llong until_ms; /* ready until then: 0 never, INT64_MAX while connected */
    uint64_t generation;
    char history[REDIS_ID_MOST]; /* replication id of the connection's data; "": not told */
    int64_t looked_ms;           /* when the server was last asked about itself */
    struct redis_script scripts[REDIS_SCRIPTS_MOST]; /* run so far */
    size_t n_scripts;
    int64_t ready_ms;  /* since when */
    int64_t logged_ms; /* when a fault was last logged; 0: never or recovered since */
};

/* redis_url.c; false: malformed, *error says why (static). Fini wipes. */
bool busi_redis_url_parse(struct redis_url *url, struct busi_str text, const char **error);
void busi_redis_url_fini(struct redis_url *url);

/* redis.c: appends a command whose reply goes to a fiber set by the caller, to the taker, or nowhere. NULL:
 * too many or too much in flight. */
struct redis_request *busi_redis_send(struct busi_redis *redis, int argc, const struct busi_str *argv);
bool busi_redis_ask(struct busi_redis *redis, int argc, const struct busi_str *argv, redis_taker *taker,
                    void *arg);
/* The reply of the oldest request came; NULL: it never will. NULL, or why the connection is over. */
const char *busi_redis_finish(struct busi_redis *redis, enum busi_code code, const redisReply *reply);
/* Moves the url in. NULL: out of memory; the url is gone then too. */
struct busi_redis *busi_redis_make(struct busi_loop *loop, struct redis_url *url, int64_t timeout_ms,
                                   bool is_sentinel);

/* redis_connection.c */
void busi_redis_on_time(void *redis); /* of the timer */
void busi_redis_open(struct busi_redis *redis);
void busi_redis_close(struct busi_redis *redis);
void busi_redis_lose(struct busi_redis *redis, const char *why);
/* In the log, every few seconds at most. */
void busi_redis_complain(struct busi_redis *redis, const char *why);
void busi_redis_flush(void *redis); /* end-of-turn hook: one write */
/* The lease of its sentinels has changed, or might have run out: go there, leave or stay. */
void busi_redis_follow(struct busi_redis *redis);

/* redis_look.c: asks the server whether it is a master, of which data. The answer decides about the
 * connection. False: could not be sent. */
bool busi_redis_look(struct busi_redis *redis);

/* redis_sentinel.c: asks all sentinels again and again who the master is. NULL: out of memory. */
struct redis_sentinels *busi_redis_sentinels_new(struct busi_redis *redis);
void busi_redis_sentinels_free(struct redis_sentinels **sentinels);
/* What a majority says, and since and until when that can be relied on; NULL: there is none. */
struct redis_lease {
    struct redis_address master;
    int64_t settled_ms; /* from then on nobody can hold a lease on another master */
    int64_t until_ms;
};
const struct redis_lease *busi_redis_sentinels_lease(const struct redis_sentinels *sentinels);

/* redis_reply.c */
/* Makes hiredis' reader refuse what is too large. */
void busi_redis_bound_replies(struct busi_redis *redis);
/* Copies to the arena. OK, INTERNAL or UNAVAILABLE for an error reply, RESOURCE_EXHAUSTED. */
enum busi_code busi_redis_copy(const redisReply *from, struct busi_redis_reply *to, struct busi_arena *arena);
/* The server no longer is what we connected to. */
bool busi_redis_moved(const redisReply *reply);
