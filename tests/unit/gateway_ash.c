#include "core/gateway.h"
#include "surfaces/ash_shape.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct busi_arena arena;

static void begin(void)
{
    busi_arena_init(&arena, 8 * 1024 * 1024);
}

static void end(void)
{
    busi_arena_fini(&arena);
}

TestSuite(ash, .init = begin, .fini = end);

static const struct param *body(const char *json)
{
    struct param *out = NULL;
    cr_assert_eq(params_json(&arena, busi_str_of(json), &out), PARAMS_OK, "%s", json);
    return out;
}

static const struct param *user(const char *json)
{
    return param_find(body(json), "user");
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

/* ---- answers ---- */

Test(ash, outcomes)
{
    struct busi_buf out;
    busi_buf_init(&out, 4096);
    ash_shape_success(&out, BUSI_STR("a.b.c"));
    written(&out, "{\"authentication\":{\"status\":\"success\",\"bearer\":\"a.b.c\"}}");
    ash_shape_success(&out, (struct busi_str){0});
    written(&out, "{\"authentication\":{\"status\":\"success\",\"bearer\":null}}");
    ash_shape_failed(&out);
    written(&out, "{\"authentication\":{\"status\":\"failed\"}}");
    ash_shape_signed_out(&out);
    written(&out, "{\"status\":\"ok\"}");
}

static void expect_error(int status, const char *want)
{
    struct http_response response = {0};
    busi_buf_init(&response.body, 4096);
    surface_ash.error(&response, status);
    cr_assert_eq(response.status, status);
    cr_assert_str_eq(response.content_type, "application/json; charset=utf-8");
    written(&response.body, want);
}

Test(ash, a_failure_looks_the_same_whatever_it_was)
{
    static const char failed[] = "{\"authentication\":{\"status\":\"failed\"}}";
    struct http_response response = {0};
    const struct busi_call call = {.violations = {{.field = {"email", 5}, .rule = BUSI_RULE_TAKEN}},
                                   .n_violations = 1};
    expect_error(401, failed);
    expect_error(429, failed);
    expect_error(404, "{\"error\":\"Not Found\"}");
    expect_error(400, "{\"error\":\"Bad Request\"}");
    expect_error(503, "{\"error\":\"Service Unavailable\"}");
    busi_buf_init(&response.body, 4096);
    surface_ash.invalid(&response, &call);
    cr_assert_eq(response.status, 401);
    written(&response.body, failed);
    surface_ash.unauthenticated(&response, TOKEN_MISSING);
    cr_assert_eq(response.status, 401);
    written(&response.body, failed);
}

/* ---- requests ---- */

Test(ash, parameters_of_the_body_come_before_those_of_the_query)
{
    const struct param *query = body("{\"token\":\"q\",\"confirm\":\"c\"}");
    is_text(ash_shape_flat(body("{\"token\":\"b\"}"), query, "token"), "b");
    is_text(ash_shape_flat(body("{\"token\":\"b\"}"), query, "confirm"), "c");
    is_text(ash_shape_flat(body("{\"token\":null}"), query, "token"), NULL);
    is_text(ash_shape_flat(body("{}"), query, "nothing"), NULL);
    is_text(ash_shape_flat(body("{\"token\":\"\"}"), query, "token"), NULL);
    is_text(ash_shape_flat(body("{\"token\":[\"b\"]}"), query, "token"), NULL);
    is_text(ash_shape_flat(body("{\"token\":7}"), query, "token"), NULL);
}

Test(ash, a_registration)
{
    struct fields fields = {0};
    struct busi_sign_up_request request;
    cr_assert(
        ash_shape_register(user("{\"user\":{\"email\":\"a@b.de\",\"password\":\"pppp\",\"meta\":{\"a\":1},"
                                "\"password_confirmation\":\"qqqq\",\"username\":\"ann\",\"door\":\"x\"}}"),
                           &fields, &request));
    is_text(request.email, "a@b.de");
    is_text(request.password, "pppp");
    is_text(request.password_confirm, "qqqq");
    is_text(request.username, "ann");
    is_text(request.meta, NULL);
    is_text(request.door, NULL);
    cr_assert_eq(fields.n_wrong, 0);
}

Test(ash, what_a_registration_lacks_is_blank_but_for_the_user_name)
{
    struct fields fields = {0};
    struct busi_sign_up_request request;
    cr_assert(ash_shape_register(user("{\"user\":{}}"), &fields, &request));
    is_text(request.email, "");
    is_text(request.password, "");
    is_text(request.password_confirm, "");
    is_text(request.username, NULL);
    cr_assert_eq(fields.n_wrong, 0);
}

Test(ash, other_types_are_refused_by_their_fields)
{
    struct fields fields = {0};
    struct busi_sign_up_request request;
    struct busi_call call = {0};
    cr_assert(ash_shape_register(user("{\"user\":{\"email\":1,\"password\":[],\"password_confirmation\":{},"
                                      "\"username\":true}}"),
                                 &fields, &request));
    cr_assert_not(fields_fine(&fields, &call));
    cr_assert_eq(call.n_violations, 4);
    is_text(call.violations[0].field, "email");
    is_text(call.violations[3].field, "password_confirm");
}

Test(ash, without_a_user_there_is_nothing_to_ask)
{
    static const char *const bodies[] = {"{}",
                                         "{\"user\":null}",
                                         "{\"user\":1}",
                                         "{\"user\":\"a\"}",
                                         "{\"user\":[]}",
                                         "[{\"user\":{}}]",
                                         "{\"email\":\"a@b.de\",\"password\":\"pppp\"}"};
    struct fields fields = {0};
    struct busi_sign_up_request sign_up;
    struct busi_sign_in_request sign_in;
    struct busi_account_name_request account;
    struct busi_finish_reset_request reset;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        cr_expect_not(ash_shape_register(user(bodies[i]), &fields, &sign_up), "%s", bodies[i]);
        cr_expect_not(ash_shape_sign_in(user(bodies[i]), &sign_in), "%s", bodies[i]);
        cr_expect_not(ash_shape_account(user(bodies[i]), &account), "%s", bodies[i]);
        cr_expect_not(ash_shape_reset(user(bodies[i]), &fields, &reset), "%s", bodies[i]);
    }
}

Test(ash, a_sign_in_needs_two_texts)
{
    struct busi_sign_in_request request;
    cr_assert(ash_shape_sign_in(user("{\"user\":{\"email\":\"a@b.de\",\"password\":\"p\"}}"), &request));
    is_text(request.login, "a@b.de");
    is_text(request.password, "p");
    cr_assert_not(ash_shape_sign_in(user("{\"user\":{\"email\":\"a@b.de\"}}"), &request));
    cr_assert_not(ash_shape_sign_in(user("{\"user\":{\"email\":\"\",\"password\":\"p\"}}"), &request));
    cr_assert_not(ash_shape_sign_in(user("{\"user\":{\"email\":\"a\",\"password\":{}}}"), &request));
}

Test(ash, a_reset_needs_its_token)
{
    struct fields fields = {0};
    struct busi_finish_reset_request request;
    cr_assert(
        ash_shape_reset(user("{\"user\":{\"reset_token\":\"t\",\"password\":\"p\"}}"), &fields, &request));
    is_text(request.secret, "t");
    is_text(request.password, "p");
    is_text(request.password_confirm, "");
    cr_assert_not(ash_shape_reset(user("{\"user\":{\"password\":\"p\"}}"), &fields, &request));
    cr_assert_not(
        ash_shape_reset(user("{\"user\":{\"reset_token\":7,\"password\":\"p\"}}"), &fields, &request));
}

Test(ash, a_text_far_too_long_is_cut_between_characters)
{
    struct busi_account_name_request request;
    size_t n = FIELDS_LOGIN_MOST + 64;
    char *json = busi_arena_alloc(&arena, n + 64);
    int at = sprintf(json, "{\"user\":{\"email\":\"x");
    while ((size_t)at < n)
        at += sprintf(json + at, "\u00e4");
    sprintf(json + at, "\"}}");
    cr_assert(ash_shape_account(user(json), &request));
    cr_assert(request.name.len <= FIELDS_LOGIN_MOST && request.name.len > FIELDS_LOGIN_MOST - 4);
    cr_assert_eq(request.name.len % 2, 1); /* the x and whole characters of two bytes */
}
