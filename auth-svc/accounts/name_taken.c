/* auth.NameTaken: for surfaces whose clients were always told. */
#include "core/account.h"
#include "core/answers.h"
#include "limits/limiter.h"

/* Count 1: an account has this user name or e-mail. */
enum busi_code auth_name_taken(struct auth *self, struct busi_call *call,
                               const struct busi_account_name_request *in, struct busi_count_reply *out)
{
    enum { EMAIL, USERNAME };
    struct busi_pg_result result;
    struct auth_name_keys keys;
    enum busi_code code = auth_limit(self, call, AUTH_LIMIT_name_taken, (struct busi_str){0});
    if (code != BUSI_OK)
        return code;
    if (!auth_name_keys(&call->arena, in->name, &keys))
        return auth_no_memory(call);
    const struct busi_str params[] = {keys.email, keys.username, BUSI_STR("0")};
    code = busi_pg_run(self->pg, AUTH_FIND_TAKEN, params, call->until_ms, &result);
    out->count = busi_pg_int(&result, 0, EMAIL) != 0 || busi_pg_int(&result, 0, USERNAME) != 0;
    busi_pg_clear(&result);
    return code;
}
