/* Tickets: handed out for a password, renewed, checked, ended. */
#include "surfaces/magic_auth.h"
#include "core/credential.h"
#include "core/gateway.h"
#include "http/basic.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_shape.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

/* ---- authenticate ---- */

static void refuse_missing(struct exchange *x, const char *name)
{
    magic_refuse(x, 400, busi_str_of(name), "Mandatory argument '%s' not given", name);
}

/* In the query or in Authorization, not in both. False: answered. */
static bool take_credentials(struct exchange *x, struct busi_sign_in_request *out)
{
    const struct busi_str name = BUSI_STR("authorization");
    const struct http_header *header = http_find_header(x->request, name);
    struct basic basic = {0};
    enum basic_verdict found =
        header ? basic_read(&x->request->call.arena, header->value, &basic) : BASIC_NONE;
    *out = (struct busi_sign_in_request){
        .door = MAGIC_DOOR, .login = magic_text(x, "username"), .password = magic_text(x, "password")};
    if (found == BASIC_BROKEN || http_count_header(x->request, name) > 1 ||
        (found == BASIC_FOUND && (out->login.ptr || out->password.ptr))) {
        exchange_error(x, 400);
        return false;
    }
    if (found == BASIC_FOUND) {
        out->login = basic.user;
        out->password = basic.password;
    }
    if (out->login.len == 0 || out->password.len == 0) {
        refuse_missing(x, out->login.len == 0 ? "username" : "password");
        return false;
    }
    return true;
}

static const struct busi_account_extra *find_extra(const struct busi_account *account, const char *type)
{
    for (size_t i = 0; i < account->extras.n; i++)
        if (busi_str_eq(account->extras.items[i].type, busi_str_of(type)))
            return &account->extras.items[i];
    return NULL;
}

/* ,"extra":{"name":"..","email":".."} as far as they are known; nothing when neither is. */
static void write_extra(struct busi_buf *out, const struct busi_account *account)
{
    const struct busi_account_extra *name = find_extra(account, "name"),
                                    *other = find_extra(account, "email");
    struct busi_str email = other ? other->value : account->email;
    if (!name && email.len == 0)
        return;
    LITERAL(out, ",\"extra\":{");
    if (name) {
        LITERAL(out, "\"name\":");
        busi_buf_json(out, name->value);
    }
    if (email.len > 0) {
        busi_buf_str(out, name ? BUSI_STR(",\"email\":") : BUSI_STR("\"email\":"));
        busi_buf_json(out, email);
    }
    busi_buf_char(out, '}');
}

void magic_answer_welcome(struct exchange *x, const struct busi_session_reply *session)
{
    const struct busi_user_id_request request = {.user_id = session->user_id};
    struct busi_account account = {0};
    enum busi_code code = busi_rpc_auth_get_user(x->gateway->rpc, &x->request->call, &request, &account);
    if (code != BUSI_OK) {
        magic_fail(x, code == BUSI_NOT_FOUND ? BUSI_UNAUTHENTICATED : code);
        return;
    }
    LITERAL(&x->response->body, "{\"ticket\":");
    busi_buf_json(&x->response->body, session->access_token);
    write_extra(&x->response->body, &account);
    busi_buf_char(&x->response->body, '}');
    exchange_json(x, 200);
}

/* False: answered. */
static bool sign_in(struct exchange *x, struct busi_session_reply *session)
{
    struct busi_sign_in_request request;
    if (!take_credentials(x, &request))
        return false;
    enum busi_code code = busi_rpc_auth_sign_in(x->gateway->rpc, &x->request->call, &request, session);
    if (code == BUSI_OK)
        return true;
    magic_fail(x, exchange_is_verdict(code) ? BUSI_UNAUTHENTICATED : code);
    return false;
}

void on_magic_authenticate(struct exchange *x)
{
    struct busi_session_reply session = {0};
    if (sign_in(x, &session))
        magic_answer_welcome(x, &session);
}

/* "crm/login" of ".../modules/crm/login" */
static bool is_module(const struct exchange *x, struct busi_str wanted)
{
    struct busi_str path = x->request->path;
    return wanted.len > 0 && path.len > wanted.len && path.ptr[path.len - wanted.len - 1] == '/' &&
           busi_str_eq((struct busi_str){path.ptr + path.len - wanted.len, wanted.len}, wanted);
}

void on_magic_module(struct exchange *x)
{
    struct busi_session_reply session = {0};
    if (!is_module(x, x->gateway->settings->magic_module))
        exchange_error(x, 404);
    else if (sign_in(x, &session))
        magic_answer_ticket(x, &session);
}

/* ---- tickets ---- */

/* Of a request the guard has let pass. */
static struct busi_str own_token(const struct exchange *x)
{
    struct busi_str token = {0};
    (void)!credential_find(x, x->surface->token_header, &token);
    return token;
}

void on_magic_refresh_ticket(struct exchange *x)
{
    const struct busi_renew_token_request request = {.token = own_token(x)};
    struct busi_session_reply session = {0};
    enum busi_code code = busi_rpc_auth_renew_token(x->gateway->rpc, &x->request->call, &request, &session);
    if (code == BUSI_OK)
        magic_answer_ticket(x, &session);
    else
        magic_fail(x, code);
}

/* What cannot be decided is no failure of the ticket. */
void on_magic_verify_ticket(struct exchange *x)
{
    struct busi_check_token_request request = {0};
    struct busi_principal principal = {0};
    enum credential_verdict found = credential_find(x, x->surface->token_header, &request.token);
    enum busi_code code = BUSI_UNAUTHENTICATED;
    if (found == CREDENTIAL_TWICE) {
        exchange_error(x, 400);
        return;
    }
    if (found == CREDENTIAL_FOUND)
        code = busi_rpc_auth_check_token(x->gateway->rpc, &x->request->call, &request, &principal);
    if (code == BUSI_OK || exchange_is_verdict(code))
        magic_answer(x, 200, code == BUSI_OK ? "success" : "failure");
    else
        magic_fail(x, code);
}

/* A session that has ended, or never was, is as ended as one that ends now. */
void on_magic_logout(struct exchange *x)
{
    struct busi_check_token_request request = {0};
    struct busi_empty nothing = {0};
    enum busi_code code = BUSI_OK;
    enum credential_verdict found = credential_find(x, x->surface->token_header, &request.token);
    if (found == CREDENTIAL_TWICE) {
        exchange_error(x, 400);
        return;
    }
    if (found == CREDENTIAL_MISSING) {
        exchange_unauthenticated(x, TOKEN_MISSING);
        return;
    }
    if (found == CREDENTIAL_FOUND)
        code = busi_rpc_auth_sign_out(x->gateway->rpc, &x->request->call, &request, &nothing);
    if (code == BUSI_OK || exchange_is_verdict(code))
        magic_answer(x, 200, "success");
    else
        magic_fail(x, code);
}

void on_magic_change_password(struct exchange *x)
{
    const struct busi_update_user_request request = {.door = MAGIC_DOOR,
                                                     .user_id = x->principal->user_id,
                                                     .password = magic_text(x, "password"),
                                                     .token = own_token(x)};
    struct busi_account account = {0};
    enum busi_code code = busi_rpc_auth_update_user(x->gateway->rpc, &x->request->call, &request, &account);
    if (code == BUSI_OK)
        magic_answer(x, 200, "success");
    else
        magic_fail(x, code == BUSI_NOT_FOUND ? BUSI_UNAUTHENTICATED : code);
}

void on_magic_verify_password(struct exchange *x)
{
    const struct busi_change_password_request request = {.token = own_token(x),
                                                         .password = magic_text(x, "password")};
    struct busi_call *call = &x->request->call;
    struct busi_empty nothing = {0};
    if (request.password.len == 0) {
        refuse_missing(x, "password");
        return;
    }
    enum busi_code code = busi_rpc_auth_verify_password(x->gateway->rpc, call, &request, &nothing);
    bool wrong = code == BUSI_INVALID_ARGUMENT && call->n_violations > 0;
    if (code == BUSI_OK || wrong)
        magic_answer(x, 200, wrong ? "failure" : "success");
    else
        magic_fail(x, code);
}

void on_magic_recaptcha_key(struct exchange *x)
{
    LITERAL(&x->response->body, "{\"result\":null}");
    exchange_json(x, 200);
}
