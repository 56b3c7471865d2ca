/* The last steps of every sign-in, whatever proved who it is. */
#pragma once
#include "core/account.h"
#include "core/auth.h"

struct auth_hook_answer;

/* Whether the hooks let this account in: to be asked before what proved it is used up. added: what they add.
 * PERMISSION_DENIED: no. */
[[nodiscard]] enum busi_code auth_admission_ask(struct auth *self, struct busi_call *call,
                                                const struct auth_account *account,
                                                const struct auth_door *door, struct auth_hook_answer *added);
/* Opens a session and tells of it; how goes to the audit log: what proved who it is. The account is as it was
 * when it was proved whose it is, and not blocked then; it becomes what it is when the session begins.
 * UNAUTHENTICATED: it has been blocked, or its password changed, meanwhile. Fills all of out. */
[[nodiscard]] enum busi_code auth_admit_asked(struct auth *self, struct busi_call *call,
                                              struct auth_account *account, const struct auth_door *door,
                                              const struct auth_hook_answer *added, struct busi_str how,
                                              struct busi_session_reply *out);
/* Both. */
[[nodiscard]] enum busi_code auth_admit(struct auth *self, struct busi_call *call,
                                        struct auth_account *account, const struct auth_door *door,
                                        struct busi_str how, struct busi_session_reply *out);
