#include "busi_shape.h"
#include "status.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

/* Bytes of one field that are passed on: each is well past what the services allow, and together they fit a
 * request frame. */
enum {
    EMAIL_MOST = 4096,
    PASSWORD_MOST = 8192,
    LOGIN_MOST = 65536,
    NAME_MOST = 4096,
    DESCRIPTION_MOST = 512 * 1024,
};

void busi_shape_detail(struct busi_buf *out, const char *text)
{
    LITERAL(out, "{\"errors\":{\"detail\":");
    busi_buf_json(out, busi_str_of(text));
    LITERAL(out, "}}");
}

/* A rule's text is a format with at most one %d. */
static void write_rule(struct busi_buf *out, const struct busi_violation *violation)
{
    const char *text = busi_rule_text((int)violation->rule);
    const char *limit = strstr(text, "%d");
    busi_buf_char(out, '"');
    if (limit) {
        busi_buf_add(out, text, (size_t)(limit - text));
        busi_buf_int(out, violation->limit);
        text = limit + 2;
    }
    busi_buf_add(out, text, strlen(text));
    busi_buf_char(out, '"');
}

static bool seen_before(const struct busi_violation *violations, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (busi_str_eq(violations[i].field, violations[at].field))
            return true;
    return false;
}

void busi_shape_violations(struct busi_buf *out, const struct busi_violation *violations, size_t n)
{
    LITERAL(out, "{\"errors\":{");
    for (size_t i = 0, fields = 0; i < n; i++) {
        if (seen_before(violations, i))
            continue;
        if (fields++)
            busi_buf_char(out, ',');
        busi_buf_json(out, violations[i].field);
        LITERAL(out, ":[");
        for (size_t k = n, texts = 0; k > i; k--) {
            if (!busi_str_eq(violations[k - 1].field, violations[i].field))
                continue;
            if (texts++)
                busi_buf_char(out, ',');
            write_rule(out, &violations[k - 1]);
        }
        busi_buf_char(out, ']');
    }
    LITERAL(out, "}}");
}

static void write_text(struct busi_buf *out, struct busi_str text)
{
    if (text.ptr)
        busi_buf_json(out, text);
    else
        LITERAL(out, "null");
}

void busi_shape_session(struct busi_buf *out, const struct busi_session_reply *session)
{
    LITERAL(out, "{\"email\":");
    write_text(out, session->email);
    LITERAL(out, ",\"token\":");
    write_text(out, session->access_token);
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
                                         .email = fields_text(fields, "email", EMAIL_MOST),
                                         .password = fields_text(fields, "password", PASSWORD_MOST)};
    return true;
}

bool busi_shape_sign_in(const struct param *body, struct busi_sign_in_request *out)
{
    const struct param *email = param_find(body, "email"), *password = param_find(body, "password");
    if (!email || email->type != PARAM_TEXT || !password || password->type != PARAM_TEXT)
        return false;
    struct fields fields = {.object = body};
    *out = (struct busi_sign_in_request){.door = BUSI_STR("busi"),
                                         .login = fields_text(&fields, "email", LOGIN_MOST),
                                         .password = fields_text(&fields, "password", LOGIN_MOST)};
    return true;
}

bool busi_shape_write(const struct param *body, struct fields *fields,
                      struct busi_write_business_request *out)
{
    if (!find_object(body, "business", fields))
        return false;
    *out = (struct busi_write_business_request){.name = fields_text(fields, "name", NAME_MOST),
                                                .description =
                                                    fields_text(fields, "description", DESCRIPTION_MOST),
                                                .tag = fields_text(fields, "tag", NAME_MOST)};
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
    busi_shape_detail(&response->body, status_phrase(status));
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
                                     .error = error,
                                     .unauthenticated = unauthenticated,
                                     .invalid = invalid};
