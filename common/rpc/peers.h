/* Who has pinged a server lately: they are told when it drains. */
#pragma once
#include "rpc/link.h"

enum { BUSI_MOST_PEERS = 1024, BUSI_PEER_MS = 5000 };

struct busi_peers {
    struct {
        struct busi_peer peer; /* who */
        int64_t seen_ms;       /* last ping */
    } * list;                  /* owned; NULL until the first */
    size_t n;                  /* in use */
    size_t room;               /* allocated */
};
/* Out of memory, or more than BUSI_MOST_PEERS at once: not noted, that client learns it by its next ping. */
void busi_peers_note(struct busi_peers *peers, const struct busi_peer *peer, int64_t now_ms);
void busi_peers_fini(struct busi_peers *peers);
