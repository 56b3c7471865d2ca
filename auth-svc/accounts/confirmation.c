/* auth.ConfirmEmail */
#include "accounts/proof.h"
#include "audit/audit.h"

/* The session is opened with the account as it is now: confirmed. */
enum busi_code auth_confirm_email(struct auth *self, struct busi_call *call,
                                  const struct busi_confirm_email_request *in, struct busi_session_reply *out)
{
    const struct auth_proof proof = {.kind = AUTH_ONE_TIME_confirm_email,
                                     .secret = in->secret,
                                     .name = in->name,
                                     .door = in->door,
                                     .limit = AUTH_LIMIT_confirm_email};
    enum busi_code code = auth_proof_sign_in(self, call, &proof, out);
    if (code != BUSI_OK || out->user_id != 0)
        return code;
    auth_audit_failed(self, call, &(struct auth_deed){.event = AUTH_AUDIT_confirm_email, .door = in->door},
                      "unknown_secret");
    return busi_call_fail(call, BUSI_NOT_FOUND, "email confirmation failed");
}
