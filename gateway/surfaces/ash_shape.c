#include "surfaces/ash_shape.h"
#include "http/status.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

void ash_shape_success(struct busi_buf *out, struct busi_str bearer)
{
    LITERAL(out, "{\"authentication\":{\"status\":\"success\",\"bearer\":");
    busi_buf_json_or_null(out, bearer);
    LITERAL(out, "}}");
}

void ash_shape_failed(struct busi_buf *out)
{
    LITERAL(out, "{\"authentication\":{\"status\":\"failed\"}}");
}

void ash_shape_signed_out(struct busi_buf *out)
{
    LITERAL(out, "{\"status\":\"ok\"}");
}

/* ---- requests ---- */

const struct param *ash_shape_param(const struct param *body, const struct param *query, const char *name)
{
    const struct param *found = param_find(body, name);
    return found ? found : param_find(query, name);
}

/* Of a member that must be a text: absent when it is none, or blank. */
static struct busi_str need(const struct param *member, size_t most)
{
    if (!member || member->type != PARAM_TEXT || member->text.len == 0)
        return (struct busi_str){0};
    return fields_cut(member->text, most);
}

struct busi_str ash_shape_flat(const struct param *body, const struct param *query, const char *name)
{
    return need(ash_shape_param(body, query, name), FIELDS_LOGIN_MOST);
}

static bool is_object(const struct param *user)
{
    return user && user->type == PARAM_OBJECT;
}

/* One that is missing is blank: the service says so. */
static struct busi_str take(struct fields *fields, const char *name, const char *field, size_t most)
{
    struct busi_str text = fields_text_as(fields, name, field, most);
    return text.ptr ? text : BUSI_STR("");
}

/* A user name may be left out, which is not the same as blank. */
bool ash_shape_register(const struct param *user, struct fields *fields, struct busi_sign_up_request *out)
{
    fields->object = user;
    if (!is_object(user))
        return false;
    *out = (struct busi_sign_up_request){
        .email = take(fields, "email", "email", FIELDS_EMAIL_MOST),
        .password = take(fields, "password", "password", FIELDS_PASSWORD_MOST),
        .username = fields_text(fields, "username", FIELDS_USERNAME_MOST),
        .password_confirm = take(fields, "password_confirmation", "password_confirm", FIELDS_PASSWORD_MOST)};
    return true;
}

bool ash_shape_sign_in(const struct param *user, struct busi_sign_in_request *out)
{
    if (!is_object(user))
        return false;
    *out = (struct busi_sign_in_request){.login = need(param_find(user, "email"), FIELDS_LOGIN_MOST),
                                         .password = need(param_find(user, "password"), FIELDS_LOGIN_MOST)};
    return out->login.ptr && out->password.ptr;
}

bool ash_shape_account(const struct param *user, struct busi_account_name_request *out)
{
    if (!is_object(user))
        return false;
    *out = (struct busi_account_name_request){.name = need(param_find(user, "email"), FIELDS_LOGIN_MOST)};
    return out->name.ptr != NULL;
}

bool ash_shape_reset(const struct param *user, struct fields *fields, struct busi_finish_reset_request *out)
{
    fields->object = user;
    if (!is_object(user))
        return false;
    *out = (struct busi_finish_reset_request){
        .secret = need(param_find(user, "reset_token"), FIELDS_LOGIN_MOST),
        .password = take(fields, "password", "password", FIELDS_PASSWORD_MOST),
        .password_confirm = take(fields, "password_confirmation", "password_confirm", FIELDS_PASSWORD_MOST)};
    return out->secret.ptr != NULL;
}

/* ---- errors ---- */

static void answer(struct http_response *response, int status)
{
    response->status = status;
    response->content_type = "application/json; charset=utf-8";
}

/* What a strategy may fail of looks the same whatever it is; other statuses tell their phrase. */
static void error(struct http_response *response, int status)
{
    answer(response, status);
    if (status == 401 || status == 429) {
        ash_shape_failed(&response->body);
        return;
    }
    LITERAL(&response->body, "{\"error\":");
    busi_buf_json(&response->body, busi_str_of(status_phrase(status)));
    busi_buf_char(&response->body, '}');
}

static void unauthenticated(struct http_response *response, enum token_fault fault)
{
    (void)fault; /* its clients know one text */
    error(response, 401);
}

static void invalid(struct http_response *response, const struct busi_call *call)
{
    (void)call; /* nor do they hear which field it was */
    error(response, 401);
}

const struct surface surface_ash = {.name = "ash",
                                    .tells_methods = true,
                                    .cross_origin = true,
                                    .for_browsers = &surface_pages,
                                    .no_store = true,
                                    .forbidden = 401,
                                    .error = error,
                                    .unauthenticated = unauthenticated,
                                    .invalid = invalid};
/* What of it stands beside its prefix. */
const struct surface surface_ash_site = {.name = "ash_site",
                                         .tells_methods = true,
                                         .for_browsers = &surface_pages,
                                         .no_store = true,
                                         .forbidden = 401,
                                         .error = error,
                                         .unauthenticated = unauthenticated,
                                         .invalid = invalid};
