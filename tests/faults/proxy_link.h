/* A link: a port of this machine whose connections are carried on to a target, and what befalls them.
 *
 * One thread. Time is CLOCK_MONOTONIC in us. A connection holds at most MOST_HELD bytes for each direction,
 * then the sender waits. Nothing here blocks. */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_HELD = 1 << 20, MOST_CONNECTIONS = 1024, NAME_MAX_LEN = 31 };
enum direction { UP, DOWN, DIRECTIONS }; /* UP: from who connected, to the target */

/* What happens after so many more bytes of a direction. */
enum event { CUT, RST, HALFCLOSE, CORRUPT, EVENTS };
enum { NEVER = -1 };

struct faults {
    int64_t delay_ms;
    int64_t jitter_ms;     /* up to so much more, never overtaking */
    int64_t rate;          /* bytes/s of each connection, 0: as fast as it goes */
    int64_t drop;          /* 1: what comes is swallowed, an end, too; the connection stays */
    int64_t stall;         /* 1: nothing moves; it does later */
    int64_t big;           /* nor what came in a piece of so many bytes and all behind it; 0: none is big */
    int64_t after[EVENTS]; /* bytes, or NEVER */
};

/* What epoll tells: `on` gets the events of `socket`. The first member of all that is watched. */
struct watch {
    void (*on)(struct watch *, uint32_t events);
    int socket;
    uint32_t events; /* asked for; 0: not in the poller, which would tell of ends all the same */
};

struct connection;

struct link {
    struct watch listener; /* socket -1: refused */
    struct link *next;
    char name[NAME_MAX_LEN + 1];
    struct sockaddr_in here, target;
    struct faults faults[DIRECTIONS];
    struct connection *connections;
    uint64_t accepted, bytes[DIRECTIONS]; /* since it was opened */
    uint64_t hits;                        /* cuts, resets, half-closes, flipped bits, big pieces */
};

/* ---- of proxy.c ---- */

[[nodiscard]] int64_t now_us(void);

/* Sets what is asked of `watch`; 0 takes it out. */
void watch_for(struct watch *watch, uint32_t events);

/* ---- of proxy_link.c ---- */

/* NULL: `error` says why (a text that stays). A port 0 of `here`: one is chosen. */
[[nodiscard]] struct link *link_open(const char *name, const struct sockaddr_in *here,
                                     const struct sockaddr_in *target, const char **error);
[[nodiscard]] struct link *link_find(const char *name);
void links_close(void);

/* One fault of one direction, by name and value; live connections count from now. NULL or why not. */
[[nodiscard]] const char *link_set(struct link *link, enum direction direction, const char *fault,
                                   const char *value);
void link_clear(struct link *link);
void link_reset(struct link *link);
[[nodiscard]] const char *link_refuse(struct link *link, bool refuse);
[[nodiscard]] size_t link_connections(const struct link *link);

/* Moves what is due. Returns when to come back, or INT64_MAX. Also buries connections that have ended: call
 * it after each round of events. */
[[nodiscard]] int64_t links_move(void);
