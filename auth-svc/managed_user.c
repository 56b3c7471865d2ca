#include "managed_user.h"
#include "answers.h"

enum busi_code auth_managed_user_read(struct busi_call *call, const struct busi_pg_result *result, int row,
                                      struct busi_account *out)
{
    return busi_pg_message(result, row, busi_desc_account(), out, &call->arena) ? BUSI_OK
                                                                                : auth_no_memory(call);
}
