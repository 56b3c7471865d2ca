/* auth.ListAudit */
#include "audit/audit.h"
#include "core/account.h"
#include "core/answers.h"
#include "wire/messages.h"

enum { USUAL = 100, MOST = 200, BETWEEN_LEAST_MS = 2000 };

struct filter {
    struct busi_str user_id, name_hash;
};

/* By a name: the account that has it now, or else what was typed and found none. */
static enum busi_code find_name(struct auth *self, struct busi_call *call, struct busi_str name,
                                struct filter *filter)
{
    struct auth_account account;
    struct auth_name_keys keys;
    if (!auth_name_keys(&call->arena, name, &keys))
        return auth_no_memory(call);
    enum busi_code code = keys.username.ptr
                              ? auth_account_find(self, call, AUTH_FIND_BY_USERNAME, keys.username, &account)
                              : auth_account_find(self, call, AUTH_FIND_BY_EMAIL, keys.email, &account);
    if (code != BUSI_OK)
        return code;
    struct busi_str *out = account.id ? &filter->user_id : &filter->name_hash;
    *out = account.id ? busi_arena_int(&call->arena, account.id) : auth_audit_name(self, call, name);
    return out->ptr ? BUSI_OK : auth_no_memory(call);
}

static bool put(struct busi_call *call, int64_t number, struct busi_str *param)
{
    if (number)
        *param = busi_arena_int(&call->arena, number);
    return !number || param->ptr;
}

/* A transaction may take as long as its statement: rows with smaller ids may come that much later. */
static int64_t settled_ms(const struct auth *self)
{
    int64_t longest_ms = 2 * self->settings->statement_timeout_ms;
    return longest_ms > BETWEEN_LEAST_MS ? longest_ms : BETWEEN_LEAST_MS;
}

static enum busi_code read_entries(struct busi_call *call, const struct busi_pg_result *result, size_t limit,
                                   struct busi_list_audit_reply *out)
{
    out->more = (size_t)result->rows > limit;
    out->entries.n = out->more ? limit : (size_t)result->rows;
    out->entries.items = busi_arena_array(&call->arena, out->entries.n, sizeof(*out->entries.items));
    if (!out->entries.items)
        return auth_no_memory(call);
    for (size_t i = 0; i < out->entries.n; i++)
        if (!busi_pg_message(result, (int)i, busi_desc_audit_entry(), &out->entries.items[i], &call->arena))
            return auth_no_memory(call);
    return BUSI_OK;
}

enum busi_code auth_list_audit(struct auth *self, struct busi_call *call,
                               const struct busi_list_audit_request *in, struct busi_list_audit_reply *out)
{
    struct busi_pg_result result;
    struct filter filter = {0};
    int64_t limit = in->limit <= 0 ? USUAL : in->limit < MOST ? in->limit : MOST;
    if (in->name.len > 0) {
        enum busi_code found = find_name(self, call, in->name, &filter);
        if (found != BUSI_OK)
            return found;
    }
    struct busi_str params[] = {filter.user_id,
                                filter.name_hash,
                                {0},
                                in->event,
                                in->outcome,
                                {0},
                                {0},
                                {0},
                                busi_arena_int(&call->arena, limit + 1),
                                busi_arena_int(&call->arena, in->oldest_first ? settled_ms(self) : -60000)};
    bool fine = params[8].ptr && params[9].ptr && put(call, in->user_id, &params[0]) &&
                put(call, in->actor_id, &params[2]) && put(call, in->from, &params[5]) &&
                put(call, in->until, &params[6]) &&
                put(call, in->oldest_first ? in->after_id : in->before_id, &params[7]);
    if (!fine)
        return auth_no_memory(call);
    enum auth_statement statement = in->oldest_first ? AUTH_LIST_AUDIT_UP : AUTH_LIST_AUDIT_DOWN;
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    if (code == BUSI_OK)
        code = read_entries(call, &result, (size_t)limit, out);
    busi_pg_clear(&result);
    return code;
}
