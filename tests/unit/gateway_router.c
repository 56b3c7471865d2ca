#include "core/exchange.h"
#include "core/gateway.h"
#include "http/bearer.h"
#include "routing/accept.h"
#include <criterion/criterion.h>

static struct router make_router(const char *prefix, bool on)
{
    struct router router;
    struct router_options options = {.on = {[SURFACE_busi] = on},
                                     .prefix = {[SURFACE_busi] = busi_str_of(prefix)}};
    router_init(&router, &options);
    return router;
}

static struct route_match match(enum http_method method, const char *path)
{
    struct router router = make_router("", true);
    return router_match(&router, method, busi_str_of(path));
}

static void leads_to(enum http_method method, const char *path, const char *label)
{
    struct route_match found = match(method, path);
    cr_assert(found.route, "%s", path);
    cr_assert_str_eq(found.route->label, label);
}

static void leads_nowhere(enum http_method method, const char *path)
{
    cr_assert_null(match(method, path).route, "%s", path);
}

Test(router, finds_every_row)
{
    struct router router;
    struct router_options options = gateway_router_options(NULL);
    router_init(&router, &options);
    for (size_t i = 0; i < ROUTES; i++) {
        enum http_method method = (enum http_method)(routes[i].methods & ~(unsigned)HTTP_HEAD);
        struct route_match found = router_match(&router, method, busi_str_of(routes[i].path));
        cr_assert_eq(found.route, &routes[i], "%s", routes[i].label);
    }
}

/* Nobody would be told what it made, or that it did something. */
Test(router, head_makes_nothing_happen)
{
    static const char *const paths[] = {"/sign-out", "/system/auth/refresh-ticket", "/user/magic_link"};
    struct router router;
    struct router_options options = gateway_router_options(NULL);
    router_init(&router, &options);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct route_match found = router_match(&router, HTTP_HEAD, busi_str_of(paths[i]));
        cr_assert(!found.route && found.path, "%s", paths[i]);
        cr_assert_eq(found.methods, (unsigned)HTTP_GET);
        cr_assert(router_match(&router, HTTP_GET, busi_str_of(paths[i])).route);
    }
}

Test(router, no_two_rows_are_the_same_request)
{
    for (size_t i = 0; i < ROUTES; i++)
        for (size_t k = 0; k < i; k++)
            cr_assert(routes[i].surface != routes[k].surface || strcmp(routes[i].label, routes[k].label) != 0,
                      "%s", routes[i].label);
}

Test(router, slashes_and_head)
{
    leads_to(HTTP_GET, "/", "GET /");
    leads_to(HTTP_GET, "///", "GET /");
    leads_to(HTTP_GET, "//api///businesses//", "GET /api/businesses");
    leads_to(HTTP_POST, "/api/users/signup/", "POST /api/users/signup");
    leads_to(HTTP_HEAD, "/api/businesses", "GET /api/businesses");
    leads_to(HTTP_HEAD, "/", "GET /");
}

Test(router, takes_the_id_raw)
{
    cr_assert(busi_str_eq(match(HTTP_GET, "/api/businesses/12").id, BUSI_STR("12")));
    cr_assert(busi_str_eq(match(HTTP_PUT, "/api/businesses//%31/").id, BUSI_STR("%31")));
    cr_assert(busi_str_eq(match(HTTP_GET, "/api/businesses/new").id, BUSI_STR("new")));
    cr_assert_null(match(HTTP_GET, "/api/businesses").id.ptr);
}

Test(router, words_that_are_no_ids)
{
    struct router router;
    struct router_options options = {.on = {[SURFACE_guardian] = true}};
    router_init(&router, &options);
    cr_assert(busi_str_eq(router_match(&router, HTTP_GET, BUSI_STR("/api/users/sign")).id, BUSI_STR("sign")));
    cr_assert(router_match(&router, HTTP_DELETE, BUSI_STR("/api/users/signups")).route);
    cr_assert_null(router_match(&router, HTTP_GET, BUSI_STR("/api/users/signup")).path, "busi is off");
    cr_assert_null(router_match(&router, HTTP_DELETE, BUSI_STR("/api/users/signin")).path);
    cr_assert_null(router_match(&router, HTTP_PUT, BUSI_STR("/api/users//sign_in")).route);
    cr_assert(router_match(&router, HTTP_POST, BUSI_STR("/api/users/sign_in")).route);
}

Test(router, two_surfaces_share_a_folder)
{
    struct router router;
    struct router_options options = gateway_router_options(NULL);
    router_init(&router, &options);
    cr_assert_eq(router_match(&router, HTTP_POST, BUSI_STR("/api/users/signin")).route->surface,
                 SURFACE_busi);
    cr_assert_eq(router_match(&router, HTTP_POST, BUSI_STR("/api/users/sign_in")).route->surface,
                 SURFACE_guardian);
    cr_assert_eq(router_match(&router, HTTP_GET, BUSI_STR("/api/users/7")).route->surface, SURFACE_guardian);
    cr_assert_null(router_match(&router, HTTP_GET, BUSI_STR("/api/users/signin")).route);
    cr_assert_null(router_match(&router, HTTP_GET, BUSI_STR("/api/users/signup")).route);
}

Test(router, knows_a_path_whatever_the_method)
{
    struct route_match found = match(HTTP_OPTIONS, "/api/businesses/7");
    cr_assert_null(found.route);
    cr_assert(found.path);
    cr_assert_eq(found.path->limit, LIMIT_BUSINESS);
    cr_assert_null(match(HTTP_GET, "/nowhere").path);
}

Test(router, tells_every_method_of_a_path)
{
    cr_assert_eq(match(HTTP_OPTIONS, "/api/businesses").methods,
                 (unsigned)(HTTP_GET | HTTP_HEAD | HTTP_POST));
    cr_assert_eq(match(HTTP_POST, "/api/businesses/7").methods,
                 (unsigned)(HTTP_GET | HTTP_HEAD | HTTP_PUT | HTTP_PATCH | HTTP_DELETE));
    cr_assert_eq(match(HTTP_GET, "/nowhere").methods, 0u);
}

Test(router, refuses_everything_else)
{
    leads_nowhere(HTTP_GET, "");
    leads_nowhere(HTTP_GET, "api/businesses");
    leads_nowhere(HTTP_GET, "*");
    leads_nowhere(HTTP_GET, "/API/businesses");
    leads_nowhere(HTTP_GET, "/api/Businesses");
    leads_nowhere(HTTP_GET, "/api/%62usinesses");
    leads_nowhere(HTTP_GET, "/api");
    leads_nowhere(HTTP_GET, "/api/businesses/1/edit");
    leads_nowhere(HTTP_GET, "/api/users/signup");
    leads_nowhere(HTTP_DELETE, "/api/businesses");
    leads_nowhere(HTTP_POST, "/api/businesses/1");
    leads_nowhere(HTTP_OPTIONS, "/");
    leads_nowhere(HTTP_GET, "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a");
}

Test(router, stands_below_a_prefix_or_not_at_all)
{
    struct router below = make_router("/shop/v1", true), off = make_router("", false);
    cr_assert(router_match(&below, HTTP_GET, BUSI_STR("/shop/v1/api/businesses/3")).route);
    cr_assert(router_match(&below, HTTP_GET, BUSI_STR("/shop/v1")).route);
    cr_assert_null(router_match(&below, HTTP_GET, BUSI_STR("/api/businesses/3")).route);
    cr_assert_null(router_match(&off, HTTP_GET, BUSI_STR("/api/businesses/3")).path);
}

Test(router, prefixes)
{
    cr_assert(router_prefix_ok(BUSI_STR("")));
    cr_assert(router_prefix_ok(BUSI_STR("/a/b-2_C")));
    cr_assert_not(router_prefix_ok(BUSI_STR("/")));
    cr_assert_not(router_prefix_ok(BUSI_STR("/a/")));
    cr_assert_not(router_prefix_ok(BUSI_STR("//a")));
    cr_assert_not(router_prefix_ok(BUSI_STR("a")));
    cr_assert_not(router_prefix_ok(BUSI_STR("/:id")));
    cr_assert_not(router_prefix_ok(BUSI_STR("/a b")));
    cr_assert_not(router_prefix_ok(BUSI_STR("/a\r\nX: y")));
}

Test(router, table_of_routes)
{
    struct busi_buf out;
    struct router_options options = gateway_router_options(NULL);
    struct guard_rules rules = {0};
    busi_buf_init(&out, 65536);
    gateway_print_routes(&out, &options, &rules);
    busi_buf_char(&out, '\0');
    cr_assert_not(out.failed);
    const char *first = strstr(out.ptr, "busi  POST    /api/users/signup"), *put = strstr(out.ptr, "PUT ");
    cr_assert(first);
    cr_assert(put && put > first);
    cr_assert(strstr(out.ptr, "busi  GET     /  "));
    busi_buf_fini(&out);
}

static bool accepts_json(const char *header)
{
    return accept_allows(busi_str_of(header), BUSI_STR("application"), BUSI_STR("json"));
}

Test(accept, what_allows_json)
{
    cr_assert(accepts_json(""));
    cr_assert(accepts_json("*/*"));
    cr_assert(accepts_json("application/json"));
    cr_assert(accepts_json("APPLICATION/JSON; charset=utf-8"));
    cr_assert(accepts_json("application/*;q=0.1"));
    cr_assert(accepts_json("text/html, application/xhtml+xml , */*;q=0.8"));
    cr_assert(accepts_json("text/html;q=1,application/json;q=0.001"));
    cr_assert(accepts_json("*/*;q=0, application/json"));
}

Test(accept, what_does_not)
{
    cr_assert_not(accepts_json("text/html"));
    cr_assert_not(accepts_json("application/xml"));
    cr_assert_not(accepts_json("*/*;q=0"));
    cr_assert_not(accepts_json("*/*; Q=0.000"));
    cr_assert_not(accepts_json("application/json;q=0, */*"));
    cr_assert_not(accepts_json("application/*;q=0, */*;q=1"));
    cr_assert_not(accepts_json("json"));
    cr_assert_not(accepts_json("*/json"));
    cr_assert_not(accepts_json("application/jsonp"));
}

Test(accept, format_wins_over_the_header)
{
    struct http_request request = {.headers = {{BUSI_STR("Accept"), BUSI_STR("text/html")}}, .n_headers = 1};
    cr_assert(accept_request(&request, BUSI_STR("json"), ACCEPT_JSON));
    cr_assert_not(accept_request(&request, BUSI_STR("html"), ACCEPT_JSON));
    cr_assert_not(accept_request(&request, (struct busi_str){0}, ACCEPT_JSON));
    cr_assert(accept_request(&request, (struct busi_str){0}, ACCEPT_HTML));
    cr_assert_not(accept_request(&request, BUSI_STR("json"), ACCEPT_HTML));
    cr_assert(accept_request(&request, BUSI_STR("xml"), ACCEPT_ANY));
}

static bool prefers_page(const char *header)
{
    const struct http_request request = {.headers = {{BUSI_STR("Accept"), busi_str_of(header)}},
                                         .n_headers = 1};
    return accept_prefers_page(&request);
}

Test(accept, browsers_prefer_pages)
{
    cr_expect(prefers_page("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"));
    cr_expect(prefers_page("text/html"));
    cr_expect(prefers_page("text/html, application/json;q=0"));
    cr_expect_not(prefers_page(""));
    cr_expect_not(prefers_page("*/*"));
    cr_expect_not(prefers_page("text/*"));
    cr_expect_not(prefers_page("application/json, text/plain, */*"));
    cr_expect_not(prefers_page("text/html, application/json"));
    cr_expect_not(prefers_page("text/html;q=0, */*"));
}

static void carries(const char *header, const char *token)
{
    struct busi_str found = bearer_token(busi_str_of(header));
    cr_assert(busi_str_eq(found, busi_str_of(token)), "%s", header);
    cr_assert_eq(found.ptr == NULL, token == NULL, "%s", header);
}

Test(bearer, tokens)
{
    carries("Bearer abc", "abc");
    carries("bEARER abc", "abc");
    carries("Bearer: abc", "abc");
    carries("Bearer    abc  ", "abc");
    carries("Bearer a b", "a b");
    carries("", NULL);
    carries("Bearer", NULL);
    carries("Bearer ", NULL);
    carries("Bearer:", NULL);
    carries("Bearer:abc", NULL);
    carries("Bearerabc", NULL);
    carries("Basic YTpi", NULL);
    carries("x Bearer abc", NULL);
}

Test(bearer, only_what_could_be_ours_is_asked_about)
{
    char large[BEARER_MOST + 1];
    memset(large, 'a', sizeof large);
    cr_assert(bearer_plausible(BUSI_STR("eyJ.a_b-c.D")));
    cr_assert(bearer_plausible((struct busi_str){large, BEARER_MOST}));
    cr_assert_not(bearer_plausible((struct busi_str){large, BEARER_MOST + 1}));
    cr_assert_not(bearer_plausible(BUSI_STR("a b")));
    cr_assert_not(bearer_plausible(BUSI_STR("a\xff")));
    cr_assert_not(bearer_plausible(BUSI_STR("a\0b")));
    cr_assert_not(bearer_plausible(BUSI_STR("")));
}

static void id_is(const char *text, enum id_verdict verdict)
{
    int64_t id = 0;
    cr_assert_eq(exchange_id(busi_str_of(text), &id), verdict, "%s", text);
}

Test(ids, canonical_or_bad_or_nobodys)
{
    int64_t id;
    cr_assert_eq(exchange_id(BUSI_STR("9223372036854775807"), &id), ID_OK);
    cr_assert_eq(id, INT64_MAX);
    id_is("1", ID_OK);
    id_is("0", ID_UNKNOWN);
    id_is("-1", ID_UNKNOWN);
    id_is("9223372036854775808", ID_UNKNOWN);
    id_is("-9223372036854775809", ID_UNKNOWN);
    id_is("99999999999999999999999999999999999999999999999999999999999999999999999999999", ID_UNKNOWN);
    id_is("", ID_BAD);
    id_is("-", ID_BAD);
    id_is("-0", ID_BAD);
    id_is("01", ID_BAD);
    id_is("+1", ID_BAD);
    id_is("1.0", ID_BAD);
    id_is("1e3", ID_BAD);
    id_is("%31", ID_BAD);
    id_is("new", ID_BAD);
    id_is("1 ", ID_BAD);
}

/* ---- paths that lead nowhere ---- */

static enum surface_id whose(const char *path)
{
    struct router router;
    const struct router_options options = {
        .on = {[SURFACE_busi] = true, [SURFACE_accesspass] = true, [SURFACE_ash] = true},
        .prefix = {[SURFACE_accesspass] = BUSI_STR("/auth/old"),
                   [SURFACE_ash] = BUSI_STR("/auth"),
                   [SURFACE_pages] = BUSI_STR("/pages")}};
    router_init(&router, &options);
    return router_match(&router, HTTP_GET, busi_str_of(path)).surface;
}

Test(router, a_path_of_no_row_belongs_to_the_surface_whose_prefix_it_stands_below)
{
    cr_expect_eq(whose("/auth"), SURFACE_ash);
    cr_expect_eq(whose("/auth/user/nothing"), SURFACE_ash);
    cr_expect_eq(whose("/auth//user"), SURFACE_ash);
    cr_expect_eq(whose("/auth/old/x"), SURFACE_accesspass);
    cr_expect_eq(whose("/auth/user/confirm"), SURFACE_ash);
    cr_expect_eq(whose("/authority"), SURFACE_busi);
    cr_expect_eq(whose("/"), SURFACE_busi);
    cr_expect_eq(whose("*"), SURFACE_busi);
    cr_expect_eq(whose("/pages/x"), SURFACE_busi); /* it is off */
}
