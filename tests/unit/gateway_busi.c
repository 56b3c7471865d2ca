#include "core/gateway.h"
#include "http/status.h"
#include "params/params.h"
#include "pipeline.h"
#include "surfaces/busi_shape.h"
#include <criterion/criterion.h>

static struct busi_arena arena;

static void begin(void)
{
    busi_arena_init(&arena, 8 * 1024 * 1024);
}

static void end(void)
{
    busi_arena_fini(&arena);
}

TestSuite(busi, .init = begin, .fini = end);

static const struct param *json(const char *text)
{
    struct param *out = NULL;
    cr_assert_eq(params_json(&arena, busi_str_of(text), &out), PARAMS_OK, "%s", text);
    return out;
}

static const struct param *form(const char *text)
{
    struct param *out = NULL;
    cr_assert_eq(params_form(&arena, busi_str_of(text), &out), PARAMS_OK, "%s", text);
    return out;
}

static void is_text(struct busi_str have, const char *want)
{
    cr_assert(busi_str_eq(have, busi_str_of(want)), "have \"%.*s\", want \"%s\"", BUSI_ARG(have), want);
    cr_assert_eq(have.ptr == NULL, want == NULL);
}

static void written(struct busi_buf *out, const char *want)
{
    cr_assert_not(out->failed);
    is_text((struct busi_str){out->ptr, out->len}, want);
    busi_buf_fini(out);
}

Test(busi, sign_up_takes_email_and_password_of_user)
{
    struct fields fields;
    struct busi_sign_up_request request;
    cr_assert(busi_shape_sign_up(json("{\"user\":{\"email\":\"a@b.de\",\"password\":\"secret\",\"id\":9}}"),
                                 &fields, &request));
    is_text(request.door, "busi");
    is_text(request.email, "a@b.de");
    is_text(request.password, "secret");
    is_text(request.username, NULL);
    cr_assert_eq(fields.n_wrong, 0);
}

Test(busi, sign_up_from_a_form)
{
    struct fields fields;
    struct busi_sign_up_request request;
    cr_assert(busi_shape_sign_up(form("user[email]=a%40b.de&user[password]=x+y"), &fields, &request));
    is_text(request.email, "a@b.de");
    is_text(request.password, "x y");
}

Test(busi, sign_up_without_a_user_object_is_no_request)
{
    struct fields fields;
    struct busi_sign_up_request request;
    const char *const bodies[] = {"{}",
                                  "{\"user\":null}",
                                  "{\"user\":\"a\"}",
                                  "{\"user\":[]}",
                                  "{\"user\":1}",
                                  "{\"email\":\"a@b.de\",\"password\":\"secret\"}",
                                  "[]",
                                  "[{\"user\":{}}]"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        cr_assert_not(busi_shape_sign_up(json(bodies[i]), &fields, &request), "%s", bodies[i]);
}

Test(busi, absent_null_and_wrong_members)
{
    struct fields fields;
    struct busi_write_business_request request;
    cr_assert(busi_shape_write(json("{\"business\":{\"name\":null,\"tag\":7}}"), &fields, &request));
    is_text(request.name, "");
    is_text(request.tag, "");
    is_text(request.description, NULL);
    cr_assert_eq(fields.n_wrong, 1);
    cr_assert_str_eq(fields.wrong[0].field, "tag");
}

Test(busi, every_other_type_is_wrong)
{
    const char *const values[] = {"1", "1.5", "true", "[]", "{}", "[\"a\"]"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct fields fields;
        struct busi_write_business_request request;
        struct busi_str body = busi_arena_printf(&arena, "{\"business\":{\"name\":%s}}", values[i]);
        cr_assert(busi_shape_write(json(body.ptr), &fields, &request));
        cr_assert_eq(fields.n_wrong, 1, "%s", values[i]);
    }
}

Test(busi, sign_in_is_flat_and_two_texts)
{
    struct busi_sign_in_request request;
    cr_assert(busi_shape_sign_in(json("{\"email\":\"\",\"password\":\"p\"}"), &request));
    is_text(request.login, "");
    is_text(request.password, "p");
    const char *const bodies[] = {"{}",
                                  "{\"email\":\"a\"}",
                                  "{\"password\":\"a\"}",
                                  "{\"email\":null,\"password\":\"p\"}",
                                  "{\"email\":\"a\",\"password\":1}",
                                  "{\"user\":{\"email\":\"a\",\"password\":\"p\"}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        cr_assert_not(busi_shape_sign_in(json(bodies[i]), &request), "%s", bodies[i]);
}

Test(busi, texts_are_cut_between_characters)
{
    cr_assert_eq(fields_cut(BUSI_STR("abc"), 3).len, 3);
    cr_assert_eq(fields_cut(BUSI_STR("abc"), 2).len, 2);
    cr_assert_eq(fields_cut(BUSI_STR("a\xc3\xa4"), 2).len, 1);
    cr_assert_eq(fields_cut(BUSI_STR("\xf0\x9f\x98\x80!"), 3).len, 0);
    cr_assert_eq(fields_cut(BUSI_STR("\xf0\x9f\x98\x80!"), 4).len, 4);
}

Test(busi, a_wrong_type_replaces_the_services_words_for_it)
{
    struct busi_call call = {0};
    struct fields fields = {.wrong = {{"tag", BUSI_RULE_INVALID, 0}}, .n_wrong = 1};
    busi_call_refuse(&call, "name", BUSI_RULE_TOO_LONG, 255);
    busi_call_refuse(&call, "tag", BUSI_RULE_BLANK, 0);
    cr_assert_eq(fields_judge(&fields, &call, BUSI_INVALID_ARGUMENT), BUSI_INVALID_ARGUMENT);
    struct busi_buf out;
    busi_buf_init(&out, 4096);
    busi_shape_violations(&out, call.violations, call.n_violations);
    written(&out,
            "{\"errors\":{\"name\":[\"should be at most 255 character(s)\"],\"tag\":[\"is invalid\"]}}");
}

Test(busi, a_wrong_type_is_never_success)
{
    struct busi_call call = {0};
    struct fields fields = {.wrong = {{"tag", BUSI_RULE_INVALID, 0}}, .n_wrong = 1};
    cr_assert_eq(fields_judge(&fields, &call, BUSI_OK), BUSI_INTERNAL);
    cr_assert_eq(fields_judge(&fields, &call, BUSI_NOT_FOUND), BUSI_NOT_FOUND);
    fields.n_wrong = 0;
    cr_assert_eq(fields_judge(&fields, &call, BUSI_OK), BUSI_OK);
}

Test(busi, newest_refusal_of_a_field_comes_first)
{
    struct busi_call call = {0};
    busi_call_refuse(&call, "email", BUSI_RULE_FORMAT, 0);
    busi_call_refuse(&call, "password", BUSI_RULE_TOO_SHORT, 6);
    busi_call_refuse(&call, "email", BUSI_RULE_TOO_LONG, 254);
    struct busi_buf out;
    busi_buf_init(&out, 4096);
    busi_shape_violations(&out, call.violations, call.n_violations);
    written(&out, "{\"errors\":{\"email\":[\"should be at most 254 character(s)\",\"has invalid format\"],"
                  "\"password\":[\"should be at least 6 character(s)\"]}}");
}

Test(busi, business_as_json)
{
    struct busi_business row = {.id = 7,
                                .name = BUSI_STR("A \"B\""),
                                .description = BUSI_STR("l1\nl2"),
                                .tag = BUSI_STR("IT, Software"),
                                .date = BUSI_STR("2018-11-11 07:00:53.229068"),
                                .created_by = 3};
    struct busi_buf out;
    busi_buf_init(&out, 4096);
    busi_shape_business(&out, &row);
    written(&out, "{\"id\":7,\"name\":\"A \\\"B\\\"\",\"description\":\"l1\\nl2\",\"tag\":\"IT, Software\","
                  "\"date\":\"2018-11-11 07:00:53.229068\"}");
}

Test(busi, session_as_json)
{
    struct busi_session_reply reply = {.email = BUSI_STR("a@b.de"), .access_token = BUSI_STR("t.o.k")};
    struct busi_buf out;
    busi_buf_init(&out, 4096);
    busi_shape_session(&out, &reply);
    written(&out, "{\"email\":\"a@b.de\",\"token\":\"t.o.k\"}");
}

static void error_is(int status, const char *body)
{
    struct http_response response = {0};
    busi_buf_init(&response.body, 4096);
    surface_busi.error(&response, status);
    cr_assert_eq(response.status, status);
    cr_assert_str_eq(response.content_type, "application/json; charset=utf-8");
    written(&response.body, body);
}

Test(busi, errors_say_the_phrase_of_their_status)
{
    error_is(400, "{\"errors\":{\"detail\":\"Bad Request\"}}");
    error_is(404, "{\"errors\":{\"detail\":\"Not Found\"}}");
    error_is(406, "{\"errors\":{\"detail\":\"Not Acceptable\"}}");
    error_is(413, "{\"errors\":{\"detail\":\"Request Entity Too Large\"}}");
    error_is(415, "{\"errors\":{\"detail\":\"Unsupported Media Type\"}}");
    error_is(429, "{\"errors\":{\"detail\":\"Too Many Requests\"}}");
    error_is(503, "{\"errors\":{\"detail\":\"Service Unavailable\"}}");
    error_is(504, "{\"errors\":{\"detail\":\"Gateway Timeout\"}}");
}

Test(busi, every_code_of_the_protocol_has_a_phrase)
{
#define ERROR(name, number, http, retry)                                                                     \
    cr_expect(http == 500 || strcmp(status_phrase(http), status_phrase(500)) != 0, #name);
#include "proto/errors.def"
#undef ERROR
}

Test(busi, unauthenticated_and_invalid_token)
{
    struct http_response response = {0};
    busi_buf_init(&response.body, 4096);
    surface_busi.unauthenticated(&response, TOKEN_MISSING);
    cr_assert_eq(response.status, 401);
    written(&response.body, "{\"error\":\"unauthenticated\"}");
    surface_busi.unauthenticated(&response, TOKEN_INVALID);
    written(&response.body, "{\"error\":\"invalid_token\"}");
}

Test(busi, pages)
{
    struct busi_shape_page page;
    cr_assert(busi_shape_page(form(""), &page));
    cr_assert_eq(page.limit, 0);
    cr_assert(busi_shape_page(form("limit=1000&after=12"), &page));
    cr_assert_eq(page.limit, 1000);
    cr_assert_eq(page.after, 12);
    const char *const bad[] = {"limit=0",          "limit=-1",  "limit=1001", "limit=1e9",
                               "limit=2147483648", "limit=",    "limit=01",   "after=-1",
                               "after=x",          "limit[]=1", "after[a]=1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(busi_shape_page(form(bad[i]), &page), "%s", bad[i]);
}

Test(busi, only_a_post_may_ask_to_be_another_method)
{
    cr_assert_eq(pipeline_method(HTTP_POST, json("{\"_method\":\"PUT\"}")), HTTP_PUT);
    cr_assert_eq(pipeline_method(HTTP_POST, form("_method=patch")), HTTP_PATCH);
    cr_assert_eq(pipeline_method(HTTP_POST, form("_method=Delete")), HTTP_DELETE);
    cr_assert_eq(pipeline_method(HTTP_POST, form("_method=GET")), HTTP_POST);
    cr_assert_eq(pipeline_method(HTTP_POST, json("{\"_method\":[\"PUT\"]}")), HTTP_POST);
    cr_assert_eq(pipeline_method(HTTP_POST, json("{}")), HTTP_POST);
    cr_assert_eq(pipeline_method(HTTP_PUT, json("{\"_method\":\"DELETE\"}")), HTTP_PUT);
}
