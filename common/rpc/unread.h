/* What was sent to clients and not taken by the network yet, for each connection and for each certificate:
 * who does not read costs a bounded number of bytes, and others not their answers. Loop thread, but for
 * busi_unread_taken(). Private to the RPC server. */
#pragma once
#include "rpc/link.h"

enum {
    BUSI_UNREAD_PEER_MOST = 16 * 1024 * 1024, /* of one connection: four of the longest replies */
    BUSI_UNREAD_NAME_MOST = 64 * 1024 * 1024, /* of all connections of one certificate */
    BUSI_UNREAD_LITTLE = 64 * 1024            /* of a connection, when those beside it have filled that */
};

struct busi_unread;
[[nodiscard]] struct busi_unread *busi_unread_new(void); /* NULL: out of memory */
void busi_unread_free(struct busi_unread **unread);      /* what is not taken yet may be so later */

/* Notes so many bytes; for busi_frame_take(). name is the sender of what is answered; absent: nobody's
 * answer. NULL: that would be too many, or out of memory. */
[[nodiscard]] struct busi_frame_note *
busi_unread_add(struct busi_unread *unread, const struct busi_peer *peer, struct busi_str name, size_t bytes);
/* The bytes are gone, and so is the note. Any thread; libzmq does it for a frame. */
void busi_unread_taken(struct busi_frame_note *note);
/* So much is unread that no more should be done for this one. */
bool busi_unread_much(struct busi_unread *unread, const struct busi_peer *peer, struct busi_str name);
