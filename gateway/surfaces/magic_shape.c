#include "surfaces/magic_shape.h"
#include "base/code.h"
#include "base/roles.h"
#include "http/status.h"
#include "params/fields.h"
#include "surfaces/magic_arguments.h"
#include <stdarg.h>
#include <stdio.h>

enum { LINK_MOST = 16 * 1024 }; /* bytes */

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

/* ---- answers ---- */

void magic_answer(struct exchange *x, int status, const char *result)
{
    LITERAL(&x->response->body, "{\"result\":");
    busi_buf_json(&x->response->body, busi_str_of(result));
    busi_buf_char(&x->response->body, '}');
    exchange_json(x, status);
}

void magic_answer_number(struct exchange *x, int status, const char *name, int64_t n)
{
    busi_buf_char(&x->response->body, '{');
    busi_buf_json(&x->response->body, busi_str_of(name));
    busi_buf_char(&x->response->body, ':');
    busi_buf_int(&x->response->body, n);
    busi_buf_char(&x->response->body, '}');
    exchange_json(x, status);
}

void magic_answer_ticket(struct exchange *x, const struct busi_session_reply *session)
{
    LITERAL(&x->response->body, "{\"ticket\":");
    busi_buf_json(&x->response->body, session->access_token);
    busi_buf_char(&x->response->body, '}');
    exchange_json(x, 200);
}

struct busi_str magic_username(struct busi_str username, struct busi_str email)
{
    return username.len > 0 ? username : email;
}

void magic_write_roles(struct busi_buf *out, struct busi_str roles)
{
    bool first = true;
    busi_buf_char(out, '[');
    for (struct busi_str role = busi_roles_next(&roles); role.ptr; role = busi_roles_next(&roles)) {
        if (!first)
            busi_buf_char(out, ',');
        busi_buf_json(out, role);
        first = false;
    }
    busi_buf_char(out, ']');
}

/* ---- links ---- */

void magic_write_url(struct busi_buf *out, struct busi_str text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c && strchr(unreserved, c))
            busi_buf_char(out, (char)c);
        else
            busi_buf_printf(out, "%%%02X", c);
    }
}

void magic_link_next(struct exchange *x, const char *cursor, int64_t at)
{
    struct busi_buf link;
    struct busi_str text = {0};
    busi_buf_init(&link, LINK_MOST);
    busi_buf_printf(&link, "<%.*s?%s=%lld", BUSI_ARG(x->request->path), cursor, (long long)at);
    for (const struct param *sent = x->query->children; sent; sent = sent->next) {
        if (sent->type != PARAM_TEXT || busi_str_eq(sent->name, busi_str_of(cursor)) ||
            busi_str_eq(sent->name, BUSI_STR("access_token")))
            continue;
        busi_buf_printf(&link, "&%.*s=", BUSI_ARG(sent->name));
        magic_write_url(&link, sent->text);
    }
    busi_buf_printf(&link, ">; rel=\"next\"");
    if (!link.failed)
        text = busi_arena_dup(&x->request->call.arena, (struct busi_str){link.ptr, link.len});
    busi_buf_fini(&link);
    if (text.ptr)
        http_add_header(x->response, "Link", text);
}

/* ---- errors ---- */

/* Indented, as Magic's exception handler writes it. */
static void write_error(struct http_response *response, int status, struct busi_str message,
                        struct busi_str field)
{
    struct busi_buf *out = &response->body;
    busi_buf_clear(out);
    response->status = status;
    response->content_type = "application/json; charset=utf-8";
    LITERAL(out, "{\n  \"message\": ");
    busi_buf_json(out, message);
    if (field.ptr) {
        LITERAL(out, ",\n  \"field\": ");
        busi_buf_json(out, field);
    }
    LITERAL(out, "\n}");
}

static const char *message_of(int status)
{
    switch (status) {
    case 401:
    case 403:
        return "Access denied";
    case 429:
        return "Too many requests";
    case 500:
        return "Guru meditation, come back when Universe is in order!";
    default:
        return status_phrase(status);
    }
}

static void error(struct http_response *response, int status)
{
    response->status = status;
    if (status != 404) /* of what is not there Magic says nothing */
        write_error(response, status, busi_str_of(message_of(status)), (struct busi_str){0});
}

static void unauthenticated(struct http_response *response, enum token_fault fault)
{
    (void)fault; /* its clients know one text */
    error(response, 401);
}

/* ---- what a service refused ---- */

static void write_violation(struct busi_buf *text, const struct busi_violation *violation,
                            struct busi_str value)
{
    const int64_t limit = violation->limit;
    switch (violation->rule) {
    case BUSI_RULE_BLANK:
        busi_buf_printf(text, "Mandatory argument '%.*s' not given", BUSI_ARG(violation->field));
        return;
    case BUSI_RULE_TOO_SHORT:
        busi_buf_printf(text, "Not a valid string of at least %lld in length", (long long)limit);
        break;
    case BUSI_RULE_TOO_LONG:
        busi_buf_printf(text, "Not a valid string of at most %lld in length", (long long)limit);
        break;
    case BUSI_RULE_FORMAT:
        if (busi_str_eq(violation->field, BUSI_STR("email"))) {
            busi_buf_printf(text, "'%.*s' is not a valid email address", BUSI_ARG(value));
            return;
        }
        busi_buf_printf(text, "'%.*s' is not a valid name", BUSI_ARG(value));
        break;
    default:
        busi_buf_printf(text, "It %s", busi_rule_text((int)violation->rule));
    }
    busi_buf_printf(text, " for [%.*s]", BUSI_ARG(violation->field));
}

static void write_refusal(struct http_response *response, const struct busi_call *call, struct busi_str value)
{
    const struct busi_violation *violation = &call->violations[0];
    struct busi_buf text;
    busi_buf_init(&text, 4096);
    write_violation(&text, violation, value);
    write_error(response, violation->rule == BUSI_RULE_TAKEN ? 409 : 400,
                (struct busi_str){text.ptr, text.len}, violation->field);
    busi_buf_fini(&text);
}

static void invalid(struct http_response *response, const struct busi_call *call)
{
    write_refusal(response, call, BUSI_STR(""));
}

const struct surface surface_magic = {.name = "magic",
                                      .no_store = true,
                                      .cross_origin = true,
                                      .forbidden = 401,
                                      .query_token = true,
                                      .check = magic_arguments_check,
                                      .error = error,
                                      .unauthenticated = unauthenticated,
                                      .invalid = invalid};

/* ---- refusals of a handler ---- */

void magic_refuse(struct exchange *x, int status, struct busi_str field, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool fits = n >= 0 && (size_t)n < sizeof text;
    write_error(x->response, status, fits ? busi_str_of(text) : busi_str_of(status_phrase(status)), field);
}

/* What was sent in this field, as far as it may be shown. */
static struct busi_str value_of(const struct exchange *x, struct busi_str field)
{
    static const char *const shown[] = {"username", "email", "role", "user", "name", "type"};
    const struct param *extra = magic_object(x, "extra");
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        if (!busi_str_eq(field, busi_str_of(shown[i])))
            continue;
        struct busi_str value = magic_text(x, shown[i]);
        const struct param *inner = value.ptr ? NULL : param_find(extra, shown[i]);
        return fields_cut(inner ? inner->text : value, MAGIC_SHOWN_MOST);
    }
    return (struct busi_str){0};
}

void magic_fail(struct exchange *x, enum busi_code code)
{
    const struct busi_call *call = &x->request->call;
    if (call->n_violations == 0 || busi_code_http((int)code) >= 500)
        exchange_fail(x, code);
    else
        write_refusal(x->response, call, value_of(x, call->violations[0].field));
}

void magic_fail_about(struct exchange *x, enum busi_code code, const char *field)
{
    struct busi_str name = busi_str_of(field), value = value_of(x, name);
    if (x->request->call.n_violations > 0)
        magic_fail(x, code);
    else if (code == BUSI_NOT_FOUND)
        magic_refuse(x, 404, name, "'%.*s' does not exist for [%s]", BUSI_ARG(value), field);
    else if (code == BUSI_ALREADY_EXISTS)
        magic_refuse(x, 409, name, "'%.*s' already exists for [%s]", BUSI_ARG(value), field);
    else if (code == BUSI_FAILED_PRECONDITION)
        magic_refuse(x, 409, name, "%.*s", BUSI_ARG(x->request->call.message));
    else
        exchange_fail(x, code);
}
