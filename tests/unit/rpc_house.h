/* A house of one process for the tests: servers and a client, each on a loop and a thread of its own. */
#pragma once
#include "rpc/client.h"
#include "rpc/server.h"
#include <pthread.h>
#include <stdatomic.h>

struct server {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct busi_rpc_server *rpc;
    pthread_t thread;
    char name[16];         /* in every business it answers with, as tag */
    char endpoint[64];     /* "127.0.0.1:40123" */
    atomic_int calls;      /* handlers begun */
    atomic_int cut;        /* handlers of ID_SLEEP whose time was over early */
    atomic_int written;    /* handlers of ID_COMMIT that came to their end */
    atomic_bool idle;      /* no call is being worked on */
    atomic_bool not_ready; /* what rpc.Health says */
};
/* Serves directory.GetBusiness, CreateBusiness, auth.CheckToken and SignUp on a free port (or the one given);
 * at most `fibers` calls at once. */
struct server *start_server(const char *name, const char *port, struct busi_curve *curve, size_t fibers);
/* The same, for so many connections. */
struct server *start_server_for(size_t connections, struct busi_curve *curve);
/* Its socket closes at once, also in the middle of calls. */
void stop_server(struct server **server);
void drain_server(struct server *server);

/* What the handlers do with id: */
enum {
    ID_SLEEP = 1000000, /* + ms: answers after so many ms */
    ID_REFUSED = 2000001,
    ID_UNKNOWN = 2000002,   /* NOT_FOUND with a message */
    ID_LIMITED = 2000005,   /* RESOURCE_EXHAUSTED with a quota */
    ID_TOO_BIG = 2000003,   /* a reply its row forbids */
    ID_BIG = 2000004,       /* 250 kB of description */
    ID_LOOKED_UP = 2000006, /* NOT_FOUND when there is no memory to look */
    ID_COMMIT = 3000000,    /* + ms: commits itself, and writes after so many ms */
};

struct client {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct busi_rpc_client *rpc;
    pthread_t thread;
};
struct client *start_client(const char *endpoints, const char *key_file, struct busi_curve *curve,
                            size_t max_in_flight);
/* Of one service alone. */
struct client *start_client_of(const char *service, const char *endpoints, const char *key_file,
                               struct busi_curve *curve, size_t max_in_flight);
/* Also waits until it is ready, at most 5 s. */
struct client *start_ready_client(const char *endpoints, const char *key_file, struct busi_curve *curve,
                                  size_t max_in_flight);
void stop_client(struct client **client);
/* True as soon as test(arg) is, false after ms. */
bool within(int ms, bool (*test)(void *arg), void *arg);
bool is_ready(void *client);
void sleep_ms(int ms);

/* One directory.GetBusiness by the calling thread; tag receives the server's name (16 bytes), may be NULL. */
enum busi_code get_business(struct client *client, int64_t id, int64_t within_ms, char *tag);
