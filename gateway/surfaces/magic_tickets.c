/* Tickets that root has made for others, and what the gateway asks of whom. */
#include "base/clock.h"
#include "base/roles.h"
#include "core/gateway.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_shape.h"
#include "surfaces/magic_users.h"
#include <stdio.h>

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

enum {
    ENDPOINTS_MAX_AGE_S = 300,
    CLOCKS_US = 5000000, /* how far auth-svc's clock may be from ours */
};

/* False: there is no such user, and that is answered. */
static bool find(struct exchange *x, struct busi_account *account)
{
    enum busi_code code = magic_find_user(x, account);
    if (code == BUSI_OK && account->user_id == 0)
        code = BUSI_NOT_FOUND;
    if (code != BUSI_OK)
        magic_fail_about(x, code, "username");
    return code == BUSI_OK;
}

static void issue(struct exchange *x, const struct busi_issue_token_request *request)
{
    struct busi_session_reply session = {0};
    enum busi_code code = busi_rpc_auth_issue_token(x->gateway->rpc, &x->request->call, request, &session);
    if (code == BUSI_OK)
        magic_answer_ticket(x, &session);
    else
        magic_fail_about(x, code, "username");
}

void on_magic_impersonate(struct exchange *x)
{
    struct busi_account account;
    if (find(x, &account))
        issue(x, &(struct busi_issue_token_request){.door = MAGIC_DOOR, .user_id = account.user_id});
}

static size_t count_roles(struct busi_str roles)
{
    size_t n = 0;
    while (busi_roles_next(&roles).ptr)
        n++;
    return n;
}

/* Those of the account, in any order: a ticket that had fewer than its user would not be looked at as such.
 */
static bool same_roles(struct busi_str asked, struct busi_str account)
{
    size_t n = count_roles(asked);
    for (struct busi_str role = busi_roles_next(&asked); role.ptr; role = busi_roles_next(&asked))
        if (!busi_roles_have(account, busi_str_trim(role, " ")))
            return false;
    return n == count_roles(account);
}

/* Nobody shall take a ticket for one that lives longer. */
static void issue_until(struct exchange *x, const struct busi_issue_token_request *request, int64_t until_us)
{
    struct busi_call *call = &x->request->call;
    struct busi_session_reply session = {0};
    struct busi_empty nothing = {0};
    enum busi_code code = busi_rpc_auth_issue_token(x->gateway->rpc, call, request, &session);
    if (code != BUSI_OK) {
        magic_fail_about(x, code, "username");
        return;
    }
    if (session.expires_at + CLOCKS_US >= until_us) {
        magic_answer_ticket(x, &session);
        return;
    }
    (void)!busi_rpc_auth_sign_out(
        x->gateway->rpc, call, &(struct busi_check_token_request){.token = session.access_token}, &nothing);
    magic_refuse(x, 400, BUSI_STR("expires"), "Tickets live for %lld seconds at most for [expires]",
                 (long long)session.access_lifetime);
}

void on_magic_generate_token(struct exchange *x)
{
    struct busi_account account;
    const int64_t until_us = magic_date(x, "expires", 0), left_ms = (until_us - busi_wall_us()) / 1000;
    if (left_ms < 1000) {
        magic_refuse(x, 400, BUSI_STR("expires"), "Not a valid future date for [expires]");
        return;
    }
    if (!find(x, &account))
        return;
    if (!same_roles(magic_text(x, "role"), account.roles)) {
        magic_refuse(x, 400, BUSI_STR("role"), "Not the roles of this user for [role]");
        return;
    }
    issue_until(x,
                &(struct busi_issue_token_request){
                    .door = MAGIC_DOOR, .user_id = account.user_id, .lifetime_ms = left_ms},
                until_us);
}

/* ---- endpoints ---- */

static struct busi_str without_slash(struct busi_str path)
{
    return path.len > 0 && path.ptr[0] == '/' ? (struct busi_str){path.ptr + 1, path.len - 1} : path;
}

/* [] for anybody, ["*"] for whoever has a token, else the roles. */
static void write_auth(struct busi_buf *out, const struct guard_rules *rules, const struct route *route)
{
    const size_t row = (size_t)(route - routes);
    if (route->who == WHO_PUBLIC && !rules->named[row]) {
        LITERAL(out, "[]");
        return;
    }
    if (route->roles && !rules->judges_roles[row]) {
        magic_write_roles(out, busi_str_of(route->roles));
        return;
    }
    for (size_t i = 0; i < rules->n; i++) {
        const struct guard_condition *condition = &rules->list[i];
        if (condition->route == row && condition->kind == GUARD_ROLES && condition->roles.len > 0) {
            magic_write_roles(out, condition->roles);
            return;
        }
    }
    LITERAL(out, "[\"*\"]");
}

static void write_endpoint(struct busi_buf *out, const struct gateway *gateway, const struct route *route,
                           const struct router_options *options)
{
    char path[512], verb[8] = "";
    snprintf(path, sizeof path, "%.*s%.*s", BUSI_ARG(options->prefix[route->surface]),
             BUSI_ARG(router_path(options, route)));
    for (size_t i = 0; route->verb[i] && i < sizeof verb - 1; i++)
        verb[i] = busi_lower(route->verb[i]);
    LITERAL(out, "{\"path\":");
    busi_buf_json(out, without_slash(busi_str_of(path)));
    LITERAL(out, ",\"verb\":");
    busi_buf_json(out, busi_str_of(verb));
    LITERAL(out, ",\"auth\":");
    write_auth(out, &gateway->rules, route);
    busi_buf_char(out, '}');
}

void on_magic_endpoints(struct exchange *x)
{
    const struct gateway *gateway = x->gateway;
    const struct router_options options = gateway_router_options(gateway->settings);
    struct busi_buf *out = &x->response->body;
    bool first = true;
    busi_buf_char(out, '[');
    for (size_t i = 0; i < ROUTES; i++) {
        if (!options.on[routes[i].surface])
            continue;
        if (!first)
            busi_buf_char(out, ',');
        write_endpoint(out, gateway, &routes[i], &options);
        first = false;
    }
    busi_buf_char(out, ']');
    x->response->max_age_s = ENDPOINTS_MAX_AGE_S;
    exchange_json(x, 200);
}
