#include "params/params.h"
#include "surfaces/guardian_shape.h"
#include <criterion/criterion.h>

static struct busi_arena arena;
static struct busi_buf out;
static struct fields fields;

static void begin(void)
{
    busi_arena_init(&arena, 1024 * 1024);
    busi_buf_init(&out, 4096);
}

static void end(void)
{
    busi_buf_fini(&out);
    busi_arena_fini(&arena);
}

TestSuite(guardian, .init = begin, .fini = end);

static const struct param *json(const char *text)
{
    struct param *body;
    cr_assert_eq(params_json(&arena, busi_str_of(text), &body), PARAMS_OK);
    return body;
}

static void is(struct busi_str text, const char *expected)
{
    cr_assert(text.ptr && busi_str_eq(text, busi_str_of(expected)), "%.*s", BUSI_ARG(text));
}

static void wrote(const char *expected)
{
    is((struct busi_str){out.ptr, out.len}, expected);
    busi_buf_clear(&out);
}

Test(guardian, answers)
{
    struct guardian_user user = {7, BUSI_STR("a@b.cd"), {0}};
    guardian_shape_user(&out, &user, (struct busi_str){0});
    wrote("{\"data\":{\"id\":7,\"email\":\"a@b.cd\",\"username\":null}}");
    user.username = BUSI_STR("a\"b");
    guardian_shape_user(&out, &user, BUSI_STR("x.y.z"));
    wrote("{\"data\":{\"id\":7,\"email\":\"a@b.cd\",\"username\":\"a\\\"b\"},\"token\":\"x.y.z\"}");
    guardian_shape_token(&out, BUSI_STR("x.y.z"));
    wrote("{\"token\":\"x.y.z\"}");
}

Test(guardian, sign_up_flat_or_under_user)
{
    static const char *const bodies[] = {
        "{\"email\":\"a@b.cd\",\"password\":\"secret\",\"username\":\"ann\",\"roles\":\"root\"}",
        "{\"user\":{\"email\":\"a@b.cd\",\"password\":\"secret\",\"username\":\"ann\"},\"email\":\"other@b."
        "cd\"}"};
    for (size_t i = 0; i < 2; i++) {
        struct busi_sign_up_request request;
        cr_assert(guardian_shape_sign_up(json(bodies[i]), &fields, &request));
        is(request.door, "guardian");
        is(request.email, "a@b.cd");
        is(request.password, "secret");
        is(request.username, "ann");
        cr_assert_null(request.meta.ptr);
        cr_assert_eq(fields.n_wrong, 0u);
    }
}

Test(guardian, what_sign_up_lacks)
{
    struct busi_sign_up_request request;
    cr_assert(guardian_shape_sign_up(json("{}"), &fields, &request));
    cr_assert_null(request.email.ptr);
    cr_assert(
        guardian_shape_sign_up(json("{\"user\":{\"username\":\"\",\"email\":null}}"), &fields, &request));
    cr_assert_null(request.username.ptr, "an empty name is none");
    is(request.email, "");
    cr_assert(guardian_shape_sign_up(json("{\"username\":[]}"), &fields, &request));
    cr_assert_eq(fields.n_wrong, 1u);
    static const char *const bad[] = {"{\"user\":null}", "{\"user\":\"a\"}", "{\"user\":[{}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(guardian_shape_sign_up(json(bad[i]), &fields, &request), "%s", bad[i]);
}

Test(guardian, update_leaves_what_is_absent)
{
    struct busi_update_user_request request;
    cr_assert(guardian_shape_update(json("{\"user\":{\"username\":null,\"user_id\":9}}"), &fields, &request));
    is(request.username, "");
    cr_assert_null(request.email.ptr);
    cr_assert_null(request.password.ptr);
    cr_assert_eq(request.user_id, 0);
}

Test(guardian, sign_in_by_email_or_username)
{
    struct busi_sign_in_request request;
    cr_assert(guardian_shape_sign_in(json("{\"email\":\"a@b.cd\",\"password\":\"x\"}"), &request));
    is(request.login, "a@b.cd");
    cr_assert(guardian_shape_sign_in(json("{\"username\":\"ann\",\"password\":\"x\"}"), &request));
    is(request.login, "ann");
    is(request.password, "x");
    static const char *const bad[] = {"{}",
                                      "{\"email\":\"a\"}",
                                      "{\"password\":\"x\"}",
                                      "{\"email\":null,\"username\":\"ann\",\"password\":\"x\"}",
                                      "{\"email\":5,\"password\":\"x\"}",
                                      "{\"username\":\"ann\",\"password\":5}",
                                      "{\"user\":{\"username\":\"ann\",\"password\":\"x\"}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(guardian_shape_sign_in(json(bad[i]), &request), "%s", bad[i]);
}

Test(guardian, errors)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {{401, "{\"status\":\"unauthorized\"}"},
                {403, "{\"status\":\"forbidden\"}"},
                {429, "{\"status\":\"too many requests\"}"},
                {404, "{\"errors\":{\"detail\":\"Not Found\"}}"},
                {409, "{\"errors\":{\"detail\":\"Conflict\"}}"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_response response = {.body = out};
        surface_guardian.error(&response, rows[i].status);
        out = response.body;
        cr_assert_eq(response.status, rows[i].status);
        wrote(rows[i].body);
    }
}
