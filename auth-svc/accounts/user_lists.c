/* auth.ListUsers, auth.CountUsers */
#include "accounts/managed_user.h"
#include "core/account.h"
#include "core/answers.h"
#include "core/email.h"
#include "core/listing.h"
#include "core/username.h"

enum { FILTERS = 10, LIMIT = FILTERS, OFFSET, PARAMS };

/* By what a list may be sorted: the first of its four statements. */
static const struct {
    const char *name;
    enum auth_statement statement;
} orders[] = {{"user_id", AUTH_LIST_USERS_BY_ID},
              {"username", AUTH_LIST_USERS_BY_USERNAME},
              {"email", AUTH_LIST_USERS_BY_EMAIL},
              {"created_at", AUTH_LIST_USERS_BY_CREATED}};

static enum busi_code find_order(struct busi_call *call, const struct busi_list_users_request *in,
                                 enum auth_statement *statement)
{
    struct busi_str name = in->order.ptr ? in->order : busi_str_of(orders[0].name);
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        if (busi_str_eq(name, busi_str_of(orders[i].name))) {
            *statement = orders[i].statement + in->descending + 2 * (in->role.ptr != NULL);
            return BUSI_OK;
        }
    busi_call_refuse(call, "order", BUSI_RULE_INVALID, 0);
    return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the list is not valid");
}

static bool put_number(struct busi_call *call, int64_t number, struct busi_str *param)
{
    if (number)
        *param = busi_arena_int(&call->arena, number);
    return !number || param->ptr;
}

static bool put_key(struct busi_call *call, struct busi_str name, struct busi_str *param)
{
    if (name.ptr)
        *param = auth_name_key(&call->arena, name);
    return !name.ptr || param->ptr;
}

/* Its id as a parameter; "0" when there is none of that name, which nobody has. */
static enum busi_code find_role(struct auth *self, struct busi_call *call, struct busi_str name,
                                struct busi_str *param)
{
    struct busi_pg_result result;
    if (!name.ptr)
        return BUSI_OK;
    struct busi_str key = auth_name_key(&call->arena, name);
    if (!key.ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_FIND_ROLE, &key, call->until_ms, &result);
    *param = busi_arena_int(&call->arena, busi_pg_int(&result, 0, 0));
    busi_pg_clear(&result);
    return code != BUSI_OK || param->ptr ? code : auth_no_memory(call);
}

/* The parameters of WANTED. A name that is nobody's finds nobody: "" is no key. */
static enum busi_code read_filters(struct auth *self, struct busi_call *call,
                                   const struct busi_list_users_request *in, struct busi_str params[FILTERS])
{
    enum { USERNAME, USERNAME_LIKE, EMAIL, EMAIL_LIKE, ID, ROLE, FROM, UNTIL, BLOCKED, UNCONFIRMED };
    struct auth_username username = {0};
    for (size_t i = 0; i < FILTERS; i++)
        params[i] = (struct busi_str){0};
    if (in->username.ptr)
        params[USERNAME] =
            auth_username_read(&call->arena, in->username, &username) ? username.key : BUSI_STR("");
    params[BLOCKED] = in->blocked ? BUSI_STR("true") : BUSI_STR("false");
    params[UNCONFIRMED] = in->unconfirmed ? BUSI_STR("true") : BUSI_STR("false");
    if (!put_key(call, in->email, &params[EMAIL]) || !put_number(call, in->user_id, &params[ID]) ||
        !put_number(call, in->created_from, &params[FROM]) ||
        !put_number(call, in->created_until, &params[UNTIL]))
        return auth_no_memory(call);
    enum busi_code code =
        auth_listing_pattern(call, "username_like", in->username_like, &params[USERNAME_LIKE]);
    if (code == BUSI_OK)
        code = auth_listing_pattern(call, "email_like", in->email_like, &params[EMAIL_LIKE]);
    return code == BUSI_OK ? find_role(self, call, in->role, &params[ROLE]) : code;
}

/* One more was asked for than is wanted: it says that there is more. */
static enum busi_code read_users(struct auth *self, struct busi_call *call,
                                 const struct busi_pg_result *result, size_t limit,
                                 struct busi_list_users_reply *out)
{
    enum busi_code code = BUSI_OK;
    size_t n = (size_t)result->rows < limit ? (size_t)result->rows : limit;
    out->users.items = busi_arena_array(&call->arena, n, sizeof(*out->users.items));
    if (!out->users.items)
        return auth_no_memory(call);
    for (size_t i = 0; i < n && code == BUSI_OK; i++)
        code = auth_managed_user_read(call, result, (int)i, &out->users.items[i]);
    if (code == BUSI_OK)
        code = auth_managed_users_complete(self, call, out->users.items, n, &out->users.n);
    out->more = (size_t)result->rows > out->users.n;
    return code;
}

enum busi_code auth_list_users(struct auth *self, struct busi_call *call,
                               const struct busi_list_users_request *in, struct busi_list_users_reply *out)
{
    struct busi_pg_result result;
    struct busi_str params[PARAMS];
    enum auth_statement statement;
    int64_t limit = in->limit ? in->limit : AUTH_LISTING_USUAL;
    enum busi_code code = find_order(call, in, &statement);
    if (code == BUSI_OK)
        code = read_filters(self, call, in, params);
    if (code == BUSI_OK)
        code = auth_listing_page(call, in->limit, in->offset, params + LIMIT);
    if (code != BUSI_OK)
        return code;
    params[LIMIT] = busi_arena_int(&call->arena, limit + 1);
    if (!params[LIMIT].ptr)
        return auth_no_memory(call);
    code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    if (code == BUSI_OK)
        code = read_users(self, call, &result, (size_t)limit, out);
    busi_pg_clear(&result);
    return code;
}

enum busi_code auth_count_users(struct auth *self, struct busi_call *call,
                                const struct busi_list_users_request *in, struct busi_count_reply *out)
{
    struct busi_str params[FILTERS];
    enum auth_statement statement = in->role.ptr ? AUTH_COUNT_USERS_OF_ROLE : AUTH_COUNT_USERS;
    enum busi_code code = read_filters(self, call, in, params);
    return code == BUSI_OK ? auth_listing_count(self, call, statement, params, out) : code;
}
