/* Users, as those manage them who may. */
#include "surfaces/magic_users.h"
#include "base/clock.h"
#include "core/gateway.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_date.h"
#include "surfaces/magic_list.h"
#include "surfaces/magic_shape.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

static bool is_email(struct busi_str name)
{
    return name.len > 0 && memchr(name.ptr, '@', name.len);
}

enum busi_code magic_find_user(struct exchange *x, struct busi_account *out)
{
    struct busi_str name = magic_text(x, "username");
    struct busi_list_users_request request = {.limit = 1};
    struct busi_list_users_reply reply = {0};
    if (is_email(name))
        request.email = name;
    else
        request.username = name;
    *out = (struct busi_account){0};
    enum busi_code code = busi_rpc_auth_list_users(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK && reply.users.n > 0)
        *out = reply.users.items[0];
    return code;
}

/* ---- reading ---- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Those of the request: mt is later than, lt earlier than, and with eq behind them the moment itself counts.
 */
static struct busi_list_users_request filters(const struct exchange *x)
{
    struct busi_str is = magic_text(x, "username.eq"), like = magic_text(x, "username.like");
    const int64_t from = later(magic_date(x, "created.mt", -1) + 1, magic_date(x, "created.mteq", 0));
    const int64_t until =
        earlier(magic_date(x, "created.lt", INT64_MAX), magic_date(x, "created.lteq", INT64_MAX - 1) + 1);
    struct busi_list_users_request request = {.created_from = from,
                                              .created_until = until == INT64_MAX ? 0 : later(until, 1)};
    if (is_email(is))
        request.email = is;
    else
        request.username = is;
    if (is_email(like))
        request.email_like = like;
    else
        request.username_like = like;
    return request;
}

static void write_extra(struct busi_buf *out, struct busi_str type, struct busi_str value)
{
    LITERAL(out, "{\"type\":");
    busi_buf_json(out, type);
    LITERAL(out, ",\"value\":");
    busi_buf_json(out, value);
    busi_buf_char(out, '}');
}

/* Its e-mail address is one of them, unless there is another. */
static void write_extras(struct busi_buf *out, const struct busi_account *user)
{
    bool first = true, has_email = false;
    busi_buf_char(out, '[');
    for (size_t i = 0; i < user->extras.n; i++) {
        const struct busi_account_extra *extra = &user->extras.items[i];
        if (!first)
            busi_buf_char(out, ',');
        write_extra(out, extra->type, extra->value);
        has_email = has_email || busi_str_eq(extra->type, BUSI_STR("email"));
        first = false;
    }
    if (user->email.len > 0 && !has_email) {
        if (!first)
            busi_buf_char(out, ',');
        write_extra(out, BUSI_STR("email"), user->email);
    }
    busi_buf_char(out, ']');
}

static void write_user(struct busi_buf *out, const struct busi_account *user)
{
    LITERAL(out, "{\"username\":");
    busi_buf_json_or_null(out, magic_username(user->username, user->email));
    LITERAL(out, ",\"created\":");
    magic_date_write(out, user->created_at);
    LITERAL(out, ",\"roles\":");
    magic_write_roles(out, user->roles);
    LITERAL(out, ",\"extra\":");
    write_extras(out, user);
    busi_buf_char(out, '}');
}

static enum busi_code users_page(struct magic_list *list, struct busi_call *call, int64_t limit, bool *more)
{
    struct exchange *x = list->x;
    struct busi_list_users_request request = filters(x);
    struct busi_list_users_reply reply = {0};
    struct busi_str order = magic_text(x, "order");
    size_t mark;
    request.order = busi_str_eq(order, BUSI_STR("created")) ? BUSI_STR("created_at") : order;
    request.descending = busi_str_eq(magic_text(x, "direction"), BUSI_STR("desc"));
    request.limit = limit;
    request.offset = list->offset;
    enum busi_code code = busi_rpc_auth_list_users(x->gateway->rpc, call, &request, &reply);
    for (size_t i = 0; i < reply.users.n && magic_list_begin(list, &mark); i++) {
        write_user(&x->response->body, &reply.users.items[i]);
        if (!magic_list_end(list, mark))
            break;
    }
    *more = reply.more;
    return code;
}

void on_magic_users(struct exchange *x)
{
    magic_list_answer(x, users_page);
}

void on_magic_users_count(struct exchange *x)
{
    struct busi_list_users_request request = filters(x);
    struct busi_count_reply reply = {0};
    enum busi_code code = busi_rpc_auth_count_users(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        magic_answer_number(x, 200, "count", reply.count);
    else
        magic_fail(x, code);
}

/* ---- writing ---- */

void on_magic_create_user(struct exchange *x)
{
    struct busi_str name = magic_text(x, "username");
    struct busi_create_user_request request = {.door = MAGIC_DOOR, .password = magic_text(x, "password")};
    struct busi_account account = {0};
    if (is_email(name))
        request.email = name;
    else
        request.username = name;
    enum busi_code code = busi_rpc_auth_create_user(x->gateway->rpc, &x->request->call, &request, &account);
    if (code == BUSI_OK)
        magic_answer(x, 201, "success");
    else
        magic_fail_about(x, code, "username");
}

void on_magic_update_user(struct exchange *x)
{
    struct busi_account account;
    enum busi_code code = magic_find_user(x, &account);
    if (code == BUSI_OK && account.user_id == 0)
        code = BUSI_NOT_FOUND;
    if (code == BUSI_OK) {
        const struct busi_update_user_request request = {
            .door = MAGIC_DOOR, .user_id = account.user_id, .password = magic_text(x, "password")};
        code = busi_rpc_auth_update_user(x->gateway->rpc, &x->request->call, &request, &account);
    }
    if (code == BUSI_NOT_FOUND)
        magic_answer(x, 404, "Record not found");
    else if (code == BUSI_OK)
        magic_answer_number(x, 202, "affected", 1);
    else
        magic_fail(x, code);
}

/* Until the date it is locked out, and what it has open ends. */
void on_magic_imprison(struct exchange *x)
{
    struct busi_account account;
    struct busi_count_reply reply = {0};
    const int64_t until_us = magic_date(x, "releaseDate", 0);
    if (until_us <= busi_wall_us()) {
        magic_refuse(x, 400, BUSI_STR("releaseDate"), "Not a valid future date for [releaseDate]");
        return;
    }
    enum busi_code code = magic_find_user(x, &account);
    if (code == BUSI_OK && account.user_id == 0)
        code = BUSI_NOT_FOUND;
    const struct busi_imprison_user_request request = {.user_id = account.user_id, .until = until_us};
    if (code == BUSI_OK)
        code = busi_rpc_auth_imprison_user(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        magic_answer(x, 200, "success");
    else
        magic_fail_about(x, code, "username");
}

void on_magic_delete_user(struct exchange *x)
{
    struct busi_account account;
    struct busi_count_reply reply = {0};
    enum busi_code code = magic_find_user(x, &account);
    if (code == BUSI_OK && account.user_id != 0)
        code = busi_rpc_auth_delete_user(x->gateway->rpc, &x->request->call,
                                         &(struct busi_user_id_request){.user_id = account.user_id}, &reply);
    if (code == BUSI_OK)
        magic_answer_number(x, 200, "affected", reply.count);
    else
        magic_fail_about(x, code, "username");
}
