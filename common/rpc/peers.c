#include "rpc/peers.h"
#include <stdlib.h>

static bool same(const struct busi_peer *a, const struct busi_peer *b)
{
    return a->len == b->len && memcmp(a->id, b->id, a->len) == 0;
}

static bool grow(struct busi_peers *peers)
{
    size_t room = peers->room ? 2 * peers->room : 8;
    void *list = room <= BUSI_MOST_PEERS ? realloc(peers->list, room * sizeof *peers->list) : NULL;
    if (!list)
        return false;
    peers->list = list;
    peers->room = room;
    return true;
}

void busi_peers_note(struct busi_peers *peers, const struct busi_peer *peer, int64_t now_ms)
{
    size_t place = peers->n;
    for (size_t i = 0; i < peers->n; i++) {
        if (same(&peers->list[i].peer, peer)) {
            place = i;
            break;
        }
        if (now_ms - peers->list[i].seen_ms > BUSI_PEER_MS)
            place = i; /* gone: its place is free */
    }
    if (place == peers->room && !grow(peers))
        return;
    if (place == peers->n)
        peers->n++;
    peers->list[place].peer = *peer;
    peers->list[place].seen_ms = now_ms;
}

void busi_peers_fini(struct busi_peers *peers)
{
    free(peers->list);
    *peers = (struct busi_peers){0};
}
