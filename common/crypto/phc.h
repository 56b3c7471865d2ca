/* argon2 hashes as text: $argon2id$v=19$m=19456,t=2,p=1$salt$hash. Read by ourselves before libsodium sees
 * them, because it would compute whatever a stored text asks for (8 GiB, hours). Pure; any thread. */
#pragma once
#include "base/str.h"

enum {
    BUSI_PHC_MOST_KIB = 1024 * 1024,
    BUSI_PHC_MOST_PASSES = 10,
    BUSI_PHC_MOST_LANES = 16,
    BUSI_PHC_MOST_BYTES = 128
};

struct busi_phc {
    bool argon2id;              /* otherwise argon2i */
    int64_t memory_kib;         /* m, 8 * p..BUSI_PHC_MOST_KIB */
    int64_t passes;             /* t, 1..BUSI_PHC_MOST_PASSES */
    int64_t lanes;              /* p, 1..BUSI_PHC_MOST_LANES; computed one behind the other */
    struct busi_str salt, hash; /* base64 without padding; in the text */
};
/* False: not such a text, or asks for more than the caps. */
[[nodiscard]] bool busi_phc_read(struct busi_phc *phc, struct busi_str stored);
