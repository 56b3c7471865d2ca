/* Tokens that a check found good not long ago. It decides nothing: it only says for whom the gateway may
 * begin to read while the token is being checked again, so that tokens nobody ever issued cost the workers no
 * reads. */
#pragma once
#include "base/str.h"
#include <stdatomic.h>

enum { SEEN_MOST = 65536 };

struct seen {
    uint8_t key[16]; /* of the hashes; random */
    _Atomic(uint64_t)
        hashes[SEEN_MOST]; /* by their low bits; 0: none. A later token takes an earlier one's place */
};

void seen_init(struct seen *seen);
/* Any thread. A hash, never the token, is kept. */
bool seen_find(const struct seen *seen, struct busi_str token);
void seen_note(struct seen *seen, struct busi_str token, bool good);
