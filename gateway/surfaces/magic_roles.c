/* Roles, and who has them. */
#include "core/gateway.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_list.h"
#include "surfaces/magic_shape.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

static bool descending(const struct exchange *x)
{
    return busi_str_eq(magic_text(x, "direction"), BUSI_STR("desc"));
}

/* ---- roles ---- */

static struct busi_list_roles_request role_filters(const struct exchange *x)
{
    return (struct busi_list_roles_request){.name = magic_text(x, "name.eq"),
                                            .name_like = magic_text(x, "name.like")};
}

static enum busi_code roles_page(struct magic_list *list, struct busi_call *call, int64_t limit, bool *more)
{
    struct exchange *x = list->x;
    struct busi_list_roles_request request = role_filters(x);
    struct busi_list_roles_reply reply = {0};
    struct busi_buf *out = &x->response->body;
    size_t mark;
    request.descending = descending(x);
    request.limit = limit;
    request.offset = list->offset;
    enum busi_code code = busi_rpc_auth_list_roles(x->gateway->rpc, call, &request, &reply);
    for (size_t i = 0; i < reply.roles.n && magic_list_begin(list, &mark); i++) {
        LITERAL(out, "{\"name\":");
        busi_buf_json(out, reply.roles.items[i].name);
        LITERAL(out, ",\"description\":");
        busi_buf_json_or_null(out, reply.roles.items[i].description);
        busi_buf_char(out, '}');
        if (!magic_list_end(list, mark))
            break;
    }
    *more = reply.roles.n == (size_t)limit;
    return code;
}

void on_magic_roles(struct exchange *x)
{
    magic_list_answer(x, roles_page);
}

void on_magic_roles_count(struct exchange *x)
{
    struct busi_list_roles_request request = role_filters(x);
    struct busi_count_reply reply = {0};
    enum busi_code code = busi_rpc_auth_count_roles(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        magic_answer_number(x, 200, "count", reply.count);
    else
        magic_fail(x, code);
}

static struct busi_role role_of(const struct exchange *x)
{
    return (struct busi_role){.name = magic_text(x, "name"), .description = magic_text(x, "description")};
}

void on_magic_create_role(struct exchange *x)
{
    struct busi_role request = role_of(x);
    struct busi_empty nothing = {0};
    enum busi_code code = busi_rpc_auth_create_role(x->gateway->rpc, &x->request->call, &request, &nothing);
    if (code == BUSI_OK)
        magic_answer(x, 201, "success");
    else
        magic_fail_about(x, code, "name");
}

void on_magic_update_role(struct exchange *x)
{
    struct busi_role request = role_of(x);
    struct busi_count_reply reply = {0};
    enum busi_code code = busi_rpc_auth_update_role(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK && reply.count > 0)
        magic_answer_number(x, 202, "affected", reply.count);
    else if (code == BUSI_OK || code == BUSI_NOT_FOUND)
        magic_answer(x, 404, "Record not found");
    else
        magic_fail_about(x, code, "name");
}

void on_magic_delete_role(struct exchange *x)
{
    const struct busi_role_name_request request = {.name = magic_text(x, "name")};
    struct busi_count_reply reply = {0};
    enum busi_code code = busi_rpc_auth_delete_role(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK || code == BUSI_NOT_FOUND)
        magic_answer_number(x, 200, "affected", reply.count);
    else
        magic_fail_about(x, code, "name");
}

/* ---- who has them ---- */

static struct busi_list_user_roles_request grant_filters(const struct exchange *x)
{
    return (struct busi_list_user_roles_request){.role = magic_text(x, "role.eq"),
                                                 .name = magic_text(x, "user.eq")};
}

static enum busi_code grants_page(struct magic_list *list, struct busi_call *call, int64_t limit, bool *more)
{
    struct exchange *x = list->x;
    struct busi_list_user_roles_request request = grant_filters(x);
    struct busi_list_user_roles_reply reply = {0};
    struct busi_buf *out = &x->response->body;
    size_t mark;
    request.limit = limit;
    request.offset = list->offset;
    enum busi_code code = busi_rpc_auth_list_user_roles(x->gateway->rpc, call, &request, &reply);
    for (size_t i = 0; i < reply.grants.n && magic_list_begin(list, &mark); i++) {
        const struct busi_user_role *grant = &reply.grants.items[i];
        LITERAL(out, "{\"role\":");
        busi_buf_json(out, grant->role);
        LITERAL(out, ",\"user\":");
        busi_buf_json_or_null(out, magic_username(grant->username, grant->email));
        busi_buf_char(out, '}');
        if (!magic_list_end(list, mark))
            break;
    }
    *more = reply.grants.n == (size_t)limit;
    return code;
}

void on_magic_users_roles(struct exchange *x)
{
    magic_list_answer(x, grants_page);
}

void on_magic_users_roles_count(struct exchange *x)
{
    struct busi_list_user_roles_request request = grant_filters(x);
    struct busi_count_reply reply = {0};
    enum busi_code code =
        busi_rpc_auth_count_user_roles(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        magic_answer_number(x, 200, "count", reply.count);
    else
        magic_fail(x, code);
}

static enum busi_code change(struct exchange *x, enum busi_method_id method, struct busi_count_reply *reply)
{
    const struct busi_user_role_request request = {.role = magic_text(x, "role"),
                                                   .name = magic_text(x, "user")};
    return busi_rpc_call(x->gateway->rpc, &x->request->call, method, &request, reply);
}

/* Which of the two is not there. */
static const char *missing(struct exchange *x)
{
    const struct busi_list_roles_request request = {.name = magic_text(x, "role")};
    struct busi_count_reply reply = {0};
    enum busi_code code = busi_rpc_auth_count_roles(x->gateway->rpc, &x->request->call, &request, &reply);
    return code == BUSI_OK && reply.count > 0 ? "user" : "role";
}

void on_magic_grant_role(struct exchange *x)
{
    struct busi_count_reply reply = {0};
    enum busi_code code = change(x, BUSI_METHOD_auth_grant_role, &reply);
    if (code == BUSI_OK)
        magic_answer(x, 201, "success");
    else
        magic_fail_about(x, code, code == BUSI_NOT_FOUND ? missing(x) : "role");
}

void on_magic_revoke_role(struct exchange *x)
{
    struct busi_count_reply reply = {0};
    enum busi_code code = change(x, BUSI_METHOD_auth_revoke_role, &reply);
    if (code == BUSI_OK || code == BUSI_NOT_FOUND)
        magic_answer_number(x, 200, "affected", reply.count);
    else
        magic_fail_about(x, code, "role");
}
