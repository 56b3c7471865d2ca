/* What of the ash surface begins or ends with a mail: the add-on confirm, the strategy magic_link. */
#include "surfaces/ash_links.h"
#include "core/gateway.h"
#include "surfaces/ash_shape.h"
#include <string.h>

/* ---- asking for a mail ---- */

/* Known, unknown, blocked: one answer. By an address alone: these routes never took a user name, which
 * services would find, too. */
void ash_ask_for_mail(struct exchange *x, const struct ash_activity *activity, enum busi_method_id method)
{
    struct busi_account_name_request request;
    struct busi_empty nothing = {0};
    enum busi_code code = BUSI_OK;
    if (!ash_begin(x, activity))
        return;
    if (!ash_shape_account(ash_shape_param(x->body, x->query, "user"), &request)) {
        ash_refuse(x, activity);
        return;
    }
    request.door = ash_door(x);
    if (memchr(request.name.ptr, '@', request.name.len))
        code = busi_rpc_call(x->gateway->rpc, &x->request->call, method, &request, &nothing);
    ash_conclude(x, activity, code, NULL);
}

void on_ash_request_magic_link(struct exchange *x)
{
    ash_ask_for_mail(x, &ASH_ACTIVITY("magic_link", "request"), BUSI_METHOD_auth_start_magic_link);
}

/* ---- what the mail has ---- */

void ash_sign_in_by_link(struct exchange *x, const struct ash_activity *activity, struct busi_str kind,
                         const char *name)
{
    struct busi_sign_in_secret_request request = {
        .door = ash_door(x), .kind = kind, .secret = ash_shape_flat(x->body, x->query, name)};
    struct busi_session_reply session = {0};
    if (!ash_begin_by_link(x, activity, request.secret))
        return;
    if (!request.secret.ptr) {
        ash_refuse(x, activity);
        return;
    }
    enum busi_code code =
        busi_rpc_auth_sign_in_secret(x->gateway->rpc, &x->request->call, &request, &session);
    ash_conclude(x, activity, code, &session);
}

void on_ash_sign_in_by_magic_link(struct exchange *x)
{
    ash_sign_in_by_link(x, &ASH_ACTIVITY("magic_link", "sign_in"), BUSI_STR("magic_link"), "token");
}

void on_ash_confirm(struct exchange *x)
{
    const struct ash_activity activity = ASH_ACTIVITY("confirm", "confirm");
    const struct busi_confirm_email_request request = {
        .door = ash_door(x), .secret = ash_shape_flat(x->body, x->query, "confirm")};
    struct busi_session_reply session = {0};
    if (!ash_begin_by_link(x, &activity, request.secret))
        return;
    if (!request.secret.ptr) {
        ash_refuse(x, &activity);
        return;
    }
    enum busi_code code = busi_rpc_auth_confirm_email(x->gateway->rpc, &x->request->call, &request, &session);
    ash_conclude(x, &activity, code, &session);
}
