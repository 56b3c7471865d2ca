#include "surfaces/busi_shape.h"
#include "http/status.h"
#include "params/violations.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

/* {"errors":{"detail":"<text>"}} */
static void shape_detail(struct busi_buf *out, const char *text)
{
    LITERAL(out, "{\"errors\":{\"detail\":");
    busi_buf_json(out, busi_str_of(text));
    LITERAL(out, "}}");
}

void busi_shape_violations(struct busi_buf *out, const struct busi_violation *violations, size_t n)
{
    LITERAL(out, "{\"errors\":");
    violations_json(out, violations, n);
    busi_buf_char(out, '}');
}

void busi_shape_session(struct busi_buf *out, const struct busi_session_reply *session)
{
    LITERAL(out, "{\"email\":");
    busi_buf_json_or_null(out, session->email);
    LITERAL(out, ",\"token\":");
    busi_buf_json_or_null(out, session->access_token);
    busi_buf_char(out, '}');
}

void busi_shape_business(struct busi_buf *out, const struct busi_business *business)
{
    LITERAL(out, "{\"id\":");
    busi_buf_int(out, business->id);
    LITERAL(out, ",\"name\":");
    busi_buf_json(out, business->name);
    LITERAL(out, ",\"description\":");
    busi_buf_json(out, business->description);
    LITERAL(out, ",\"tag\":");
    busi_buf_json(out, business->tag);
    LITERAL(out, ",\"date\":");
    busi_buf_json(out, business->date);
    busi_buf_char(out, '}');
}

static bool find_object(const struct param *body, const char *name, struct fields *out)
{
    const struct param *object = param_find(body, name);
    if (!object || object->type != PARAM_OBJECT)
        return false;
    *out = (struct fields){.object = object};
    return true;
}

bool busi_shape_sign_up(const struct param *body, struct fields *fields, struct busi_sign_up_request *out)
{
    if (!find_object(body, "user", fields))
        return false;
    *out = (struct busi_sign_up_request){.door = BUSI_STR("busi"),
                                         .email = fields_text(fields, "email", FIELDS_EMAIL_MOST),
                                         .password = fields_text(fields, "password", FIELDS_PASSWORD_MOST)};
    return true;
}

bool busi_shape_sign_in(const struct param *body, struct busi_sign_in_request *out)
{
    const struct param *email = param_find(body, "email"), *password = param_find(body, "password");
    if (!email || email->type != PARAM_TEXT || !password || password->type != PARAM_TEXT)
        return false;
    struct fields fields = {.object = body};
    *out = (struct busi_sign_in_request){.door = BUSI_STR("busi"),
                                         .login = fields_text(&fields, "email", FIELDS_LOGIN_MOST),
                                         .password = fields_text(&fields, "password", FIELDS_LOGIN_MOST)};
    return true;
}

bool busi_shape_write(const struct param *body, struct fields *fields,
                      struct busi_write_business_request *out)
{
    if (!find_object(body, "business", fields))
        return false;
    *out = (struct busi_write_business_request){
        .name = fields_text(fields, "name", FIELDS_NAME_MOST),
        .description = fields_text(fields, "description", FIELDS_DESCRIPTION_MOST),
        .tag = fields_text(fields, "tag", FIELDS_NAME_MOST)};
    return true;
}

/* One query member as a number within least..most; absent leaves *out. */
static bool take_number(const struct param *query, const char *name, int64_t least, int64_t most,
                        int64_t *out)
{
    const struct param *member = param_find(query, name);
    if (!member)
        return true;
    int64_t number;
    if (member->type != PARAM_TEXT || !busi_str_int(member->text, &number) || number < least || number > most)
        return false;
    *out = number;
    return true;
}

bool busi_shape_page(const struct param *query, struct busi_shape_page *out)
{
    *out = (struct busi_shape_page){0};
    return take_number(query, "limit", 1, 1000, &out->limit) &&
           take_number(query, "after", 0, INT64_MAX, &out->after);
}

static void answer(struct http_response *response, int status)
{
    response->status = status;
    response->content_type = "application/json; charset=utf-8";
}

static void error(struct http_response *response, int status)
{
    answer(response, status);
    shape_detail(&response->body, status_phrase(status));
}

static void unauthenticated(struct http_response *response, enum token_fault fault)
{
    answer(response, 401);
    if (fault == TOKEN_MISSING)
        LITERAL(&response->body, "{\"error\":\"unauthenticated\"}");
    else
        LITERAL(&response->body, "{\"error\":\"invalid_token\"}");
}

static void invalid(struct http_response *response, const struct busi_call *call)
{
    answer(response, 422);
    busi_shape_violations(&response->body, call->violations, call->n_violations);
}

const struct surface surface_busi = {.name = "busi",
                                     .any_slashes = true,
                                     .method_override = true,
                                     .cross_origin = true,
                                     .error = error,
                                     .unauthenticated = unauthenticated,
                                     .invalid = invalid};
