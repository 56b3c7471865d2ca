#include "new_user.h"
#include "base/text.h"
#include "email.h"
#include "passwords.h"

/* One violation for each field: what is blank is not also too short. */
static void refuse_email(struct busi_call *call, struct busi_str email)
{
    if (busi_utf8_blank(email))
        busi_call_refuse(call, "email", BUSI_RULE_BLANK, 0);
    else if (email.len > AUTH_EMAIL_MOST_BYTES)
        busi_call_refuse(call, "email", BUSI_RULE_TOO_LONG, AUTH_EMAIL_MOST_BYTES);
    else if (!auth_email_valid(email))
        busi_call_refuse(call, "email", BUSI_RULE_FORMAT, 0);
}

static void refuse_password(struct busi_call *call, struct busi_str password, size_t least)
{
    if (busi_utf8_blank(password))
        busi_call_refuse(call, "password", BUSI_RULE_BLANK, 0);
    else if (password.len > AUTH_PASSWORD_MOST_BYTES)
        busi_call_refuse(call, "password", BUSI_RULE_TOO_LONG, AUTH_PASSWORD_MOST_BYTES);
    else if (busi_utf8_length(password) < least)
        busi_call_refuse(call, "password", BUSI_RULE_TOO_SHORT, (int64_t)least);
}

bool auth_new_user_check(struct busi_call *call, const struct busi_sign_up_request *in, size_t least_password)
{
    size_t before = call->n_violations;
    refuse_email(call, in->email);
    refuse_password(call, in->password, least_password);
    return call->n_violations == before;
}
