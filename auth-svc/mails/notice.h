/* Tells the owner of an account by mail that somebody signed in from a network address that none of the
 * account's other sessions came from, where BUSI_NOTICE_NEW_ADDRESS is on. */
#pragma once
#include "core/account.h"

/* To be asked when a session stands. What fails is logged: the sign-in was right. */
void auth_notice_address(struct auth *self, struct busi_call *call, const struct auth_account *account,
                         struct busi_str session_id);
