/* What the files of the redis module share. */
#pragma once
#include "base/buf.h"
#include "store/backoff.h"
#include "store/redis.h"
#include "store/resolve.h"

#include <hiredis/hiredis.h>
#include <stdatomic.h>

enum {
    REDIS_IN_FLIGHT_MOST = 1024,                 /* commands that fibers wait for */
    REDIS_ON_LINK_MOST = 2048,                   /* those that nobody waits for any more among them */
    REDIS_OUT_MOST = 4 << 20,                    /* bytes of commands not yet written */
    REDIS_TEXT_MOST = 1 << 20,                   /* bytes of one bulk */
    REDIS_REPLY_MOST = 4 << 20,                  /* bytes of all texts of one reply */
    REDIS_ITEMS_MOST = 65536,                    /* of all arrays of one reply */
    REDIS_DEPTH_MOST = 8,                        /* hiredis refuses deeper ones itself */
    REDIS_UNREAD_MOST = REDIS_TEXT_MOST + 65536, /* bytes of an incomplete item */
    REDIS_LINKS_MOST = 16,
    REDIS_DIAL_MS = 250,       /* to connect, at first; twice as long after each that took longer */
    REDIS_DIAL_MOST_MS = 2000, /* up to this */
    REDIS_GREET_MS = 500,      /* to authenticate, at least */
    REDIS_LATE_MS = 40,        /* and twice its usual time: so long without an answer a link is late */
    REDIS_PACE_MS = 10,        /* between looks at who is late */
    REDIS_SENDS_MOST = 12,     /* of one command */
    REDIS_PATIENCE = 4,        /* silences of one link that a command lives through */
    REDIS_GRACE = 2,           /* silences after which Redis is away, should no link be left */
    REDIS_LOOK_MS = 1000,      /* between looks whether the server still is the master */
    REDIS_STEADY_MS = 2000,    /* ready for so long: what was before is forgotten */
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

struct redis_link;

/* Commands of a fiber, which leave together; on its stack. */
struct redis_call {
    struct redis_call *next, *previous; /* in the line */
    struct busi_fiber *fiber;
    struct busi_arena *arena; /* the fiber's */
    struct busi_redis_command *commands;
    size_t n;
    size_t done;             /* of them, by the replies of lead */
    struct redis_link *lead; /* the last that began to answer. Only its replies count, for those of two links
                              * would not be of one order; NULL: none has */
    unsigned held;           /* by these links, a bit each */
    int sends;
    bool repeatable; /* all are reads */
    bool lined;      /* stands in the line */
    bool over;       /* codes and replies are there */
};

/* One command on a link, in flight or in the free list. */
struct redis_request {
    struct redis_request *next;
    struct redis_call *call; /* NULL: nobody waits, the reply is swallowed */
    size_t index;            /* of the call's commands */
    redis_taker *taker;      /* or handed to this one */
    void *taker_arg;         /* its first argument */
    int64_t sent_ms;         /* when it was queued */
    uint64_t at;             /* where it begins in all the bytes of the link */
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

enum redis_link_state {
    REDIS_RESTING, /* until its timer, or until it is woken */
    REDIS_RESOLVING,
    REDIS_CONNECTING,
    REDIS_GREETING, /* authenticates, and sees that it is a master */
    REDIS_LINKED
};

/* One connection. */
struct redis_link {
    struct busi_redis *redis; /* whose it is */
    unsigned number;          /* from 0 */
    enum redis_link_state state;
    redisContext *context;        /* NULL while resting and resolving */
    struct busi_watch *watch;     /* of its socket */
    struct busi_timer *timer;     /* pause when resting, else deadline until greeted: what brings the
                                   * connection back must not need memory */
    struct busi_resolve *resolve; /* while resolving */
    struct busi_backoff backoff;
    int64_t dial_ms;                    /* patience with the next connect */
    char text[REDIS_NAME_MOST];         /* numeric address, or a socket's path */
    char history[REDIS_ID_MOST];        /* replication id of the server's data; "": not told */
    struct busi_buf out;                /* commands, beginning with those written already */
    size_t written;                     /* bytes of out that were */
    uint64_t queued;                    /* bytes put to out since it was opened */
    size_t greetings;                   /* replies of the greeting still to come */
    struct redis_request *first, *last; /* in flight, in order */
    size_t in_flight;
    bool idle;                           /* rests until it is woken */
    int64_t linked_ms;                   /* since when */
    int64_t heard_ms;                    /* when bytes came last */
    int64_t looked_ms;                   /* when the server was last asked about itself */
    int64_t usual;                       /* time of an answer, in 16ths of a ms */
    size_t reply_bytes;                  /* of the reply being parsed */
    size_t reply_items;                  /* likewise */
    redisReplyObjectFunctions functions; /* hiredis' own, but bounded */
    void *(*create_array)(const redisReadTask *task, int n);
    void *(*create_string)(const redisReadTask *task, char *bytes, size_t n);
};

enum redis_state {
    REDIS_ASKING,   /* for the master's address, which the sentinels have not agreed on */
    REDIS_AWAY,     /* no link has greeted it */
    REDIS_SETTLING, /* until no other process can still hold another one for the master */
    REDIS_READY
};
struct redis_sentinels;

struct busi_redis {
    struct busi_loop *loop;
    struct redis_url url;
    struct redis_address address;      /* connected to, or about to be */
    char text[REDIS_NAME_MOST];        /* that of the links there are, numeric */
    struct redis_sentinels *sentinels; /* who say where the master is; NULL: the URL does; owned */
    bool is_sentinel;                  /* this is one */
    int64_t timeout_ms;                /* a link that owes something may be silent for so long */
    enum redis_state state;
    struct busi_timer *timer; /* end of settling */
    struct busi_timer *tick;  /* silence, looks at the server */
    struct busi_timer *pace;  /* who is late; rests while nothing is owed */
    int64_t pace_ms;          /* when it is due; 0: it rests */
    struct redis_link links[REDIS_LINKS_MOST];
    size_t n_links;
    bool quiet;                                /* what failed last did so by silence */
    size_t attempts;                           /* walks through the addresses of the host */
    struct redis_call *line_first, *line_last; /* wait for a link that is not late */
    size_t waiting;                            /* commands of fibers, in the line or sent */
    struct redis_request *free_requests;
    atomic_llong until_ms; /* ready until then: 0 never, INT64_MAX while connected */
    uint64_t generation;
    char history[REDIS_ID_MOST];                     /* of all links; "": not told, so there is only one */
    int64_t heard_ms;                                /* when a link was last */
    struct redis_script scripts[REDIS_SCRIPTS_MOST]; /* run so far */
    size_t n_scripts;
    int64_t ready_ms;       /* since when */
    int64_t logged_ms;      /* when a fault was last logged; 0: never or recovered since */
    int64_t link_logged_ms; /* likewise, of one link among others */
};

/* A link stands for Redis by itself: what is late has nowhere else to go. */
static inline bool busi_redis_alone(const struct busi_redis *redis)
{
    return redis->n_links == 1 || (!redis->is_sentinel && !redis->history[0]);
}

/* Redis has been greeted. */
static inline bool busi_redis_up(const struct busi_redis *redis)
{
    return redis->state == REDIS_SETTLING || redis->state == REDIS_READY;
}

/* redis_url.c; false: malformed, *error says why (static). Fini wipes. */
bool busi_redis_url_parse(struct redis_url *url, struct busi_str text, const char **error);
void busi_redis_url_fini(struct redis_url *url);

/* redis.c: moves the url in. NULL: out of memory; the url is gone then too. */
struct busi_redis *busi_redis_make(struct busi_loop *loop, struct redis_url *url, int64_t timeout_ms,
                                   size_t n_links, bool is_sentinel);

/* redis_line.c: who waits for which link. */
/* To the end of the line; sent at once if it can be. */
void busi_redis_join(struct busi_redis *redis, struct redis_call *call);
/* What has no reply yet ends with this code. */
void busi_redis_fail(struct busi_redis *redis, struct redis_call *call, enum busi_code code);
/* The reply to that command of the call. */
void busi_redis_take(struct redis_link *link, struct redis_call *call, size_t index, const redisReply *reply);
/* The link forgets all requests: what never left, or can be asked again, goes back to the head of the line;
 * the rest fails, and with fail_all everything does. */
void busi_redis_give_back(struct redis_link *link, bool fail_all);
/* The line moves on. */
void busi_redis_dispatch(struct busi_redis *redis);
/* The pace's timer. */
void busi_redis_on_pace(void *redis);
/* A command that no fiber waits for, on a link that is not late. False: there is none, or no memory. */
bool busi_redis_ask(struct busi_redis *redis, int argc, const struct busi_str *argv, redis_taker *taker,
                    void *arg);

/* redis_life.c: of Redis as a whole. */
/* A link has greeted, and is of the same data. NULL, or why the link is over. */
const char *busi_redis_greeted(struct redis_link *link);
/* All links are over, and all who wait are told. */
void busi_redis_lose(struct busi_redis *redis, const char *why);
/* A link is over, perhaps because of silence: its commands go elsewhere, and it is dialled again. When it was
 * the last, Redis is lost. */
void busi_redis_lose_link(struct redis_link *link, const char *why, bool silent);
/* Its server has other data than a moment ago: what we told it may be gone, and the other links may not lead
 * to it. */
void busi_redis_has_other_data(struct redis_link *link);
/* In the log, every few seconds at most. */
void busi_redis_complain(struct busi_redis *redis, const char *why);
/* The lease of its sentinels has changed, or might have run out: go there, leave or stay. */
void busi_redis_follow(struct busi_redis *redis);
/* False: the sentinels have not agreed where to. */
bool busi_redis_choose_address(struct busi_redis *redis);
void busi_redis_on_tick(void *redis); /* of the tick */
void busi_redis_on_time(void *redis); /* of the timer */

/* redis_link.c: of one connection. */
void busi_redis_link_on_time(void *link); /* of its timer */
void busi_redis_link_close(struct redis_link *link);
void busi_redis_link_flush(struct redis_link *link);
/* OK; RESOURCE_EXHAUSTED: out of memory; UNAVAILABLE: it holds too much already. call NULL: replies are
 * swallowed. */
enum busi_code busi_redis_link_send(struct redis_link *link, const struct busi_redis_command *commands,
                                    size_t n, struct redis_call *call);
bool busi_redis_link_ask(struct redis_link *link, int argc, const struct busi_str *argv, redis_taker *taker,
                         void *arg);
/* Takes the first request off; the caller frees it. */
struct redis_request *busi_redis_link_shift(struct redis_link *link);
void busi_redis_request_free(struct busi_redis *redis, struct redis_request *request);

/* redis_look.c: asks the server whether it is a master, of which data. The answer decides about the link, and
 * when it was linked, about all. False: could not be sent. */
bool busi_redis_look(struct redis_link *link);

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
void busi_redis_bound_replies(struct redis_link *link);
/* Copies to the arena. OK, INTERNAL or UNAVAILABLE for an error reply, RESOURCE_EXHAUSTED. */
enum busi_code busi_redis_copy(const redisReply *from, struct busi_redis_reply *to, struct busi_arena *arena);
/* The server no longer is what we connected to. */
bool busi_redis_moved(const redisReply *reply);
