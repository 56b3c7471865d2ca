/* Bodies and queries as one tree: what is read, what is refused, and that jansson agrees about JSON. */
#include "base/clock.h"
#include "params/params.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct busi_arena arena;
static struct param *root;

static void init(void)
{
    busi_arena_init(&arena, 64 << 20);
}

static void fini(void)
{
    busi_arena_fini(&arena);
}

TestSuite(params, .init = init, .fini = fini);

/* ---- a tree as text, to compare with: {a:1,b:[x,null],c:true} ---- */

static char shown[8192];
static size_t shown_len;

static void show_text(const char *text, size_t n)
{
    cr_assert(shown_len + n < sizeof(shown));
    memcpy(shown + shown_len, text, n);
    shown[shown_len += n] = 0;
}

static void show_node(const struct param *node)
{
    switch (node->type) {
    case PARAM_NULL:
        show_text("null", 4);
        break;
    case PARAM_BOOL:
        show_text(node->number ? "true" : "false", node->number ? 4 : 5);
        break;
    case PARAM_INT:
    case PARAM_REAL:
        show_text(node->type == PARAM_INT ? "#" : "~", 1);
        show_text(node->text.ptr, node->text.len);
        break;
    case PARAM_TEXT:
        show_text(node->text.ptr, node->text.len);
        break;
    case PARAM_LIST:
    case PARAM_OBJECT:
        show_text(node->type == PARAM_LIST ? "[" : "{", 1);
        for (const struct param *child = node->children; child; child = child->next) {
            if (child != node->children)
                show_text(",", 1);
            if (node->type == PARAM_OBJECT) {
                show_text(child->name.ptr, child->name.len);
                show_text(":", 1);
            }
            show_node(child);
        }
        show_text(node->type == PARAM_LIST ? "]" : "}", 1);
    }
}

static const char *show(void)
{
    shown_len = 0;
    shown[0] = 0;
    show_node(root);
    return shown;
}

static struct busi_str str(const char *text)
{
    return busi_str_of(text);
}

/* ---- JSON ---- */

struct json_case {
    const char *body;
    const char *tree; /* NULL: refused with status */
    int status;
};

static void expect_json(const struct json_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        enum param_verdict verdict = params_json(&arena, str(cases[i].body), &root);
        int want = cases[i].tree ? 200 : cases[i].status;
        cr_expect((int)verdict == want, "%d instead of %d for %s", verdict, want, cases[i].body);
        if (verdict == PARAMS_OK && cases[i].tree)
            cr_expect_str_eq(show(), cases[i].tree);
    }
}
#define EXPECT_JSON(...)                                                                                     \
    do {                                                                                                     \
        static const struct json_case cases[] = {__VA_ARGS__};                                               \
        expect_json(cases, sizeof(cases) / sizeof(cases[0]));                                                \
    } while (0)

Test(params, json_accepted)
{
    EXPECT_JSON(
        {"", "{}", 0}, {"{}", "{}", 0}, {" \t\r\n{ } \n", "{}", 0}, {"[]", "{_json:[]}", 0},
        {"[ ]", "{_json:[]}", 0}, {"1", "{_json:#1}", 0}, {"\"x\"", "{_json:x}", 0},
        {"null", "{_json:null}", 0}, {"true", "{_json:true}", 0}, {"false", "{_json:false}", 0},
        {"{\"\":0}", "{:#0}", 0},
        {"{\"a\":\"b\",\"c\":{\"d\":[1,2.5,null]}}", "{a:b,c:{d:[#1,~2.5,null]}}", 0},
        {"{ \"a\" : [ 1 , [ ] , { } ] }", "{a:[#1,[],{}]}", 0},
        {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "{_json:[\"\\/\b\f\n\r\t]}", 0},
        {"[\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"]", "{_json:[A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80]}", 0},
        {"[\"\x7f\"]", "{_json:[\x7f]}", 0},
        {"[\"\xef\xbf\xbf\xee\x80\x80\"]", "{_json:[\xef\xbf\xbf\xee\x80\x80]}", 0},
        {"[\"\\uFFFE\\uFDD0\"]", "{_json:[\xef\xbf\xbe\xef\xb7\x90]}", 0},
        {"{\"\\u0061\":1,\"b\":2}", "{a:#1,b:#2}", 0},
        {"[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", "{_json:[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", 0});
}

Test(params, json_numbers)
{
    EXPECT_JSON(
        {"[0,-0,1,-1,10]", "{_json:[#0,#-0,#1,#-1,#10]}", 0},
        {"[9007199254740993]", "{_json:[#9007199254740993]}", 0},
        {"[9223372036854775807]", "{_json:[#9223372036854775807]}", 0},
        {"[-9223372036854775808]", "{_json:[#-9223372036854775808]}", 0},
        {"[9223372036854775808]", NULL, 400}, {"[-9223372036854775809]", NULL, 400},
        {"[1E5,1e+5,1e-5,0.5,-0.0,123.456e78]", "{_json:[~1E5,~1e+5,~1e-5,~0.5,~-0.0,~123.456e78]}", 0},
        {"[1e-400]", "{_json:[~1e-400]}", 0}, {"[1e309]", NULL, 400}, {"[-1e999]", NULL, 400},
        {"[01]", NULL, 400}, {"[-01]", NULL, 400}, {"[+1]", NULL, 400}, {"[.5]", NULL, 400},
        {"[1.]", NULL, 400}, {"[-]", NULL, 400}, {"[1e]", NULL, 400}, {"[1e+]", NULL, 400},
        {"[0x1]", NULL, 400}, {"[1_0]", NULL, 400}, {"[NaN]", NULL, 400}, {"[Infinity]", NULL, 400},
        {"[-Infinity]", NULL, 400}, {"[1 2]", NULL, 400},
        {"[-0.00000000000000000000000000000000000000000000000000000000000000000000000000001]",
         "{_json:[~-0.00000000000000000000000000000000000000000000000000000000000000000000000000001]}", 0});
    cr_assert(params_json(&arena, str("[-9223372036854775808]"), &root) == PARAMS_OK);
    cr_expect(root->children->children->number == INT64_MIN);
    char many[2003] = "[1";
    memset(many + 2, '1', 1999);
    many[2001] = ']';
    cr_expect(params_json(&arena, str(many), &root) == PARAMS_BAD);
    many[2] = '.';
    cr_expect(params_json(&arena, str(many), &root) == PARAMS_BAD);
}

Test(params, json_refused)
{
    EXPECT_JSON(
        {" ", NULL, 400}, {"{", NULL, 400}, {"}", NULL, 400}, {"[", NULL, 400}, {"]", NULL, 400},
        {"{]", NULL, 400}, {"[}", NULL, 400}, {"[1,]", NULL, 400}, {"[,1]", NULL, 400}, {"[1,,2]", NULL, 400},
        {"[,]", NULL, 400}, {"{,}", NULL, 400}, {"{\"a\":1,}", NULL, 400}, {"{\"a\"}", NULL, 400},
        {"{\"a\":}", NULL, 400}, {"{\"a\" 1}", NULL, 400}, {"{\"a\":1 \"b\":2}", NULL, 400},
        {"{:1}", NULL, 400}, {"{a:1}", NULL, 400}, {"{1:1}", NULL, 400}, {"{'a':1}", NULL, 400},
        {"['a']", NULL, 400}, {"{}{}", NULL, 400}, {"{} x", NULL, 400}, {"[]]", NULL, 400},
        {"[1]//c", NULL, 400}, {"/*c*/[1]", NULL, 400}, {"[TRUE]", NULL, 400}, {"[nul]", NULL, 400},
        {"[tru]", NULL, 400}, {"[truee]", NULL, 400}, {"[\"", NULL, 400}, {"[\"\\", NULL, 400},
        {"[\"\\\"", NULL, 400}, {"[\"a]", NULL, 400}, {"[\"\\x\"]", NULL, 400}, {"[\"\\u12\"]", NULL, 400},
        {"[\"\\u12g4\"]", NULL, 400}, {"[\"\\U0041\"]", NULL, 400}, {"[\"\\u\"]", NULL, 400},
        {"[\"\\u0000\"]", NULL, 400}, {"{\"\\u0000\":1}", NULL, 400}, {"[\"\\ud800\"]", NULL, 400},
        {"[\"\\udc00\"]", NULL, 400}, {"[\"\\ud800\\ud800\"]", NULL, 400}, {"[\"\\ud800\\n\"]", NULL, 400},
        {"[\"\\ud800x\"]", NULL, 400}, {"[\"\t\"]", NULL, 400}, {"[\"\n\"]", NULL, 400},
        {"[\"\x01\"]", NULL, 400}, {"\xef\xbb\xbf{}", NULL, 400}, {"\xff\xfe{", NULL, 400},
        {"\xfe\xff", NULL, 400}, {"[\f]", NULL, 400}, {"[\xc2\xa0]", NULL, 400},
        {"[\xe2\x81\xa0]", NULL, 400}, {"nul", NULL, 400}, {"-", NULL, 400}, {"{\"a\":1,\"a\":2}", NULL, 400},
        {"{\"a\":1,\"\\u0061\":2}", NULL, 400}, {"{\"a\":{\"b\":1,\"b\":1}}", NULL, 400},
        {"[{\"a\":1,\"a\":1}]", NULL, 400}, {"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", NULL, 400});
    cr_expect(params_json(&arena, (struct busi_str){"[\"a\0b\"]", 7}, &root) == PARAMS_BAD);
    cr_expect(params_json(&arena, (struct busi_str){"{}\0", 3}, &root) == PARAMS_BAD);
}

Test(params, json_not_utf8)
{
    EXPECT_JSON({"[\"\xff\"]", NULL, 415}, {"[\"\xc0\xaf\"]", NULL, 415}, {"[\"\xed\xa0\x80\"]", NULL, 415},
                {"[\"\xf4\x90\x80\x80\"]", NULL, 415}, {"[\"\xe2\x82\"]", NULL, 415},
                {"[\"\x80\"]", NULL, 415}, {"\xe9", NULL, 415});
}

/* n times text between before and after. */
static struct busi_str repeat(const char *before, const char *text, size_t n, const char *after)
{
    size_t one = strlen(text), len = 0;
    char *out = busi_arena_alloc(&arena, strlen(before) + n * one + strlen(after) + 1);
    cr_assert(out);
    len += (size_t)sprintf(out, "%s", before);
    for (size_t i = 0; i < n; i++, len += one)
        memcpy(out + len, text, one);
    len += (size_t)sprintf(out + len, "%s", after);
    return (struct busi_str){out, len};
}

static struct busi_str numbered(size_t n)
{
    char *out = busi_arena_alloc(&arena, n * 24 + 3), *at = out;
    cr_assert(out);
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "%c\"key%06zu\":%zu", i ? ',' : '{', i, i);
    *at++ = '}';
    return (struct busi_str){out, (size_t)(at - out)};
}

Test(params, json_bounds)
{
    cr_expect(params_json(&arena, repeat("", "[", 100000, ""), &root) == PARAMS_BAD);
    cr_expect(params_json(&arena, repeat("", "{\"a\":", 100000, ""), &root) == PARAMS_BAD);
    cr_expect(params_json(&arena, repeat("[", "0,", 4094, "0]"), &root) == PARAMS_OK);
    cr_expect(params_json(&arena, repeat("[", "0,", 4095, "0]"), &root) == PARAMS_BAD);
    cr_expect(params_json(&arena, numbered(4095), &root) == PARAMS_OK);
    cr_expect(params_json(&arena, numbered(4096), &root) == PARAMS_BAD);
    struct busi_str twice = numbered(4000);
    memcpy((char *)(uintptr_t)twice.ptr + 2, "key003999", 9);
    cr_expect(params_json(&arena, twice, &root) == PARAMS_BAD);
    cr_expect(params_json(&arena, repeat("[\"", "x", 1000000, "\"]"), &root) == PARAMS_OK);
    cr_expect(root->children->children->text.len == 1000000);
    cr_expect(params_json(&arena, repeat("[\"", "\\u00e9", 100000, "\"]"), &root) == PARAMS_OK);
    cr_expect(root->children->children->text.len == 200000);
}

Test(params, json_members_are_found)
{
    cr_assert(params_json(&arena, str("{\"user\":{\"email\":\"a@b\",\"n\":7}}"), &root) == PARAMS_OK);
    const struct param *user = param_find(root, "user");
    cr_assert(user && user->type == PARAM_OBJECT);
    cr_expect(busi_str_eq(param_find(user, "email")->text, str("a@b")));
    cr_expect(param_find(user, "n")->number == 7);
    cr_expect_null(param_find(user, "emai"));
    cr_expect_null(param_find(param_find(user, "n"), "x"));
    cr_expect_null(param_find(NULL, "x"));
}

/* ---- forms ---- */

static void expect_form(const char *body, const char *tree)
{
    enum param_verdict verdict = params_form(&arena, str(body), &root);
    cr_expect(verdict == PARAMS_OK, "%d for %s", verdict, body);
    if (verdict == PARAMS_OK)
        cr_expect_str_eq(show(), tree, "%s gives %s instead of %s", body, shown, tree);
}

static void expect_form_refused(const char *body, enum param_verdict want)
{
    enum param_verdict verdict = params_form(&arena, str(body), &root);
    cr_expect(verdict == want, "%d instead of %d for %s", verdict, want, body);
}

Test(params, form_fields)
{
    expect_form("", "{}");
    expect_form("&&", "{}");
    expect_form("a=b&c=d", "{a:b,c:d}");
    expect_form("a=b=c", "{a:b=c}");
    expect_form("a", "{a:null}");
    expect_form("a=", "{a:}");
    expect_form("=b", "{:b}");
    expect_form("a=b+c%20d%2B%26", "{a:b c d+&}");
    expect_form("n%C3%A9=%E2%82%AC", "{n\xc3\xa9:\xe2\x82\xac}");
    expect_form("a=1&a=2", "{a:2}");
    expect_form("a;b=1", "{a;b:1}");
}

/* What Plug.Conn.Query.decode gives for the same. */
Test(params, form_nesting)
{
    expect_form("business[name]=x&business[tag]=y", "{business:{name:x,tag:y}}");
    expect_form("business%5Bname%5D=x", "{business:{name:x}}");
    expect_form("a[b][c]=1&a[b][d]=2", "{a:{b:{c:1,d:2}}}");
    expect_form("a[]=1&a[]=2", "{a:[1,2]}");
    expect_form("a[][b]=1&a[][b]=2", "{a:[{b:1},{b:2}]}");
    expect_form("a[b][]=1&a[b][]=2", "{a:{b:[1,2]}}");
    expect_form("a[]", "{a:[]}");
    expect_form("a[]=", "{a:[]}"); /* one empty text */
    cr_expect(root->children->children && root->children->children->type == PARAM_TEXT);
    expect_form("a[b]=1&a[b]=2", "{a:{b:2}}");
    expect_form("a=1&a[b]=2", "{a:{b:2}}");
    expect_form("a[b]=1&a=2", "{a:{b:1}}");
    expect_form("a]=1", "{a:1}");
    expect_form("a[=1", "{a[:1}");
    expect_form("[]=1&]=2&]", "{}");
    expect_form("[a]=1", "{}");
    expect_form("a[b=1", "{a[b:1}");
    expect_form("a[b]c]=1", "{a:{b]c:1}}");
    expect_form("a[[b]=1", "{a:{[b:1}}");
}

Test(params, form_refused)
{
    expect_form_refused("%", PARAMS_BAD);
    expect_form_refused("a=%", PARAMS_BAD);
    expect_form_refused("a=%4", PARAMS_BAD);
    expect_form_refused("%G1=1", PARAMS_BAD);
    expect_form_refused("a=%4G", PARAMS_BAD);
    expect_form_refused("a=%00", PARAMS_BAD);
    expect_form_refused("a%00=1", PARAMS_BAD);
    expect_form_refused("a=\xff", PARAMS_BAD_UTF8);
    expect_form_refused("a=%FF", PARAMS_BAD_UTF8);
    expect_form_refused("%C0%AF=1", PARAMS_BAD_UTF8);
    cr_expect(params_form(&arena, (struct busi_str){"a=b\0cd", 6}, &root) == PARAMS_BAD);
    cr_expect(params_form(&arena, repeat("a", "[b]", 15, "=1"), &root) == PARAMS_OK);
    cr_expect(params_form(&arena, repeat("a", "[b]", 16, "=1"), &root) == PARAMS_BAD);
    cr_expect(params_form(&arena, repeat("", "a=1&", 511, "a=1"), &root) == PARAMS_OK);
    cr_expect(params_form(&arena, repeat("", "a=1&", 512, "a=1"), &root) == PARAMS_BAD);
}

Test(params, form_time_is_bounded)
{
    int64_t begun = busi_now_ms();
    cr_expect(params_form(&arena, repeat("", "a&", 500000, ""), &root) == PARAMS_BAD);
    cr_expect(params_form(&arena, repeat("", "a", 1000000, "=1"), &root) == PARAMS_OK);
    cr_expect(params_form(&arena, repeat("", "%61", 300000, "=1"), &root) == PARAMS_OK);
    cr_expect(params_form(&arena, repeat("a", "[", 1000000, "]=1"), &root) == PARAMS_OK);
    cr_expect(params_form(&arena, repeat("a", "][", 300000, "]=1"), &root) == PARAMS_BAD);
    cr_expect(busi_now_ms() - begun < 500);
}

/* ---- multipart ---- */

#define TYPE "multipart/form-data; boundary=x"
#define FIELD(name, value) "--x\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define END "--x--\r\n"

static enum param_verdict read_multipart(const char *type, const char *body)
{
    return params_multipart(&arena, str(body), str(type), &root);
}

static void expect_multipart(const char *type, const char *body, const char *tree)
{
    enum param_verdict verdict = read_multipart(type, body);
    cr_expect(verdict == PARAMS_OK, "%d for %s", verdict, body);
    if (verdict == PARAMS_OK)
        cr_expect_str_eq(show(), tree);
}

Test(params, multipart_fields)
{
    expect_multipart(TYPE, END, "{}");
    expect_multipart(TYPE, FIELD("a", "1") FIELD("b[c]", "2") END, "{a:1,b:{c:2}}");
    expect_multipart(TYPE, FIELD("a", "1") FIELD("a", "2") "--x--", "{a:2}");
    expect_multipart(TYPE, FIELD("a", "") END, "{a:}");
    expect_multipart(TYPE, "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n--x--", "{a:}");
    expect_multipart(TYPE, "preamble\r\n" FIELD("a", "1\r\n--y\r\n2") END "epilogue", "{a:1\r\n--y\r\n2}");
    expect_multipart(TYPE,
                     "--x \t\r\ncontent-disposition:form-data;name=\"a\\\"b\"\r\nX: y\r\nContent-Type: "
                     "text/plain\r\n\r\n1\r\n--x--",
                     "{a\"b:1}");
    expect_multipart(
        "Multipart/Form-Data; charset=utf-8; boundary=\"a b'()+_,-./:=?c\"",
        "--a b'()+_,-./:=?c\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--a b'()+_,-./:=?c--",
        "{a:1}");
    expect_multipart(
        TYPE,
        "--x\r\nContent-Disposition: form-data; name=f; filename=\"../../x\"\r\n\r\n\xff\r\n" FIELD("a", "1")
            END,
        "{a:1}");
    expect_multipart(TYPE, "--x\r\nContent-Disposition: form-data; name=f; filename=\"\"\r\n\r\n\r\n" END,
                     "{}");
}

Test(params, multipart_refused)
{
    static const char good[] = FIELD("a", "1") END;
    cr_expect(read_multipart("multipart/form-data", good) == PARAMS_BAD);
    cr_expect(read_multipart("multipart/form-data; boundary=", good) == PARAMS_BAD);
    cr_expect(read_multipart("multipart/form-data; boundary=\"\"", good) == PARAMS_BAD);
    cr_expect(read_multipart("multipart/form-data; boundary=\"x", good) == PARAMS_BAD);
    cr_expect(read_multipart("multipart/form-data; boundary=\"x \"", good) == PARAMS_BAD);
    cr_expect(read_multipart("multipart/form-data; boundary=\"x@\"", good) == PARAMS_BAD);
    cr_expect(read_multipart("multipart/form-data; boundary=x; boundary=y", good) == PARAMS_BAD);
    cr_expect(
        read_multipart("multipart/form-data; "
                       "boundary=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                       good) == PARAMS_BAD);
    static const char *const bodies[] = {
        "",
        "no delimiter",
        "--x",
        "--x\r\n",
        FIELD("a", "1"),
        FIELD("a", "1") "--x-",
        "--x\nContent-Disposition: form-data; name=a\n\n1\n--x--",
        "--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n" END,
        "--x\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n" END,
        "--x\r\nContent-Type: text/plain\r\n\r\n1\r\n" END,
        "--x\r\n\r\n1\r\n" END,
        "--x\r\nno colon\r\n\r\n1\r\n" END,
        "--x\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; "
        "name=b\r\n\r\n1\r\n" END,
        "--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: multipart/mixed; "
        "boundary=y\r\n\r\n1\r\n" END,
        "--x\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n1\r\n" END,
        "--xy\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n" END};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        cr_expect(read_multipart(TYPE, bodies[i]) == PARAMS_BAD, "case %zu", i);
    cr_expect(read_multipart(TYPE, FIELD("a", "\xff") END) == PARAMS_BAD_UTF8);
    cr_expect(read_multipart(TYPE, FIELD("\xff", "a") END) == PARAMS_BAD_UTF8);
}

Test(params, multipart_bounds)
{
    static const char part[] = FIELD("a", "1");
    int64_t begun = busi_now_ms();
    cr_expect(params_multipart(&arena, repeat("", part, 64, END), str(TYPE), &root) == PARAMS_OK);
    cr_expect(params_multipart(&arena, repeat("", part, 65, END), str(TYPE), &root) == PARAMS_BAD);
    cr_expect(params_multipart(&arena, repeat("", part, 10000, END), str(TYPE), &root) == PARAMS_BAD);
    cr_expect(params_multipart(&arena, repeat("", "p", 1 << 20, ""), str(TYPE), &root) == PARAMS_BAD);
    cr_expect(params_multipart(&arena, repeat("", "\r\n--", 1 << 18, END), str(TYPE), &root) == PARAMS_BAD);
    cr_expect(params_multipart(&arena, repeat("--x\r\n", "A: b\r\n", 100000, "\r\n" END), str(TYPE), &root) ==
              PARAMS_BAD);
    cr_expect(busi_now_ms() - begun < 500);
}

/* ---- by Content-Type ---- */

Test(params, body_by_type)
{
    static const struct {
        const char *type, *body, *tree; /* tree NULL: 415 */
    } cases[] = {{"application/json", "{\"a\":1}", "{a:#1}"},
                 {" Application/JSON ; charset=UTF-8", "{\"a\":1}", "{a:#1}"},
                 {"application/vnd.api+json", "{\"a\":1}", "{a:#1}"},
                 {"application/problem+JSON; x=\"y;z\"", "{\"a\":1}", "{a:#1}"},
                 {"application/json; charset=utf-16", "{\"a\":1}", NULL},
                 {"application/x-www-form-urlencoded", "a=1", "{a:1}"},
                 {"application/x-www-form-urlencoded; charset=latin1", "a=1", NULL},
                 {TYPE, FIELD("a", "1") END, "{a:1}"},
                 {"application/jsonx", "{\"a\":1}", "{}"},
                 {"application/+json", "{\"a\":1}", "{}"},
                 {"text/plain", "a=1", "{}"},
                 {"text/x+json", "{\"a\":1}", "{}"},
                 {"multipart/mixed; boundary=x", FIELD("a", "1") END, "{}"},
                 {"", "a=1", "{}"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum param_verdict verdict = params_body(&arena, str(cases[i].body), str(cases[i].type), &root);
        cr_expect((int)verdict == (cases[i].tree ? 200 : 415), "%d for %s", verdict, cases[i].type);
        if (verdict == PARAMS_OK && cases[i].tree)
            cr_expect_str_eq(show(), cases[i].tree, "%s gives %s", cases[i].type, shown);
    }
    cr_expect(params_body(&arena, (struct busi_str){0}, (struct busi_str){0}, &root) == PARAMS_OK);
    cr_expect_str_eq(show(), "{}");
    cr_expect(params_body(&arena, (struct busi_str){0}, str("application/json"), &root) == PARAMS_OK);
    cr_expect_str_eq(show(), "{}");
}

/* A full arena is a refusal, never a crash. */
Test(params, small_arenas)
{
    struct busi_str json = str("{\"a\":[\"\\u00e9\",{\"b\":\"x\"}],\"c\":1,\"d\":2}"),
                    form = str("a[b]=%41&c=d+e&f[]=1");
    for (size_t room = 0; room < 2000; room += 8) {
        struct busi_arena small;
        busi_arena_init(&small, room);
        enum param_verdict verdict = params_json(&small, json, &root);
        cr_expect(verdict == PARAMS_OK || verdict == PARAMS_BAD);
        busi_arena_fini(&small);
        verdict = params_form(&small, form, &root);
        cr_expect(verdict == PARAMS_OK || verdict == PARAMS_BAD);
        busi_arena_fini(&small);
        verdict = params_multipart(&small, str(FIELD("a", "1") END), str(TYPE), &root);
        cr_expect(verdict == PARAMS_OK || verdict == PARAMS_BAD);
        busi_arena_fini(&small);
    }
}
