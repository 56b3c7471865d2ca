#include "accounts/managed_user.h"
#include "base/buf.h"
#include "core/account.h"
#include "core/answers.h"

enum {
    CHUNK = 100,                         /* accounts whose extras are read at once */
    ANSWER_MOST_BYTES = 3 * 1024 * 1024, /* of the 4 MiB of a reply */
    AROUND_BYTES = 64,                   /* of an account or an extra, besides its texts */
    IDS_MOST_BYTES = CHUNK * 21 + 2,
};

enum busi_code auth_managed_user_read(struct busi_call *call, const struct busi_pg_result *result, int row,
                                      struct busi_account *out)
{
    return busi_pg_message(result, row, busi_desc_account(), out, &call->arena) ? BUSI_OK
                                                                                : auth_no_memory(call);
}

/* ---- extras ---- */

/* As an array of Postgres. */
static struct busi_str list_ids(struct busi_call *call, const struct busi_account *accounts, size_t n)
{
    struct busi_buf ids;
    struct busi_str list = {0};
    busi_buf_init(&ids, IDS_MOST_BYTES);
    for (size_t i = 0; i < n; i++)
        busi_buf_printf(&ids, "%c%lld", i ? ',' : '{', (long long)accounts[i].user_id);
    busi_buf_char(&ids, '}');
    if (!ids.failed)
        list = busi_arena_dup(&call->arena, (struct busi_str){ids.ptr, ids.len});
    busi_buf_fini(&ids);
    return list;
}

/* Those of one account, from row on; past AUTH_EXTRAS_MOST, which two that add at once may pass, they are not
 * shown. */
static enum busi_code read_extras(struct busi_call *call, const struct busi_pg_result *result, int row,
                                  struct busi_account *account)
{
    enum { USER_ID, TYPE, VALUE };
    size_t n = 0;
    while (row + (int)n < result->rows && n < AUTH_EXTRAS_MOST &&
           busi_pg_int(result, row + (int)n, USER_ID) == account->user_id)
        n++;
    struct busi_account_extra *extras = busi_arena_array(&call->arena, n, sizeof(*extras));
    if (!extras)
        return auth_no_memory(call);
    for (size_t i = 0; i < n; i++) {
        extras[i].type = busi_arena_dup(&call->arena, busi_pg_value(result, row + (int)i, TYPE));
        extras[i].value = busi_arena_dup(&call->arena, busi_pg_value(result, row + (int)i, VALUE));
        if (!extras[i].type.ptr || !extras[i].value.ptr)
            return auth_no_memory(call);
    }
    account->extras.items = extras;
    account->extras.n = n;
    return BUSI_OK;
}

static enum busi_code add_extras(struct auth *self, struct busi_call *call, struct busi_account *accounts,
                                 size_t n)
{
    struct busi_pg_result result;
    struct busi_str ids = list_ids(call, accounts, n);
    if (!ids.ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_EXTRAS_OF_USERS, &ids, call->until_ms, &result);
    for (int row = 0; row < result.rows && code == BUSI_OK;) {
        int64_t user_id = busi_pg_int(&result, row, 0);
        for (size_t i = 0; i < n && code == BUSI_OK; i++)
            if (accounts[i].user_id == user_id)
                code = read_extras(call, &result, row, &accounts[i]);
        while (row < result.rows && busi_pg_int(&result, row, 0) == user_id)
            row++;
    }
    busi_pg_clear(&result);
    return code;
}

static size_t size_of(const struct busi_account *account)
{
    size_t size =
        AROUND_BYTES + account->email.len + account->username.len + account->meta.len + account->roles.len;
    for (size_t i = 0; i < account->extras.n; i++)
        size += AROUND_BYTES + account->extras.items[i].type.len + account->extras.items[i].value.len;
    return size;
}

enum busi_code auth_managed_users_complete(struct auth *self, struct busi_call *call,
                                           struct busi_account *accounts, size_t n, size_t *fit)
{
    size_t size = 0;
    for (*fit = 0; *fit < n;) {
        size_t until = n - *fit < CHUNK ? n : *fit + CHUNK;
        enum busi_code code = add_extras(self, call, accounts + *fit, until - *fit);
        if (code != BUSI_OK)
            return code;
        for (; *fit < until; ++*fit) {
            size += size_of(&accounts[*fit]);
            if (size > ANSWER_MOST_BYTES && *fit > 0)
                return BUSI_OK;
        }
    }
    return BUSI_OK;
}

/* ---- names ---- */

bool auth_named_user(struct busi_call *call, int64_t user_id, struct busi_str name, struct busi_str params[3])
{
    enum { ID, USERNAME, EMAIL };
    struct auth_name_keys keys = {0};
    for (size_t i = ID; i <= EMAIL; i++)
        params[i] = (struct busi_str){0};
    if (user_id != 0) {
        params[ID] = busi_arena_int(&call->arena, user_id);
        return params[ID].ptr != NULL;
    }
    if (name.ptr && !auth_name_keys(&call->arena, name, &keys))
        return false;
    params[USERNAME] = keys.username;
    params[EMAIL] = keys.email;
    return true;
}

enum busi_code auth_no_such_user(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_NOT_FOUND, "no such user");
}
