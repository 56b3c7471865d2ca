/* Finds the access token of a request. Pure; any thread. */
#pragma once
#include "core/exchange.h"

enum credential_verdict {
    CREDENTIAL_FOUND,
    CREDENTIAL_MISSING,
    CREDENTIAL_INVALID, /* it could be none of ours */
    CREDENTIAL_TWICE    /* Authorization twice, or the token elsewhere as well */
};

/* In the header of that name (absent: there is none such); only without that header, in Authorization; only
 * without that, in the query, where the surface allows it. The named header sent twice counts as none. *token
 * is borrowed from the request. */
[[nodiscard]] enum credential_verdict credential_find(const struct exchange *x, struct busi_str header,
                                                      struct busi_str *token);
