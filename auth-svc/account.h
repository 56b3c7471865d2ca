/* An account as its row says. */
#pragma once
#include "base/str.h"

struct auth_account {
    int64_t id;               /* 0: there is none */
    struct busi_str email;    /* as typed at sign-up */
    struct busi_str username; /* as typed, or absent */
    struct busi_str code;     /* its short name on the accesspass surface, 6 characters a-z and 1-9 */
    struct busi_str meta;     /* a JSON object, as given at sign-up */
    struct busi_str hash;     /* of the password; absent: signs in by other means */
    int64_t epoch;            /* counts what ends all sessions: a change of password, a ban */
    bool confirmed;           /* the e-mail address was */
    bool blocked;
};
