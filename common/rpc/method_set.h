/* Which methods a client may call. Pure. */
#pragma once
#include "rpc/methods.h"

struct busi_method_set {
    uint64_t bits[(BUSI_METHODS + 63) / 64];
};

/* Everything there is. */
void busi_method_set_fill(struct busi_method_set *set);
/* Names as on the wire with blanks or commas between: "auth.CheckToken, directory.*", "*". What every service
 * has (rpc.Health, rpc.Describe) is always in it. *unknown becomes the first name of no method, which counts
 * for nothing; absent: there is none. */
void busi_method_set_read(struct busi_method_set *set, struct busi_str names, struct busi_str *unknown);
bool busi_method_set_has(const struct busi_method_set *set, enum busi_method_id id);
