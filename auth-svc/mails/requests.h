/* Mails that anybody may ask for by naming an account: to confirm its address again, to reset its password,
 * to sign in by a link, to be reminded of its user name. The handlers write down what was asked for, the same
 * row whether there is such an account or not, and answer. What becomes of it is decided afterwards, on a
 * fiber of its own: so nothing of the answer, its time included, depends on the account. Loop thread only. */
#pragma once
#include "core/auth.h"

struct auth_mail_requests;
/* NULL: out of memory or fibers. */
[[nodiscard]] struct auth_mail_requests *auth_mail_requests_new(struct auth *auth,
                                                                struct busi_fibers *fibers);
/* Ends the fiber after the request in hand; others wait in the table for the next process. */
void auth_mail_requests_stop(struct auth_mail_requests *requests);
bool auth_mail_requests_stopped(const struct auth_mail_requests *requests);
/* A mail without a secret to whoever has this address, if anybody does. */
[[nodiscard]] enum busi_code auth_mail_request_told(struct auth *self, struct busi_call *call,
                                                    const char *kind, struct busi_str email_key);
/* Likewise to the owner of the account that this name, as somebody wrote it, stands for. */
[[nodiscard]] enum busi_code auth_mail_request_named(struct auth *self, struct busi_call *call,
                                                     const char *kind, struct busi_str name);
void auth_mail_requests_free(struct auth_mail_requests **requests);
