#include "surfaces/guardian_shape.h"
#include "http/status.h"
#include "params/violations.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

#define DOOR BUSI_STR("guardian")

void guardian_shape_user(struct busi_buf *out, const struct guardian_user *user, struct busi_str token)
{
    LITERAL(out, "{\"data\":{\"id\":");
    busi_buf_int(out, user->id);
    LITERAL(out, ",\"email\":");
    busi_buf_json_or_null(out, user->email);
    LITERAL(out, ",\"username\":");
    busi_buf_json_or_null(out, user->username);
    busi_buf_char(out, '}');
    if (token.ptr) {
        LITERAL(out, ",\"token\":");
        busi_buf_json(out, token);
    }
    busi_buf_char(out, '}');
}

void guardian_shape_token(struct busi_buf *out, struct busi_str token)
{
    LITERAL(out, "{\"token\":");
    busi_buf_json_or_null(out, token);
    busi_buf_char(out, '}');
}

/* ---- requests ---- */

static bool find_user(const struct param *body, struct fields *out)
{
    const struct param *user = param_find(body, "user");
    *out = (struct fields){.object = user ? user : body};
    return out->object->type == PARAM_OBJECT;
}

bool guardian_shape_sign_up(const struct param *body, struct fields *fields, struct busi_sign_up_request *out)
{
    if (!find_user(body, fields))
        return false;
    *out = (struct busi_sign_up_request){.door = DOOR,
                                         .email = fields_text(fields, "email", FIELDS_EMAIL_MOST),
                                         .password = fields_text(fields, "password", FIELDS_PASSWORD_MOST),
                                         .username = fields_text(fields, "username", FIELDS_USERNAME_MOST)};
    if (out->username.len == 0) /* as Ecto casts it: an empty text is none */
        out->username = (struct busi_str){0};
    return true;
}

bool guardian_shape_update(const struct param *body, struct fields *fields,
                           struct busi_update_user_request *out)
{
    if (!find_user(body, fields))
        return false;
    *out =
        (struct busi_update_user_request){.door = DOOR,
                                          .email = fields_text(fields, "email", FIELDS_EMAIL_MOST),
                                          .username = fields_text(fields, "username", FIELDS_USERNAME_MOST),
                                          .password = fields_text(fields, "password", FIELDS_PASSWORD_MOST)};
    return true;
}

bool guardian_shape_sign_in(const struct param *body, struct busi_sign_in_request *out)
{
    const struct param *login = param_find(body, "email"), *password = param_find(body, "password");
    if (!login)
        login = param_find(body, "username");
    if (!login || login->type != PARAM_TEXT || !password || password->type != PARAM_TEXT)
        return false;
    *out = (struct busi_sign_in_request){.door = DOOR,
                                         .login = fields_cut(login->text, FIELDS_LOGIN_MOST),
                                         .password = fields_cut(password->text, FIELDS_LOGIN_MOST)};
    return true;
}

/* ---- errors ---- */

static void answer(struct http_response *response, int status)
{
    response->status = status;
    response->content_type = "application/json; charset=utf-8";
}

/* What its fallback and its guards word themselves has a status; the rest is Phoenix' own. */
static void error(struct http_response *response, int status)
{
    struct busi_buf *out = &response->body;
    answer(response, status);
    switch (status) {
    case 401:
        LITERAL(out, "{\"status\":\"unauthorized\"}");
        return;
    case 403:
        LITERAL(out, "{\"status\":\"forbidden\"}");
        return;
    case 429:
        LITERAL(out, "{\"status\":\"too many requests\"}");
        return;
    default:
        LITERAL(out, "{\"errors\":{\"detail\":");
        busi_buf_json(out, busi_str_of(status_phrase(status)));
        LITERAL(out, "}}");
    }
}

static void unauthenticated(struct http_response *response, enum token_fault fault)
{
    answer(response, 401);
    if (fault == TOKEN_MISSING)
        LITERAL(&response->body, "{\"message\":\"unauthenticated\"}");
    else
        LITERAL(&response->body, "{\"message\":\"invalid_token\"}");
}

static void invalid(struct http_response *response, const struct busi_call *call)
{
    answer(response, 422);
    LITERAL(&response->body, "{\"errors\":");
    violations_json(&response->body, call->violations, call->n_violations);
    busi_buf_char(&response->body, '}');
}

const struct surface surface_guardian = {.name = "guardian",
                                         .any_slashes = true,
                                         .method_override = true,
                                         .cross_origin = true,
                                         .not_ids = "signup,signin,sign_in",
                                         .error = error,
                                         .unauthenticated = unauthenticated,
                                         .invalid = invalid};
