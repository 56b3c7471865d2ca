/* Who is told when a server's health changes: clients that have pinged it lately, by a notice, and those that
 * watch it, by an answer to their question. */
#pragma once
#include "rpc/link.h"

enum { BUSI_MOST_PEERS = 1024, BUSI_MOST_WATCHES = 8 /* of one client */, BUSI_PEER_MS = 5000 };

struct busi_told {
    struct busi_peer peer; /* who */
    uint64_t id;           /* of its rpc.Watch; 0: it pings */
    int64_t until_ms;      /* busi_now_ms() scale */
};

struct busi_peers {
    struct busi_told *list; /* owned; NULL until the first; some are over */
    size_t n;               /* in use */
    size_t room;            /* allocated */
};
/* Again or anew. False: out of memory, or there are too many; who pings learns it by its next ping. */
bool busi_peers_note(struct busi_peers *peers, const struct busi_told *told, int64_t now_ms);
void busi_peers_forget(struct busi_peers *peers, const struct busi_peer *peer, uint64_t id);
void busi_peers_fini(struct busi_peers *peers);
