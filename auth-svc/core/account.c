#include "core/account.h"
#include "core/answers.h"
#include "core/email.h"
#include "core/username.h"

enum { CODE_ATTEMPTS = 5 };

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
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    return code;
}

enum busi_code auth_account_find_by_id(struct auth *self, struct busi_call *call, int64_t id,
                                       struct auth_account *account)
{
    struct busi_str key = busi_arena_int(&call->arena, id);
    if (!key.ptr)
        return auth_no_memory(call);
    return auth_account_find(self, call, AUTH_FIND_BY_ID, key, account);
}

enum busi_code auth_account_find_by_secret(struct auth *self, struct busi_call *call,
                                           enum auth_one_time_kind kind, struct busi_str hash,
                                           struct auth_account *account)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {hash, auth_one_time_name(kind)};
    *account = (struct auth_account){0};
    enum busi_code code = busi_pg_run(self->pg, AUTH_FIND_SECRET, params, call->until_ms, &result);
    if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
        code = auth_no_memory(call);
    busi_pg_clear(&result);
    return code;
}

/* The database names one of two that may be taken, the account that has the other is looked up. */
enum busi_code auth_account_refuse_taken(struct auth *self, struct busi_call *call,
                                         const struct auth_account_keys *keys, int64_t user_id,
                                         const char *constraint)
{
    enum { EMAIL, USERNAME };
    struct busi_pg_result result;
    const struct busi_str params[] = {keys->email, keys->username, busi_arena_int(&call->arena, user_id)};
    if (!params[2].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_FIND_TAKEN, params, call->until_ms, &result);
    if (code == BUSI_OK) {
        if (strcmp(constraint, "users_email_key") == 0 || busi_pg_int(&result, 0, EMAIL))
            busi_call_refuse(call, "email", BUSI_RULE_TAKEN, 0);
        if (strcmp(constraint, "users_username_key") == 0 || busi_pg_int(&result, 0, USERNAME))
            busi_call_refuse(call, "username", BUSI_RULE_TAKEN, 0);
        code = busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the account is not valid");
    }
    busi_pg_clear(&result);
    return code;
}

/* A code that somebody has is no reason to fail: the next is another. */
enum busi_code auth_account_insert(struct auth *self, struct busi_call *call, enum auth_statement statement,
                                   const struct busi_str *params, const struct auth_account_keys *keys,
                                   struct auth_account *account)
{
    struct busi_pg_result result;
    enum busi_code code = BUSI_ALREADY_EXISTS;
    char constraint[64] = "users_code";
    for (int i = 0; i < CODE_ATTEMPTS && strcmp(constraint, "users_code") == 0; i++) {
        code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
        memcpy(constraint, result.constraint, sizeof(result.constraint));
        if (code == BUSI_OK && !auth_account_read(&call->arena, &result, account))
            code = auth_no_memory(call);
        busi_pg_clear(&result);
    }
    if (code == BUSI_ALREADY_EXISTS && strcmp(constraint, "users_code") == 0)
        return busi_call_fail(call, BUSI_ABORTED, "no short name is free");
    return code == BUSI_ALREADY_EXISTS ? auth_account_refuse_taken(self, call, keys, 0, constraint) : code;
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
