/* Who is at the edge: whose word about addresses is believed, and what else travels along. */
#include "core/exchange.h"
#include "core/origin.h"
#include "http/language.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct gateway gateway;
static struct http_request request;

static void begin(void)
{
    busi_call_init(&request.call, 64 * 1024);
}

static void end(void)
{
    busi_call_fini(&request.call);
}

TestSuite(origin, .init = begin, .fini = end);

static void trust(const char *list)
{
    struct busi_str bad;
    cr_assert(proxies_init(&gateway.proxies, busi_str_of(list), &bad), "%s", list);
}

static void add_header(const char *name, const char *value)
{
    request.headers[request.n_headers++] = (struct http_header){busi_str_of(name), busi_str_of(value)};
}

/* The client's address as the services are told it. */
static void expect_client(const char *peer, const char *forwarded, const char *want)
{
    request.n_headers = 0;
    request.remote_addr = busi_str_of(peer);
    if (forwarded)
        add_header(gateway.proxies.rfc7239 ? "Forwarded" : "X-Forwarded-For", forwarded);
    struct busi_str have = origin_of(&gateway, &request).remote_addr;
    cr_expect(busi_str_eq(have, busi_str_of(want)), "%s, \"%s\": have %.*s, want %s", peer,
              forwarded ? forwarded : "", BUSI_ARG(have), want);
}

Test(origin, without_trusted_proxies_the_header_means_nothing)
{
    trust("");
    expect_client("203.0.113.9", NULL, "203.0.113.9");
    expect_client("203.0.113.9", "198.51.100.1", "203.0.113.9");
    expect_client("127.0.0.1", "198.51.100.1, 10.0.0.1", "127.0.0.1");
    trust("10.0.0.0/8");
    expect_client("203.0.113.9", "198.51.100.1", "203.0.113.9");
    expect_client("203.0.113.9", "10.0.0.1", "203.0.113.9");
}

Test(origin, the_list_is_walked_from_its_end_past_our_own_proxies)
{
    trust("10.0.0.0/8, 2001:db8:1::/48,192.0.2.7");
    expect_client("10.0.0.1", NULL, "10.0.0.1");
    expect_client("10.0.0.1", "198.51.100.1", "198.51.100.1");
    expect_client("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1");
    expect_client("10.0.0.1", "1.1.1.1,198.51.100.1 , 10.9.9.9", "198.51.100.1");
    expect_client("10.0.0.1", "1.1.1.1, 198.51.100.1,\t192.0.2.7, 2001:db8:1::5", "198.51.100.1");
    expect_client("192.0.2.7", "2001:DB8:2:0::77", "2001:db8:2::77");
    expect_client("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1");
    expect_client("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3");
}

Test(origin, what_is_no_address_stops_the_walk)
{
    trust("10.0.0.0/8");
    static const char *const wrong[] = {
        "",  "unknown", "198.51.100.1:80", "_hidden",  "198.51.100.1 x", "[::1]", "1.2.3",
        ",", " ",       "198.51.100.1,",   "fe80::1%1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_client("10.0.0.1", wrong[i], "10.0.0.1");
    expect_client("10.0.0.1", "198.51.100.1, bad, 10.0.0.2", "10.0.0.2");
}

Test(origin, several_headers_are_one_list)
{
    trust("10.0.0.0/8");
    request.remote_addr = BUSI_STR("10.0.0.1");
    add_header("X-Forwarded-For", "1.1.1.1, 198.51.100.1");
    add_header("x-forwarded-for", "10.0.0.3");
    add_header("X-FORWARDED-FOR", "10.0.0.2");
    cr_expect(busi_str_eq(origin_of(&gateway, &request).remote_addr, BUSI_STR("198.51.100.1")));
    request.headers[1].value = BUSI_STR("nonsense");
    cr_expect(busi_str_eq(origin_of(&gateway, &request).remote_addr, BUSI_STR("10.0.0.2")));
}

Test(origin, other_headers_about_addresses_are_never_read)
{
    trust("10.0.0.0/8");
    request.remote_addr = BUSI_STR("10.0.0.1");
    add_header("Forwarded", "for=198.51.100.1");
    add_header("X-Real-IP", "198.51.100.1");
    add_header("X-User-Id", "7");
    cr_expect(busi_str_eq(origin_of(&gateway, &request).remote_addr, BUSI_STR("10.0.0.1")));
}

static void trust_forwarded(const char *list)
{
    trust(list);
    cr_assert(proxies_write(&gateway.proxies, BUSI_STR("forwarded")));
}

Test(origin, forwarded_is_read_where_proxies_write_it)
{
    trust_forwarded("10.0.0.0/8, 2001:db8:1::/48");
    expect_client("203.0.113.9", "for=198.51.100.1", "203.0.113.9");
    expect_client("10.0.0.1", NULL, "10.0.0.1");
    expect_client("10.0.0.1", "for=198.51.100.1", "198.51.100.1");
    expect_client("10.0.0.1", "For=\"198.51.100.1:4711\"", "198.51.100.1");
    expect_client("10.0.0.1", "for=198.51.100.1:4711", "198.51.100.1");
    expect_client("10.0.0.1", "for=\"[2001:db8:2::77]:_port\";proto=https;by=10.0.0.1", "2001:db8:2::77");
    expect_client("10.0.0.1", "by=10.0.0.1; host=\"a;for=6.6.6.6\" ;for=\"[2001:DB8:2::77]\"",
                  "2001:db8:2::77");
    expect_client("10.0.0.1", "for=1.1.1.1, for=198.51.100.1,for=10.0.0.3 ,\tfor=\"[2001:db8:1::5]\"",
                  "198.51.100.1");
    add_header("X-Forwarded-For", "6.6.6.6");
    cr_expect(busi_str_eq(origin_of(&gateway, &request).remote_addr, BUSI_STR("198.51.100.1")));
}

Test(origin, what_forwarded_says_of_no_address_stops_the_walk)
{
    trust_forwarded("10.0.0.0/8");
    static const char *const wrong[] = {"",
                                        "for",
                                        "for=",
                                        "for=unknown",
                                        "for=_hidden",
                                        "for=\"\"",
                                        "for=\"",
                                        "for=1.2.3",
                                        "for=\"[198.51.100.1]\"",
                                        "for=2001:db8::1",
                                        "for=[2001:db8::1",
                                        "for=\"[2001:db8::1]x\"",
                                        "for=198.51.100.1:",
                                        "for=\"198.51.100.1 \"",
                                        "for=198.51.100.1;for=198.51.100.2",
                                        "for =198.51.100.1",
                                        "for=\"198.51\\.100.1\"",
                                        "proto=https",
                                        "198.51.100.1",
                                        "for=198.51.100.1,"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect_client("10.0.0.1", wrong[i], "10.0.0.1");
}

Test(origin, what_a_client_wrote_reaches_into_no_element_of_our_proxy)
{
    trust_forwarded("10.0.0.0/8");
    static const char *const tries[] = {
        "for=6.6.6.6;x=\"",  "for=6.6.6.6;x=\"a\\", "\"", "\\\"", "for=6.6.6.6;host=\"a,", ",,,",
        "for=\"6.6.6.6,\"\""};
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s, for=198.51.100.1;proto=http", tries[i]);
        expect_client("10.0.0.1", text, "198.51.100.1");
        snprintf(text, sizeof text, "%s,for=\"198.51.100.1:80\";host=\"a\\\",for=6.6.6.6;x=\"", tries[i]);
        expect_client("10.0.0.1", text, "198.51.100.1");
    }
}

Test(origin, headers_that_nobody_writes_are_none_to_choose)
{
    static const char *const wrong[] = {"", "x-real-ip", "X-Forwarded-For", "forwarded,x-forwarded-for"};
    struct proxies proxies;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not(proxies_write(&proxies, busi_str_of(wrong[i])), "%s", wrong[i]);
}

Test(origin, wrong_lists_are_refused_by_their_part)
{
    static const char *const wrong[][2] = {{"10.0.0.0/8,proxy", "proxy"},
                                           {"10.0.0.1/8", "10.0.0.1/8"},
                                           {"10.0.0.1,,10.0.0.2", ""},
                                           {" ", ""},
                                           {"0.0.0.0/0", "0.0.0.0/0"},
                                           {"10.0.0.1, 0.0.0.0/7", "0.0.0.0/7"},
                                           {"128.0.0.0/1", "128.0.0.0/1"},
                                           {"::/0", "::/0"},
                                           {"fc00::/6", "fc00::/6"},
                                           {"::/80", "::/80"},
                                           {"::ffff:0.0.0.0/96", "::ffff:0.0.0.0/96"},
                                           {"10.0.0.1 10.0.0.2", "10.0.0.1 10.0.0.2"}};
    struct proxies proxies;
    struct busi_str bad;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_not(proxies_init(&proxies, busi_str_of(wrong[i][0]), &bad), "%s", wrong[i][0]);
        cr_expect(bad.ptr && busi_str_eq(bad, busi_str_of(wrong[i][1])), "%s", wrong[i][0]);
    }
    cr_expect(proxies_init(&proxies, BUSI_STR("10.0.0.0/8, fc00::/7, ::1, 2000::/8"), &bad));
    char many[4096] = "";
    for (int i = 0; i < PROXIES_MOST; i++)
        strcat(many, i ? ",10.0.0.1" : "10.0.0.1");
    cr_expect(proxies_init(&proxies, busi_str_of(many), &bad));
    strcat(many, ",10.0.0.1");
    cr_expect_not(proxies_init(&proxies, busi_str_of(many), &bad));
    cr_expect_null(bad.ptr);
}

static const char *language(const char *header)
{
    static char text[64];
    struct busi_str tag = language_first(busi_str_of(header));
    snprintf(text, sizeof text, "%.*s", BUSI_ARG(tag));
    return text;
}

Test(origin, the_most_wanted_language_travels_along)
{
    cr_expect_str_eq(language("de-CH, de;q=0.9, en;q=0.8"), "de-CH");
    cr_expect_str_eq(language("*"), "");
    cr_expect_str_eq(language("*, fr"), "fr");
    cr_expect_str_eq(language("de;q=0, en"), "en");
    cr_expect_str_eq(language("de;q=0"), "");
    cr_expect_str_eq(language(""), "");
    cr_expect_str_eq(language("de_CH, ../../etc/passwd, e\xc3\xb1, it"), "it");
    cr_expect_str_eq(language("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, pt-BR"), "pt-BR", "36 bytes");
    cr_expect_str_eq(language("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

Test(origin, a_user_agent_that_is_no_text_is_left_out)
{
    add_header("User-Agent", "curl/7.88");
    cr_expect(busi_str_eq(origin_of(&gateway, &request).user_agent, BUSI_STR("curl/7.88")));
    request.headers[0].value = BUSI_STR("\xff\xfe");
    cr_expect_null(origin_of(&gateway, &request).user_agent.ptr);
    char long_one[600];
    memset(long_one, 'x', sizeof long_one);
    request.headers[0].value = (struct busi_str){long_one, sizeof long_one};
    cr_expect_eq(origin_of(&gateway, &request).user_agent.len, 512);
}

/* ---- too many requests ---- */

static const char *header_of(const struct http_response *response, const char *name)
{
    static char text[128];
    for (size_t i = 0; i < response->n_headers; i++)
        if (busi_str_ieq(response->headers[i].name, busi_str_of(name))) {
            snprintf(text, sizeof text, "%.*s", BUSI_ARG(response->headers[i].value));
            return text;
        }
    return "";
}

/* 429 for the caller's own limit, 503 for a lack of ours: in the shape of each surface. */
Test(origin, a_used_up_quota_is_429_with_its_numbers)
{
    static const char *const bodies[] = {[SURFACE_busi] = "{\"errors\":{\"detail\":\"Too Many Requests\"}}",
                                         [SURFACE_guardian] = "{\"status\":\"too many requests\"}",
                                         [SURFACE_accesspass] = "{\"error\":\"too many requests\"}",
                                         [SURFACE_ash] = "{\"authentication\":{\"status\":\"failed\"}}",
                                         [SURFACE_ash_site] = "{\"authentication\":{\"status\":\"failed\"}}",
                                         [SURFACE_magic] = "{\n  \"message\": \"Too many requests\"\n}",
                                         [SURFACE_pages] = "<h1>Too many tries</h1>",
                                         [SURFACE_account] = "<h1>Too many tries</h1>"};
    struct page_site site = {.policy = BUSI_STR("default-src 'none'")};
    for (int i = 0; i < SURFACES; i++) {
        cr_assert((size_t)i < sizeof bodies / sizeof bodies[0] && bodies[i],
                  "what %s answers is to be said here", surface_get((enum surface_id)i)->name);
        struct http_response response = {.site = &site};
        struct exchange x = {.gateway = &gateway,
                             .request = &request,
                             .response = &response,
                             .surface = surface_get((enum surface_id)i)};
        busi_buf_init(&response.body, 4096);
        request.call.retry_after_ms = 5400;
        request.call.quota = (struct busi_quota){.limit = 10, .window_ms = 60000, .reset_ms = 59001};
        exchange_fail(&x, BUSI_RESOURCE_EXHAUSTED);
        cr_expect_eq(response.status, 429);
        cr_expect(response.no_store);
        cr_expect_str_eq(header_of(&response, "RateLimit-Policy"), "\"default\";q=10;w=60");
        cr_expect_str_eq(header_of(&response, "RateLimit"), "\"default\";r=0;t=60");
        busi_buf_char(&response.body, '\0');
        cr_expect(strstr(response.body.ptr, bodies[i]), "%s", response.body.ptr);
        request.call.quota = (struct busi_quota){0};
        exchange_fail(&x, BUSI_RESOURCE_EXHAUSTED);
        cr_expect_eq(response.status, 503);
        cr_expect_str_eq(header_of(&response, "RateLimit"), "");
        busi_buf_fini(&response.body);
    }
}
