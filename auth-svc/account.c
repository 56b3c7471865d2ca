#include "account.h"
#include "email.h"
#include "username.h"

bool auth_account_read(struct busi_arena *arena, const struct busi_pg_result *result,
                       struct auth_account *account)
{
    enum { ID, EMAIL, USERNAME, CODE, META, HASH, EPOCH, CONFIRMED, BLOCKED, ROLES, ROLES_VERSION, COLUMNS };
    _Static_assert((int)COLUMNS == (int)AUTH_ACCOUNT_COLUMNS, "account.h counts them");
    *account = (struct auth_account){0};
    if (result->rows == 0)
        return true;
    const struct {
        struct busi_str *text;
        int column;
    } texts[] = {{&account->email, EMAIL}, {&account->username, USERNAME}, {&account->code, CODE},
                 {&account->meta, META},   {&account->hash, HASH},         {&account->roles, ROLES}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct busi_str value = busi_pg_value(result, 0, texts[i].column);
        *texts[i].text = busi_arena_dup(arena, value);
        if (value.ptr && !texts[i].text->ptr)
            return false;
    }
    account->epoch = busi_pg_int(result, 0, EPOCH);
    account->confirmed = busi_pg_int(result, 0, CONFIRMED) != 0;
    account->blocked = busi_pg_int(result, 0, BLOCKED) != 0;
    account->roles_version = busi_pg_int(result, 0, ROLES_VERSION);
    account->id = busi_pg_int(result, 0, ID);
    return true;
}

enum busi_code auth_account_find(struct auth *self, struct busi_call *call, enum auth_statement statement,
                                 struct busi_str key, struct auth_account *account)
{
    struct busi_pg_result result;
    *account = (struct auth_account){0};
    enum busi_code code = busi_pg_run(self->pg, statement, &key, call->until_ms, &result);
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = busi_call_fail(call, BUSI_INTERNAL, "the call's memory is used up");
    busi_pg_clear(&result);
    return code;
}

enum busi_code auth_account_find_by_id(struct auth *self, struct busi_call *call, int64_t id,
                                       struct auth_account *account)
{
    struct busi_str key = busi_arena_int(&call->arena, id);
    if (!key.ptr)
        return busi_call_fail(call, BUSI_INTERNAL, "the call's memory is used up");
    return auth_account_find(self, call, AUTH_FIND_BY_ID, key, account);
}

bool auth_name_keys(struct busi_arena *arena, struct busi_str name, struct auth_name_keys *keys)
{
    struct auth_username username;
    *keys = (struct auth_name_keys){0};
    if (name.len > 0 && memchr(name.ptr, '@', name.len)) {
        keys->email = name.len <= AUTH_EMAIL_MOST_BYTES ? auth_name_key(arena, name) : BUSI_STR("");
        return keys->email.ptr != NULL;
    }
    keys->username = auth_username_read(arena, name, &username) ? username.key : BUSI_STR("");
    return true;
}

struct busi_str auth_name_fold(struct busi_arena *arena, struct busi_str name)
{
    struct auth_name_keys keys = {0};
    if (name.len > 0 && memchr(name.ptr, '@', name.len))
        while (name.ptr[name.len - 1] == '.') /* a domain may end with one; it stops at the '@' */
            name.len--;
    if (name.len <= AUTH_EMAIL_MOST_BYTES && !auth_name_keys(arena, name, &keys))
        return (struct busi_str){0};
    return keys.email.len ? keys.email : keys.username.len ? keys.username : auth_name_key(arena, name);
}
