#include "core/json_object.h"
#include <criterion/criterion.h>

static bool valid(const char *text)
{
    return auth_json_object_valid(busi_str_of(text));
}

Test(json_object, objects_only)
{
    cr_assert(valid("{}"));
    cr_assert(valid("{\"role\":\"admin\",\"list\":[1,2.5,null,true,{\"[\":\"{{{{{{{{{{{{{{{{{{{{\"}]}"));
    cr_assert(!valid("") && !valid(NULL) && !valid("[]") && !valid("1") && !valid("{} {}") && !valid("{"));
    cr_assert(!valid("{\"a\":1,\"a\":2}"));
    cr_assert(!valid("{\"a\":1,\"\\u0061\":2}"));
}

Test(json_object, depth_is_bounded)
{
    char text[100 * 1000];
    memset(text, '[', sizeof text);
    cr_assert(!auth_json_object_valid((struct busi_str){text, sizeof text}));
    cr_assert(valid("{\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}"));
    cr_assert(!valid("{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}"));
}

static void expect_merged(const char *under, const char *over, const char *expected)
{
    struct busi_arena arena;
    busi_arena_init(&arena, 4096);
    struct busi_str merged = auth_json_object_merge(&arena, busi_str_of(under), busi_str_of(over));
    cr_assert(busi_str_eq(merged, busi_str_of(expected)), "%.*s", BUSI_ARG(merged));
    busi_arena_fini(&arena);
}

Test(json_object, the_later_wins)
{
    expect_merged("{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":[]}", "{\"a\":1,\"b\":3,\"c\":[]}");
    expect_merged(NULL, "{\"b\":3}", "{\"b\":3}");
    expect_merged(NULL, NULL, "{}");
    expect_merged("{}", "[]", NULL);
}
