#include "surfaces/accesspass_shape.h"
#include "http/status.h"
#include "params/violations.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

#define DOOR BUSI_STR("accesspass")

void accesspass_shape_ok(struct busi_buf *out, struct busi_str text)
{
    LITERAL(out, "{\"ok\":");
    busi_buf_json(out, text);
    busi_buf_char(out, '}');
}

void accesspass_shape_error(struct busi_buf *out, struct busi_str text)
{
    LITERAL(out, "{\"error\":");
    busi_buf_json(out, text);
    busi_buf_char(out, '}');
}

void accesspass_shape_session(struct busi_buf *out, const struct busi_session_reply *session)
{
    LITERAL(out, "{\"ok\":{\"type\":\"basic\",\"refresh_token\":");
    busi_buf_json(out, session->refresh_token);
    LITERAL(out, ",\"refresh_expire_in\":");
    busi_buf_int(out, session->refresh_lifetime);
    LITERAL(out, ",\"access_token\":");
    busi_buf_json(out, session->access_token);
    LITERAL(out, ",\"access_expire_in\":");
    busi_buf_int(out, session->access_lifetime);
    LITERAL(out, "}}");
}

void accesspass_shape_principal(struct busi_buf *out, const struct busi_principal *principal)
{
    LITERAL(out, "{\"ok\":{\"user_id\":");
    busi_buf_json_or_null(out, principal->user_code);
    LITERAL(out, ",\"email_confirmed\":");
    busi_buf_str(out, principal->email_confirmed ? BUSI_STR("true") : BUSI_STR("false"));
    LITERAL(out, ",\"email\":");
    busi_buf_json_or_null(out, principal->email);
    LITERAL(out, ",\"username\":");
    busi_buf_json_or_null(out, principal->username);
    LITERAL(out, ",\"meta\":");
    busi_buf_str(out, principal->meta.len ? principal->meta : BUSI_STR("{}"));
    if (principal->data.len) {
        LITERAL(out, ",\"data\":");
        busi_buf_str(out, principal->data);
    }
    LITERAL(out, "}}");
}

/* ---- requests ---- */

static struct busi_str or_blank(struct busi_str text)
{
    return text.ptr ? text : BUSI_STR("");
}

static struct busi_str take_text(struct fields *fields, const char *name, size_t most)
{
    return or_blank(fields_text(fields, name, most));
}

/* An object as JSON; absent when there is none, blank when we refuse it. */
static struct busi_str take_meta(struct busi_arena *arena, struct fields *fields)
{
    const struct param *meta = param_find(fields->object, "meta");
    if (!meta)
        return (struct busi_str){0};
    if (meta->type != PARAM_OBJECT) {
        fields_refuse(fields, "meta", BUSI_RULE_INVALID, 0);
        return BUSI_STR("");
    }
    struct busi_buf json;
    busi_buf_init(&json, ACCESSPASS_META_MOST);
    params_write(&json, meta);
    bool fits = !json.failed;
    struct busi_str text = {0};
    if (fits)
        text = busi_arena_dup(arena, (struct busi_str){json.ptr, json.len});
    else
        fields_refuse(fields, "meta", BUSI_RULE_TOO_LONG, ACCESSPASS_META_MOST);
    busi_buf_fini(&json);
    return or_blank(text);
}

void accesspass_shape_register(struct busi_arena *arena, struct fields *fields,
                               struct busi_sign_up_request *out)
{
    *out = (struct busi_sign_up_request){.door = DOOR,
                                         .email = take_text(fields, "email", FIELDS_EMAIL_MOST),
                                         .password = take_text(fields, "password", FIELDS_PASSWORD_MOST),
                                         .username = take_text(fields, "username", FIELDS_USERNAME_MOST),
                                         .password_confirm =
                                             take_text(fields, "password_confirm", FIELDS_PASSWORD_MOST),
                                         .meta = take_meta(arena, fields)};
}

void accesspass_shape_login(struct fields *fields, struct busi_sign_in_request *out)
{
    *out = (struct busi_sign_in_request){.door = DOOR,
                                         .login = take_text(fields, "username", FIELDS_LOGIN_MOST),
                                         .password = take_text(fields, "password", FIELDS_LOGIN_MOST)};
}

void accesspass_shape_confirm(struct fields *fields, struct busi_confirm_email_request *out)
{
    *out = (struct busi_confirm_email_request){.door = DOOR,
                                               .secret = take_text(fields, "confirm_id", FIELDS_LOGIN_MOST)};
}

void accesspass_shape_change_password(struct fields *fields, struct busi_finish_reset_request *out)
{
    *out = (struct busi_finish_reset_request){
        .door = DOOR,
        .secret = take_text(fields, "password_id", FIELDS_LOGIN_MOST),
        .password = or_blank(fields_text_as(fields, "new_password", "password", FIELDS_PASSWORD_MOST)),
        .password_confirm = take_text(fields, "password_confirm", FIELDS_PASSWORD_MOST)};
}

void accesspass_shape_account(struct fields *fields, const char *name, struct busi_account_name_request *out)
{
    *out =
        (struct busi_account_name_request){.door = DOOR, .name = take_text(fields, name, FIELDS_LOGIN_MOST)};
}

/* ---- errors ---- */

static void answer(struct http_response *response, int status)
{
    response->status = status;
    response->content_type = "application/json; charset=utf-8";
}

/* The status's phrase in lower case. */
static void error(struct http_response *response, int status)
{
    char words[64];
    const char *phrase = status_phrase(status);
    size_t n = strlen(phrase);
    n = n < sizeof words ? n : sizeof words;
    for (size_t i = 0; i < n; i++)
        words[i] = busi_lower(phrase[i]);
    answer(response, status);
    accesspass_shape_error(&response->body, (struct busi_str){words, n});
}

static void unauthenticated(struct http_response *response, enum token_fault fault)
{
    (void)fault; /* its clients know one text */
    error(response, 401);
}

static void invalid(struct http_response *response, const struct busi_call *call)
{
    answer(response, 400);
    LITERAL(&response->body, "{\"error\":");
    violations_json(&response->body, call->violations, call->n_violations);
    busi_buf_char(&response->body, '}');
}

const struct surface surface_accesspass = {.name = "accesspass",
                                           .tells_methods = true,
                                           .cross_origin = true,
                                           .no_store = true,
                                           .forbidden = 401,
                                           .token_header = {"access-token", sizeof "access-token" - 1},
                                           .error = error,
                                           .unauthenticated = unauthenticated,
                                           .invalid = invalid};
