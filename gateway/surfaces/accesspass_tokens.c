/* Checking, refreshing and ending the tokens of the accesspass surface. */
#include "core/credential.h"
#include "core/gateway.h"
#include "http/bearer.h"
#include "surfaces/accesspass_shape.h"

void on_accesspass_check(struct exchange *x)
{
    accesspass_shape_principal(&x->response->body, x->principal);
    exchange_json(x, 200);
}

static void answer_expired(struct exchange *x)
{
    accesspass_shape_error(&x->response->body, BUSI_STR("refresh token expired"));
    exchange_json(x, 400);
}

/* Unknown, ended, repeated, none: one answer. */
void on_accesspass_refresh(struct exchange *x)
{
    const struct busi_str name = BUSI_STR("refresh-token");
    const struct http_header *header = http_find_header(x->request, name);
    struct busi_refresh_token_request request = {0};
    struct busi_session_reply session = {0};
    if (!header || http_count_header(x->request, name) > 1 || !bearer_plausible(header->value)) {
        answer_expired(x);
        return;
    }
    request.refresh_token = header->value;
    enum busi_code code = busi_rpc_auth_refresh_token(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK) {
        accesspass_shape_ok(&x->response->body, session.access_token);
        exchange_json(x, 200);
    } else if (exchange_is_verdict(code)) {
        answer_expired(x);
    } else {
        exchange_fail(x, code);
    }
}

/* A session that has ended, or never was, is as ended as one that ends now. Of two tokens none is ended: that
 * is not told as if it were. */
void on_accesspass_logout(struct exchange *x)
{
    struct busi_check_token_request request = {0};
    struct busi_empty nothing = {0};
    enum busi_code code = BUSI_OK;
    enum credential_verdict found = credential_find(x, x->surface->token_header, &request.token);
    if (found == CREDENTIAL_TWICE) {
        exchange_error(x, 400);
        return;
    }
    if (found == CREDENTIAL_FOUND)
        code = busi_rpc_auth_sign_out(x->gateway->rpc, &x->request->call, &request, &nothing);
    if (code != BUSI_OK && !exchange_is_verdict(code)) {
        exchange_fail(x, code);
        return;
    }
    accesspass_shape_ok(&x->response->body, BUSI_STR("logged out"));
    exchange_json(x, 200);
}
