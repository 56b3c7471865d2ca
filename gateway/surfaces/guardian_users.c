/* The users of the guardian surface: one signs up and in, and sees, changes and deletes one's own record.
 * Others' are for those whom the route's row or a guard rule lets. */
#include "base/roles.h"
#include "core/exchange.h"
#include "core/gateway.h"
#include "surfaces/guardian_shape.h"

static void answer_account(struct exchange *x, const struct busi_account *account)
{
    const struct guardian_user user = {account->user_id, account->email, account->username};
    guardian_shape_user(&x->response->body, &user, (struct busi_str){0});
    exchange_json(x, 200);
}

/* False: a member is of another type, and that is answered. */
static bool take(struct exchange *x, const struct fields *fields)
{
    if (fields_fine(fields, &x->request->call))
        return true;
    exchange_fail(x, BUSI_INVALID_ARGUMENT);
    return false;
}

void on_guardian_sign_up(struct exchange *x)
{
    struct busi_call *call = &x->request->call;
    struct busi_sign_up_request request;
    struct busi_session_reply session = {0};
    struct fields fields;
    if (!guardian_shape_sign_up(x->body, &fields, &request)) {
        exchange_error(x, 400);
        return;
    }
    if (!take(x, &fields))
        return;
    enum busi_code code = busi_rpc_auth_sign_up(x->gateway->rpc, call, &request, &session);
    if (code != BUSI_OK) {
        exchange_fail(x, code);
        return;
    }
    struct busi_str location = busi_arena_printf(&call->arena, "%.*s/api/users/%lld",
                                                 BUSI_ARG(x->gateway->settings->surface_guardian_prefix),
                                                 (long long)session.user_id);
    if (location.ptr)
        http_add_header(x->response, "Location", location);
    const struct guardian_user user = {session.user_id, session.email, session.username};
    guardian_shape_user(&x->response->body, &user, session.access_token);
    exchange_json(x, 201);
}

void on_guardian_sign_in(struct exchange *x)
{
    struct busi_sign_in_request request;
    struct busi_session_reply session = {0};
    if (!guardian_shape_sign_in(x->body, &request)) {
        exchange_error(x, 400);
        return;
    }
    enum busi_code code = busi_rpc_auth_sign_in(x->gateway->rpc, &x->request->call, &request, &session);
    if (code != BUSI_OK) {
        exchange_fail(x, code);
        return;
    }
    guardian_shape_token(&x->response->body, session.access_token);
    exchange_json(x, 200);
}

/* ---- one record ---- */

/* The id of the path, or an answer. Who may see only his own is told nothing of others, not even whether they
 * could be. */
static bool take_id(struct exchange *x, int64_t *id)
{
    enum id_verdict verdict = exchange_id(x->id, id);
    if (x->owner_id && (verdict != ID_OK || *id != x->owner_id)) {
        exchange_forbidden(x);
        return false;
    }
    if (verdict != ID_OK)
        exchange_error(x, verdict == ID_BAD ? 400 : 404);
    return verdict == ID_OK;
}

static bool is_own(const struct exchange *x, int64_t id)
{
    return id == x->principal->user_id;
}

/* False: answered. Nobody but root may change who is root: with a new password he could be him. */
static bool may_change(struct exchange *x, int64_t id)
{
    struct busi_account account = {0};
    if (is_own(x, id) || busi_roles_have(x->principal->roles, BUSI_ROLE_ROOT))
        return true;
    enum busi_code code = busi_rpc_auth_get_user(x->gateway->rpc, &x->request->call,
                                                 &(struct busi_user_id_request){.user_id = id}, &account);
    if (code == BUSI_OK && !busi_roles_have(account.roles, BUSI_ROLE_ROOT))
        return true;
    if (code == BUSI_OK)
        exchange_forbidden(x);
    else
        exchange_fail(x, code);
    return false;
}

void on_guardian_get_user(struct exchange *x)
{
    struct busi_user_id_request request = {0};
    struct busi_account account = {0};
    if (!take_id(x, &request.user_id))
        return;
    enum busi_code code = busi_rpc_auth_get_user(x->gateway->rpc, &x->request->call, &request, &account);
    if (code == BUSI_OK)
        answer_account(x, &account);
    else
        exchange_fail(x, code);
}

void on_guardian_update_user(struct exchange *x)
{
    struct busi_update_user_request request;
    struct busi_account account = {0};
    struct fields fields;
    int64_t id;
    if (!guardian_shape_update(x->body, &fields, &request)) {
        exchange_error(x, 400);
        return;
    }
    if (!take_id(x, &id) || !take(x, &fields) || !may_change(x, id))
        return;
    request.user_id = id;
    if (is_own(x, id))
        request.token = x->token;
    enum busi_code code = busi_rpc_auth_update_user(x->gateway->rpc, &x->request->call, &request, &account);
    if (code == BUSI_OK)
        answer_account(x, &account);
    else
        exchange_fail(x, code);
}

void on_guardian_delete_user(struct exchange *x)
{
    struct busi_user_id_request request = {0};
    struct busi_count_reply count = {0};
    if (!take_id(x, &request.user_id) || !may_change(x, request.user_id))
        return;
    enum busi_code code = busi_rpc_auth_delete_user(x->gateway->rpc, &x->request->call, &request, &count);
    if (code == BUSI_OK && count.count == 0)
        exchange_error(x, 404);
    else if (code == BUSI_OK)
        x->response->status = 204;
    else if (code == BUSI_FAILED_PRECONDITION)
        exchange_error(x, 409); /* the last root */
    else
        exchange_fail(x, code);
}
