#include "core/credential.h"
#include "core/gateway.h"
#include "surfaces/accesspass_shape.h"
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

TestSuite(accesspass, .init = begin, .fini = end);

static struct fields body(const char *json)
{
    struct param *out = NULL;
    cr_assert_eq(params_json(&arena, busi_str_of(json), &out), PARAMS_OK, "%s", json);
    return (struct fields){.object = out};
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

Test(accesspass, a_token_record)
{
    struct busi_session_reply session = {
        .access_token = BUSI_STR("aaa"), .refresh_token = BUSI_STR("rrr"), .access_lifetime = 300};
    struct busi_buf out;
    busi_buf_init(&out, 4096);
    accesspass_shape_session(&out, &session);
    written(&out, "{\"ok\":{\"type\":\"basic\",\"refresh_token\":\"rrr\",\"refresh_expire_in\":0,"
                  "\"access_token\":\"aaa\",\"access_expire_in\":300}}");
}

Test(accesspass, whose_token_it_is)
{
    struct busi_principal who = {.user_code = BUSI_STR("ab1cd2"),
                                 .email_confirmed = true,
                                 .email = BUSI_STR("a@b.de"),
                                 .username = BUSI_STR("a\"b"),
                                 .meta = BUSI_STR("{\"role\":\"admin\"}")};
    struct busi_buf out;
    busi_buf_init(&out, 4096);
    accesspass_shape_principal(&out, &who);
    written(&out, "{\"ok\":{\"user_id\":\"ab1cd2\",\"email_confirmed\":true,\"email\":\"a@b.de\","
                  "\"username\":\"a\\\"b\",\"meta\":{\"role\":\"admin\"}}}");
}

Test(accesspass, who_has_neither_user_name_nor_meta)
{
    struct busi_principal who = {.user_code = BUSI_STR("ab1cd2"), .email = BUSI_STR("a@b.de")};
    struct busi_buf out;
    busi_buf_init(&out, 4096);
    accesspass_shape_principal(&out, &who);
    written(&out, "{\"ok\":{\"user_id\":\"ab1cd2\",\"email_confirmed\":false,\"email\":\"a@b.de\","
                  "\"username\":null,\"meta\":{}}}");
}

Test(accesspass, errors)
{
    struct http_response response = {0};
    busi_buf_init(&response.body, 4096);
    surface_accesspass.error(&response, 413);
    cr_assert_eq(response.status, 413);
    written(&response.body, "{\"error\":\"request entity too large\"}");
    surface_accesspass.unauthenticated(&response, TOKEN_MISSING);
    cr_assert_eq(response.status, 401);
    written(&response.body, "{\"error\":\"unauthorized\"}");
    struct busi_call call = {0};
    busi_call_refuse(&call, "email", BUSI_RULE_TAKEN, 0);
    surface_accesspass.invalid(&response, &call);
    cr_assert_eq(response.status, 400);
    written(&response.body, "{\"error\":{\"email\":[\"has already been taken\"]}}");
}

/* ---- requests ---- */

Test(accesspass, what_a_body_lacks_is_blank)
{
    struct fields fields = body("{\"password_reset_key\":\"x\",\"confirmed\":true}");
    struct busi_sign_up_request request;
    accesspass_shape_register(&arena, &fields, &request);
    is_text(request.door, "accesspass");
    is_text(request.email, "");
    is_text(request.password, "");
    is_text(request.password_confirm, "");
    is_text(request.username, "");
    is_text(request.meta, NULL);
    cr_assert_eq(fields.n_wrong, 0);
}

Test(accesspass, wrong_types_are_refused_by_the_name_clients_know)
{
    struct fields fields = body("{\"password_id\":1,\"new_password\":[],\"password_confirm\":{}}");
    struct busi_finish_reset_request request;
    struct busi_call call = {0};
    struct busi_buf out;
    accesspass_shape_change_password(&fields, &request);
    cr_assert_not(fields_fine(&fields, &call));
    struct http_response response = {0};
    busi_buf_init(&response.body, 4096);
    surface_accesspass.invalid(&response, &call);
    out = response.body;
    written(&out, "{\"error\":{\"password_id\":[\"is invalid\"],\"password\":[\"is invalid\"],"
                  "\"password_confirm\":[\"is invalid\"]}}");
}

static void meta_is_kept(const char *json, const char *want)
{
    struct fields fields = body(json);
    struct busi_sign_up_request request;
    accesspass_shape_register(&arena, &fields, &request);
    cr_assert_eq(fields.n_wrong, 0, "%s", json);
    is_text(request.meta, want);
}

Test(accesspass, meta_is_json_without_blanks)
{
    meta_is_kept("{\"meta\":{}}", "{}");
    meta_is_kept("{\"meta\":{ \"b\" : [ 1 , 2.50, -0, true, null, [], {} ], \"a\": {\"c\":\"\\u00e9\\n\"} }}",
                 "{\"b\":[1,2.50,-0,true,null,[],{}],\"a\":{\"c\":\"\xc3\xa9\\n\"}}");
    meta_is_kept("{\"meta\":{\"n\":9007199254740993,\"e\":1e3}}", "{\"n\":9007199254740993,\"e\":1e3}");
    meta_is_kept("{\"meta\":{\"\":\"\",\"\\\"\":{\"x\":{\"y\":[[[1]],2]}}}}",
                 "{\"\":\"\",\"\\\"\":{\"x\":{\"y\":[[[1]],2]}}}");
}

static void meta_is_refused(const char *json, enum busi_rule rule, int64_t limit)
{
    struct fields fields = body(json);
    struct busi_sign_up_request request;
    accesspass_shape_register(&arena, &fields, &request);
    cr_assert_eq(fields.n_wrong, 1, "%s", json);
    cr_assert_str_eq(fields.wrong[0].field, "meta");
    cr_assert_eq(fields.wrong[0].rule, rule);
    cr_assert_eq(fields.wrong[0].limit, limit);
    is_text(request.meta, "");
}

Test(accesspass, meta_is_an_object_of_some_size)
{
    static const char *const others[] = {"{\"meta\":null}", "{\"meta\":1}",  "{\"meta\":\"{}\"}",
                                         "{\"meta\":true}", "{\"meta\":[]}", "{\"meta\":1.5}"};
    char json[8192];
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        meta_is_refused(others[i], BUSI_RULE_INVALID, 0);
    snprintf(json, sizeof json, "{\"meta\":{\"a\":\"%*d\"}}", ACCESSPASS_META_MOST - 8, 1);
    struct fields fields = body(json);
    struct busi_sign_up_request request;
    accesspass_shape_register(&arena, &fields, &request);
    cr_assert_eq(request.meta.len, ACCESSPASS_META_MOST);
    snprintf(json, sizeof json, "{\"meta\":{\"a\":\"%*d\"}}", ACCESSPASS_META_MOST - 7, 1);
    meta_is_refused(json, BUSI_RULE_TOO_LONG, ACCESSPASS_META_MOST);
}

Test(accesspass, as_deep_as_a_body_may_be)
{
    char json[256] = "{\"meta\":{\"a\":", meta[256];
    for (int i = 0; i < PARAMS_MAX_DEPTH - 2; i++)
        strcat(json, "[");
    for (int i = 0; i < PARAMS_MAX_DEPTH - 2; i++)
        strcat(json, "]");
    strcpy(meta, json + strlen("{\"meta\":"));
    strcat(meta, "}");
    strcat(json, "}}");
    meta_is_kept(json, meta);
}

/* ---- where a token is ---- */

static enum credential_verdict find(const struct http_request *request, const char *header, const char *token)
{
    struct exchange x = {.request = (struct http_request *)(uintptr_t)request,
                         .surface = surface_get(SURFACE_accesspass)};
    struct busi_str found;
    enum credential_verdict verdict = credential_find(&x, busi_str_of(header), &found);
    if (verdict == CREDENTIAL_FOUND)
        cr_assert(busi_str_eq(found, busi_str_of(token)), "%.*s", BUSI_ARG(found));
    return verdict;
}

Test(credential, in_the_surfaces_header_first)
{
    struct http_request request = {.headers = {{BUSI_STR("Authorization"), BUSI_STR("Bearer two")},
                                               {BUSI_STR("Access-Token"), BUSI_STR("one")}},
                                   .n_headers = 2};
    cr_assert_eq(find(&request, "access-token", "one"), CREDENTIAL_FOUND);
    cr_assert_eq(find(&request, NULL, "two"), CREDENTIAL_FOUND);
    request.n_headers = 1;
    cr_assert_eq(find(&request, "access-token", "two"), CREDENTIAL_FOUND);
    request.n_headers = 0;
    cr_assert_eq(find(&request, "access-token", ""), CREDENTIAL_MISSING);
    cr_assert_eq(find(&request, NULL, ""), CREDENTIAL_MISSING);
}

Test(credential, the_surfaces_header_twice_counts_as_none)
{
    struct http_request request = {.headers = {{BUSI_STR("access-token"), BUSI_STR("one")},
                                               {BUSI_STR("access-token"), BUSI_STR("one")},
                                               {BUSI_STR("authorization"), BUSI_STR("Bearer two")}},
                                   .n_headers = 3};
    cr_assert_eq(find(&request, "access-token", ""), CREDENTIAL_MISSING);
    cr_assert_eq(find(&request, NULL, "two"), CREDENTIAL_FOUND);
}

Test(credential, what_could_be_none_of_ours)
{
    struct http_request request = {.headers = {{BUSI_STR("access-token"), BUSI_STR("")}}, .n_headers = 1};
    cr_assert_eq(find(&request, "access-token", ""), CREDENTIAL_INVALID);
    request.headers[0].value = BUSI_STR("a b");
    cr_assert_eq(find(&request, "access-token", ""), CREDENTIAL_INVALID);
    request.headers[0].value = BUSI_STR("\xc3\xa4");
    cr_assert_eq(find(&request, "access-token", ""), CREDENTIAL_INVALID);
}
