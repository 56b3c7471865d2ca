/* Lets only requests with a valid token of a living session pass. */
#pragma once
#include "exchange.h"

/* True: call.user_id says who asks. False: answered. */
bool guard_admit(struct exchange *x);
