#include "rpc/peers.h"
#include <stdlib.h>

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

bool busi_peers_note(struct busi_peers *peers, const struct busi_told *told, int64_t now_ms)
{
    size_t place = peers->n, others = 0;
    for (size_t i = 0; i < peers->n; i++) {
        const struct busi_told *at = &peers->list[i];
        bool same = busi_peer_same(&at->peer, &told->peer);
        if (same && at->id == told->id) {
            place = i;
            others = 0;
            break;
        }
        if (at->until_ms <= now_ms)
            place = i; /* gone: its place is free */
        else
            others += same;
    }
    if (others >= BUSI_MOST_WATCHES || (place == peers->room && !grow(peers)))
        return false;
    if (place == peers->n)
        peers->n++;
    peers->list[place] = *told;
    return true;
}

void busi_peers_forget(struct busi_peers *peers, const struct busi_peer *peer, uint64_t id)
{
    for (size_t i = 0; i < peers->n; i++)
        if (peers->list[i].id == id && busi_peer_same(&peers->list[i].peer, peer))
            peers->list[i].until_ms = 0;
}

void busi_peers_fini(struct busi_peers *peers)
{
    free(peers->list);
    *peers = (struct busi_peers){0};
}
