#include "core/cors.h"
#include "core/exchange.h"
#include "core/gateway.h"
#include <criterion/criterion.h>

static struct gateway gateway;
static struct http_request request;
static struct http_response response;

static void begin(void)
{
    busi_call_init(&request.call, 1024 * 1024);
    struct busi_str bad;
    cr_assert(origins_init(&gateway.cors, BUSI_STR("https://app.example.com, http://localhost:3000"), &bad));
}

static void end(void)
{
    busi_call_fini(&request.call);
}

TestSuite(cors, .init = begin, .fini = end);

static bool reads(const char *list)
{
    struct origins cors;
    struct busi_str bad;
    return origins_init(&cors, busi_str_of(list), &bad);
}

Test(cors, origins_as_browsers_write_them)
{
    cr_assert(reads(""));
    cr_assert(reads("https://example.com"));
    cr_assert(reads(" http://127.0.0.1:8080 ,https://[2001:db8::1]:8443"));
    static const char *const bad[] = {"*",
                                      "null",
                                      "example.com",
                                      "//example.com",
                                      "https://",
                                      "https://:80",
                                      "https://example.com:",
                                      "https://example.com/",
                                      "https://Example.com",
                                      "HTTPS://example.com",
                                      "https://*.example.com",
                                      "https://user@example.com",
                                      "https://example.com?x",
                                      "ftp://example.com",
                                      "https://a.com,,https://b.com",
                                      "https://a.com https://b.com"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(reads(bad[i]), "%s", bad[i]);
}

Test(cors, not_too_many)
{
    char list[4096] = "";
    for (int i = 0; i < ORIGINS_MOST; i++)
        strcat(list, i ? ",https://a.com" : "https://a.com");
    cr_assert(reads(list));
    strcat(list, ",https://a.com");
    cr_assert_not(reads(list));
}

static const char *header_of(const char *name)
{
    for (size_t i = 0; i < response.n_headers; i++)
        if (busi_str_eq(response.headers[i].name, busi_str_of(name)))
            return response.headers[i].value.ptr;
    return "";
}

static bool ask(enum http_method method, const struct surface *surface, const char *origin)
{
    struct exchange x = {.gateway = &gateway, .request = &request, .response = &response, .surface = surface};
    response = (struct http_response){0};
    request.method = method;
    request.n_headers = 0;
    if (origin)
        request.headers[request.n_headers++] = (struct http_header){BUSI_STR("Origin"), busi_str_of(origin)};
    request.headers[request.n_headers++] =
        (struct http_header){BUSI_STR("Access-Control-Request-Method"), BUSI_STR("PUT")};
    bool answered = cors_preflight(&x, HTTP_GET | HTTP_HEAD | HTTP_PUT);
    cors_mark(&gateway.cors, surface, &request, &response);
    return answered;
}

Test(cors, asks_first)
{
    cr_assert(ask(HTTP_OPTIONS, &surface_busi, "http://localhost:3000"));
    cr_assert_eq(response.status, 204);
    cr_assert_str_eq(header_of("Access-Control-Allow-Methods"), "GET, HEAD, PUT");
    cr_assert_str_eq(header_of("Access-Control-Allow-Headers"),
                     "Authorization, Content-Type, Idempotency-Key, access-token, refresh-token");
    cr_assert(busi_str_starts(busi_str_of(header_of("Access-Control-Allow-Origin")),
                              BUSI_STR("http://localhost:3000")));
    cr_assert_str_eq(header_of("Vary"), "Origin");
    cr_assert_not(ask(HTTP_OPTIONS, &surface_busi, NULL));
    cr_assert_not(ask(HTTP_PUT, &surface_busi, "http://localhost:3000"));
    cr_assert_not(ask(HTTP_OPTIONS, &surface_pages, "http://localhost:3000"));
    cr_assert_not(ask(HTTP_OPTIONS, &surface_busi, "http://localhost:3001"));
    cr_assert_str_eq(header_of("Access-Control-Allow-Origin"), "");
}

Test(cors, marks_answers)
{
    ask(HTTP_GET, &surface_guardian, "https://app.example.com");
    cr_assert_eq(response.n_headers, 3u);
    cr_assert(strstr(header_of("Access-Control-Expose-Headers"), "X-Request-Id"));
    static const char *const strangers[] = {"null",
                                            "*",
                                            "",
                                            "https://app.example.com.evil.com",
                                            "https://evil-app.example.com",
                                            "https://appxexample.com",
                                            "https://app.example.com:443",
                                            "https://app.example.co",
                                            "https://app.example.com/",
                                            "http://app.example.com",
                                            "https://app.example.com, https://app.example.com",
                                            "https://APP.example.com",
                                            "https://b.app.example.com"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        ask(HTTP_GET, &surface_guardian, strangers[i]);
        cr_assert_eq(response.n_headers, 1u, "%s", strangers[i]);
        cr_assert_str_eq(header_of("Vary"), "Origin");
    }
    ask(HTTP_GET, &surface_pages, "https://app.example.com");
    cr_assert_eq(response.n_headers, 0u);
}

Test(cors, says_nothing_where_it_is_off)
{
    gateway.cors.n = 0;
    cr_assert_not(ask(HTTP_OPTIONS, &surface_busi, "https://app.example.com"));
    cr_assert_eq(response.n_headers, 0u);
}
