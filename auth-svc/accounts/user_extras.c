/* auth.ListUserExtra and its like: further things known of accounts, which mean nothing to us. */
#include "accounts/managed_user.h"
#include "audit/audit.h"
#include "base/text.h"
#include "core/answers.h"
#include "core/listing.h"
#include "rpc/forms.h"

enum { TYPE_MOST_BYTES = 64, NAMED = 3, FILTERS = 6, PARAMS = 8 };

static void refuse_type(struct busi_call *call, struct busi_str type)
{
    if (busi_utf8_blank(type))
        busi_call_refuse(call, "type", BUSI_RULE_BLANK, 0);
    else if (type.len > TYPE_MOST_BYTES)
        busi_call_refuse(call, "type", BUSI_RULE_TOO_LONG, TYPE_MOST_BYTES);
    else if (!busi_form_id(type))
        busi_call_refuse(call, "type", BUSI_RULE_FORMAT, 0);
}

static void refuse_value(struct busi_call *call, struct busi_str value)
{
    if (!value.ptr)
        busi_call_refuse(call, "value", BUSI_RULE_BLANK, 0);
    else if (value.len > AUTH_EXTRA_MOST_BYTES)
        busi_call_refuse(call, "value", BUSI_RULE_TOO_LONG, AUTH_EXTRA_MOST_BYTES);
}

static enum busi_code check(struct busi_call *call, const struct busi_user_extra_request *in)
{
    refuse_type(call, in->type);
    refuse_value(call, in->value);
    return call->n_violations == 0 ? BUSI_OK
                                   : busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the extra is not valid");
}

/* One of the three statements that write, which say how many accounts were named and how many extras were
 * met. NOT_FOUND: no account was. */
static enum busi_code write(struct auth *self, struct busi_call *call, enum auth_statement statement,
                            const struct busi_user_extra_request *in, int64_t *met)
{
    enum { ACCOUNTS, MET };
    enum { TYPE = NAMED, SECOND };
    struct busi_pg_result result;
    struct busi_str params[SECOND + 3];
    size_t n = SECOND;
    const struct auth_deed deed = {.event = AUTH_AUDIT_update_user, .detail = BUSI_STR("extra")};
    struct busi_str row = auth_audit_row(self, call, &deed),
                    most = busi_arena_int(&call->arena, AUTH_EXTRAS_MOST);
    if (!auth_named_user(call, in->user_id, in->name, params) || !row.ptr || !most.ptr)
        return auth_no_memory(call);
    params[TYPE] = in->type;
    if (statement != AUTH_DELETE_USER_EXTRA)
        params[n++] = in->value;
    if (statement == AUTH_CREATE_USER_EXTRA)
        params[n++] = most;
    params[n] = row;
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    int64_t accounts = busi_pg_int(&result, 0, ACCOUNTS);
    *met = busi_pg_int(&result, 0, MET);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return auth_database_lost(call, "the database went away; it may be done");
    bool gone = code == BUSI_FAILED_PRECONDITION; /* since it was looked up */
    return gone || (code == BUSI_OK && accounts == 0) ? auth_no_such_user(call) : code;
}

enum busi_code auth_create_user_extra(struct auth *self, struct busi_call *call,
                                      const struct busi_user_extra_request *in, struct busi_empty *out)
{
    int64_t made = 0;
    (void)out;
    enum busi_code code = check(call, in);
    if (code == BUSI_OK)
        code = write(self, call, AUTH_CREATE_USER_EXTRA, in, &made);
    if (code == BUSI_ALREADY_EXISTS)
        return busi_call_fail(call, code, "the user has an extra of this type");
    if (code == BUSI_OK && made == 0)
        return busi_call_fail(call, BUSI_FAILED_PRECONDITION, "the user has as many extras as may be");
    return code;
}

enum busi_code auth_update_user_extra(struct auth *self, struct busi_call *call,
                                      const struct busi_user_extra_request *in, struct busi_count_reply *out)
{
    enum busi_code code = check(call, in);
    return code == BUSI_OK ? write(self, call, AUTH_UPDATE_USER_EXTRA, in, &out->count) : code;
}

enum busi_code auth_delete_user_extra(struct auth *self, struct busi_call *call,
                                      const struct busi_user_extra_request *in, struct busi_count_reply *out)
{
    return write(self, call, AUTH_DELETE_USER_EXTRA, in, &out->count);
}

/* ---- lists ---- */

static enum busi_code read_filters(struct busi_call *call, const struct busi_list_user_extra_request *in,
                                   struct busi_str params[FILTERS])
{
    enum { TYPE = NAMED, VALUE, VALUE_LIKE };
    if (!auth_named_user(call, in->user_id, in->name, params))
        return auth_no_memory(call);
    params[TYPE] = in->type;
    params[VALUE] = in->value;
    return auth_listing_pattern(call, "value_like", in->value_like, &params[VALUE_LIKE]);
}

enum busi_code auth_list_user_extra(struct auth *self, struct busi_call *call,
                                    const struct busi_list_user_extra_request *in,
                                    struct busi_list_user_extra_reply *out)
{
    struct busi_pg_result result;
    struct busi_str params[PARAMS];
    void *items;
    enum auth_statement statement = in->descending ? AUTH_LIST_USER_EXTRA_DOWN : AUTH_LIST_USER_EXTRA;
    enum busi_code code = read_filters(call, in, params);
    if (code == BUSI_OK)
        code = auth_listing_page(call, in->limit, in->offset, params + FILTERS);
    if (code != BUSI_OK)
        return code;
    code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    if (code == BUSI_OK)
        code = auth_listing_read(call, &result, busi_desc_user_extra(), &items, &out->extras.n);
    if (code == BUSI_OK)
        out->extras.items = items;
    busi_pg_clear(&result);
    return code;
}

enum busi_code auth_count_user_extra(struct auth *self, struct busi_call *call,
                                     const struct busi_list_user_extra_request *in,
                                     struct busi_count_reply *out)
{
    struct busi_str params[FILTERS];
    enum busi_code code = read_filters(call, in, params);
    return code == BUSI_OK ? auth_listing_count(self, call, AUTH_COUNT_USER_EXTRA, params, out) : code;
}
