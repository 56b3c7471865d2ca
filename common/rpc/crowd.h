/* How many connections a server has, and who may still come: each costs memory and a descriptor, and those of
 * one certificate shall not take the places of others. */
#pragma once
#include "base/str.h"

enum {
    BUSI_CROWD_MOST = 4096,   /* connections that have passed the handshake, if nothing else is said */
    BUSI_CROWD_NEW_MS = 2500, /* one that is older has passed it: HANDSHAKE_MS of link.c */
    BUSI_CROWD_STEP_MS = 100,
    BUSI_CROWD_STEPS = BUSI_CROWD_NEW_MS / BUSI_CROWD_STEP_MS + 3,
    BUSI_CROWD_NAMES = 64 /* those who came last, of whom it is known when */
};

/* Of the server's loop: what libzmq says of its descriptors. */
struct busi_connections {
    int64_t *since_ms; /* by descriptor, when it was accepted; 0: none. Owned */
    size_t room;       /* descriptors that fit */
};
void busi_connections_came(struct busi_connections *connections, int fd, int64_t now_ms);
void busi_connections_went(struct busi_connections *connections, int fd);
/* Those that have passed the handshake and are not new. */
size_t busi_connections_old(const struct busi_connections *connections, int64_t now_ms);
void busi_connections_fini(struct busi_connections *connections);

/* Of the thread that answers from the allow-list. */
struct busi_crowd {
    size_t fresh[BUSI_CROWD_STEPS]; /* let in until the loop counts them, by step */
    int64_t step;                   /* the last one of them */
    struct {
        char name[64];
        int64_t came_ms; /* when it was last let in */
    } late[BUSI_CROWD_NAMES];
};
/* One more of this name, beside so many old ones, of so many at most? Beyond half of that one certificate
 * brings one more each second. */
bool busi_crowd_admits(struct busi_crowd *crowd, size_t old, size_t most, const char *name, int64_t now_ms);
