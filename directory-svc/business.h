/* The rules of a business record. */
#pragma once
#include "rpc/call.h"

enum {
    BUSINESS_NAME_MOST = 255,
    BUSINESS_DESCRIPTION_MOST = 65536,
    BUSINESS_TAG_MOST = 255
}; /* characters */

/* Adds a violation to the call for each text that is absent, blank or too long; false when there is any. */
[[nodiscard]] bool business_check(struct busi_call *call, const struct busi_write_business_request *in);
/* The same for a partial update: an absent text stays as it is. */
[[nodiscard]] bool business_check_change(struct busi_call *call,
                                         const struct busi_write_business_request *in);
