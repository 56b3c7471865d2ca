#include "base/text.h"
#include "crypto/secret.h"
#include "http/agent.h"
#include "http/cookies.h"
#include "http/language.h"
#include "http/return_to.h"
#include "http/same_site.h"
#include "pages/page.h"
#include "pages/site.h"
#include "service/settings.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- language ---- */

static size_t chosen(const char *header)
{
    static const char *const offered[] = {"en", "de"};
    return language_choose(busi_str_of(header), offered, 2);
}

Test(language, the_offered_one_it_weighs_most)
{
    cr_expect_eq(chosen("de"), 1u);
    cr_expect_eq(chosen("de-AT"), 1u);
    cr_expect_eq(chosen("DE-at"), 1u);
    cr_expect_eq(chosen("fr, de;q=0.5"), 1u);
    cr_expect_eq(chosen("en-GB, de;q=0.9"), 0u);
    cr_expect_eq(chosen("en;q=0.5 , de;q=0.501"), 1u);
    cr_expect_eq(chosen("en;q=0.5,de;q=1.000"), 1u);
    cr_expect_eq(chosen("de;q=0.7,en;q=0.7"), 1u);
}

Test(language, english_for_everyone_else)
{
    static const char *const headers[] = {
        "",  "*",   "fr",    "den",   "d",        "de;q=0", "de;q=x",  "de;q=",      "de;x=1", ",,;;,",
        "-", "d-e", "d\xc3", "de_DE", "\xff\xfe", ";q=1",   "*;q=0.5", "de;q=0.000", "de de",  "de;q=0.9a"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        cr_expect_eq(chosen(headers[i]), 0u, "%s", headers[i]);
}

static void first_is(const char *header, const char *tag)
{
    struct busi_str found = language_first(busi_str_of(header));
    cr_expect(busi_str_eq(found, busi_str_of(tag)), "%s: %.*s", header, BUSI_ARG(found));
}

Test(language, the_first_of_all)
{
    first_is("pt-BR, en;q=0.5", "pt-BR");
    first_is("en;q=0.5, zh-Hant-TW;q=0.8", "zh-Hant-TW");
    first_is("*, de;q=0.1", "de");
    first_is("", NULL);
    first_is("../../etc", NULL);
    first_is("a123456789-123456789-123456789-1234567", NULL);
}

/* ---- same site ---- */

struct sent {
    const char *name, *value;
};

static bool ours(size_t n, const struct sent *sent)
{
    struct http_request request = {.n_headers = n};
    for (size_t i = 0; i < n; i++)
        request.headers[i] = (struct http_header){busi_str_of(sent[i].name), busi_str_of(sent[i].value)};
    return same_site(&request);
}
#define OURS(...)                                                                                            \
    ours(sizeof((const struct sent[]){__VA_ARGS__}) / sizeof(struct sent), (const struct sent[]){__VA_ARGS__})

Test(same_site, what_the_browser_says)
{
    cr_expect(OURS({"Sec-Fetch-Site", "same-origin"}));
    cr_expect(OURS({"Sec-Fetch-Site", "none"}));
    cr_expect(OURS({"Sec-Fetch-Site", "same-origin"}, {"Origin", "null"}));
    cr_expect_not(OURS({"Sec-Fetch-Site", "cross-site"}));
    cr_expect_not(OURS({"Sec-Fetch-Site", "same-site"}));
    cr_expect_not(OURS({"Sec-Fetch-Site", ""}));
    cr_expect_not(OURS({"Sec-Fetch-Site", "cross-site"}, {"Host", "a.de"}, {"Origin", "https://a.de"}));
    cr_expect_not(OURS({"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "cross-site"}));
}

Test(same_site, by_origin_where_it_says_nothing)
{
    cr_expect(OURS({"Host", "a.de"}));
    cr_expect(OURS({"Host", "a.de"}, {"Origin", "https://a.de"}));
    cr_expect(OURS({"Host", "a.de:4000"}, {"Origin", "http://A.de:4000"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "null"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://a.de.evil.com"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://evil.com"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://a.de:8443"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "a.de"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://a.de"}, {"Origin", "https://a.de"}));
    cr_expect_not(OURS({"Origin", "https://a.de"}));
}

static bool visit(size_t n, const struct sent *sent)
{
    struct http_request request = {.n_headers = n};
    for (size_t i = 0; i < n; i++)
        request.headers[i] = (struct http_header){busi_str_of(sent[i].name), busi_str_of(sent[i].value)};
    return same_site_visit(&request);
}
#define VISIT(...)                                                                                           \
    visit(sizeof((const struct sent[]){__VA_ARGS__}) / sizeof(struct sent),                                  \
          (const struct sent[]){__VA_ARGS__})

Test(same_site, visits_that_are_meant)
{
    cr_expect(VISIT({"Host", "a.de"}));
    cr_expect(VISIT({"Sec-Fetch-Site", "none"}));
    cr_expect(VISIT({"Sec-Fetch-Site", "same-origin"}));
    cr_expect(VISIT({"Host", "a.de:4000"}, {"Referer", "http://a.de:4000/"}));
    cr_expect(VISIT({"Host", "a.de"}, {"Referer", "https://a.de/x?y"}));
    cr_expect_not(VISIT({"Sec-Fetch-Site", "cross-site"}));
    cr_expect_not(VISIT({"Sec-Fetch-Site", "same-origin"}, {"Sec-Purpose", "prefetch"}));
    cr_expect_not(VISIT({"Host", "a.de"}, {"Referer", "https://a.de.evil.com/"}));
    cr_expect_not(VISIT({"Host", "a.de"}, {"Referer", "https://evil.com/https://a.de/"}));
    cr_expect_not(VISIT({"Host", "a.de"}, {"Referer", ""}));
    cr_expect_not(VISIT({"Referer", "https://a.de/"}));
}

/* ---- cookies ---- */

static void cookie_is(const char *header, const char *value)
{
    const struct http_request request = {.headers = {{BUSI_STR("Cookie"), busi_str_of(header)}},
                                         .n_headers = 1};
    struct busi_str found = cookie_find(&request, BUSI_STR("busi_session"));
    cr_expect(busi_str_eq(found, busi_str_of(value)), "%s: %.*s", header, BUSI_ARG(found));
    cr_expect_eq(!found.ptr, !value);
}

Test(cookies, the_first_of_a_name)
{
    cookie_is("busi_session=a", "a");
    cookie_is("a=1; busi_session=b; c=2", "b");
    cookie_is("a=1;busi_session=b;busi_session=c", "b");
    cookie_is("busi_session=\"quoted\"", "quoted");
    cookie_is("$Version=1; busi_session=\"v\"; $Path=\"/\"", "v");
    cookie_is("busi_session=", "");
    cookie_is("busi_session=a=b", "a=b");
    cookie_is("busi_session=\"", "\"");
    cookie_is("  \t busi_session=x \t ; y", "x");
}

Test(cookies, others)
{
    static const char *const headers[] = {"",
                                          ";",
                                          ";;;",
                                          "busi_session",
                                          "busi_sessions=a",
                                          "=",
                                          "a=",
                                          "Busi_Session=a",
                                          "__Host-busi_session=a",
                                          "x=busi_session=a"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        cookie_is(headers[i], NULL);
    const struct http_request none = {0};
    cr_expect_null(cookie_find(&none, BUSI_STR("busi_session")).ptr);
}

/* ---- where a browser may be sent ---- */

static bool may(const char *target)
{
    struct origins origins;
    struct busi_str bad;
    cr_assert(origins_init(&origins, BUSI_STR("https://app.example.com,http://localhost:3000"), &bad));
    return return_to_ok(busi_str_of(target), &origins);
}

Test(return_to, places_of_ours)
{
    static const char *const good[] = {"/",
                                       "/account",
                                       "/a/b?c=d&e=//f#g",
                                       "/a?next=https://evil.example",
                                       "/%2F%2Fevil.example",
                                       "/.well-known/x",
                                       "https://app.example.com",
                                       "https://app.example.com/",
                                       "https://app.example.com/x//y?z",
                                       "https://app.example.com?x",
                                       "https://app.example.com#x",
                                       "HTTPS://APP.example.com/x",
                                       "http://localhost:3000/x"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect(may(good[i]), "%s", good[i]);
}

Test(return_to, places_of_others)
{
    static const char *const bad[] = {"",
                                      "//evil.example",
                                      "///evil.example",
                                      "/\\evil.example",
                                      "\\\\evil.example",
                                      "/..//evil.example",
                                      "/./\\evil.example",
                                      "/a\\..\\b",
                                      "/\t/evil.example",
                                      "/\n/evil.example",
                                      "/\r\nSet-Cookie: a=b",
                                      "/a b",
                                      "/\x7f",
                                      "/\xc3\xa9",
                                      " /",
                                      "account",
                                      "?x",
                                      "https:evil.example",
                                      "https:/evil.example",
                                      "https://evil.example",
                                      "http://app.example.com/",
                                      "https://app.example.com.evil.example/",
                                      "https://app.example.com@evil.example/",
                                      "https://app.example.com:443@evil.example/",
                                      "https://app.example.com:8443/",
                                      "https://user@app.example.com/",
                                      "https://xapp.example.com/",
                                      "http://localhost:30001/",
                                      "http://localhost/",
                                      "//app.example.com/",
                                      "javascript:alert(1)",
                                      "data:text/html,x",
                                      "JaVaScRiPt:alert(1)"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(may(bad[i]), "%s", bad[i]);
    char long_one[RETURN_TO_MOST + 2];
    memset(long_one, 'a', sizeof long_one);
    long_one[0] = '/';
    long_one[sizeof long_one - 1] = '\0';
    cr_expect_not(may(long_one));
    long_one[sizeof long_one - 2] = '\0';
    cr_expect(may(long_one));
}

/* ---- programs by their name ---- */

Test(agent, as_people_call_them)
{
    static const struct sent known[] = {
        {"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox, Linux"},
        {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
         "Safari/537.36 "
         "Edg/120.0.0.0",
         "Edge, Windows"},
        {"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 "
         "Mobile/15E148 Safari/604.1",
         "Safari, iPhone"},
        {"Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0.0.0 Mobile Safari/537.36",
         "Chrome, Android"},
        {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like ", "Browser, Linux"},
        {"Mozilla/5.0 (compatible)", "Browser"},
        {"curl/7.88.1", "curl/7.88.1"},
        {"Python/3.11 aiohttp/3.8", "Python/3.11"},
        {"", ""}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char name[AGENT_NAME_BYTES];
        agent_name(name, busi_str_of(known[i].name));
        cr_expect_str_eq(name, known[i].value);
    }
}

Test(agent, whatever_it_says)
{
    char name[AGENT_NAME_BYTES], text[600];
    memset(text, 0xc3, sizeof text);
    agent_name(name, (struct busi_str){text, sizeof text});
    cr_expect_lt(strlen(name), (size_t)AGENT_NAME_BYTES);
    agent_name(name, (struct busi_str){0});
    cr_expect_str_empty(name);
}

/* ---- pages ---- */

/* What standard base64 makes of 32 bytes. */
static void base64(char out[45], const uint8_t sum[32])
{
    size_t n = busi_base64url_encode(out, sum, 32);
    for (size_t i = 0; i < n; i++)
        out[i] = out[i] == '-' ? '+' : out[i] == '_' ? '/' : out[i];
    memcpy(out + n, "=", 2);
}

static struct page_site *site_of(struct busi_settings *settings, struct busi_buf *errors)
{
    static struct router_options options = {0};
    for (int i = 0; i < SURFACES; i++)
        options.on[i] = true;
    cr_assert(busi_crypto_init());
    busi_buf_init(errors, 4096);
    settings->base_url = settings->base_url.ptr ? settings->base_url : BUSI_STR("http://127.0.0.1:4000");
    settings->pages_home = settings->pages_home.ptr ? settings->pages_home : BUSI_STR("/");
    return page_site_new(settings, &options, errors);
}

static void policy_names_style(const struct page_site *site)
{
    uint8_t sum[32];
    char hash[45];
    busi_sha256(sum, site->style);
    base64(hash, sum);
    cr_assert(strstr(site->policy.ptr, hash), "%s", site->policy.ptr);
}

Test(page, every_page_in_every_language)
{
    static const char *const tags[] = {PAGE_LANGUAGES};
    struct busi_settings settings = {.pages_name = BUSI_STR("Ann & Co")};
    struct busi_buf errors;
    struct page_site *site = site_of(&settings, &errors);
    cr_assert(site);
    policy_names_style(site);
    static const char *const names[] = {"password_fault", "confirm_fault", "email_fault", "old_fault",
                                        "email",          "alert",         "return_to",   "onward",
                                        "action",         "notice",        "sessions",    "others"};
    struct busi_template_value values[PAGE_MOST_VALUES + 2];
    for (int page = 0; page < PAGES; page++)
        for (size_t language = 0; language < sizeof tags / sizeof tags[0]; language++) {
            struct http_response response = {.language = language, .site = site};
            size_t n = 0;
            for (; n < sizeof names / sizeof names[0]; n++)
                values[n] =
                    (struct busi_template_value){.name = busi_str_of(names[n]), .value = BUSI_STR("<&>\"'")};
            if (page == PAGE_account) {
                values[2] =
                    (struct busi_template_value){.name = BUSI_STR("unconfirmed"), .value = BUSI_STR("<&>")};
                values[5] = (struct busi_template_value){.name = BUSI_STR("roles"), .value = BUSI_STR("<&>")};
            } else if (page == PAGE_sign_in || page == PAGE_register) {
                values[8] =
                    (struct busi_template_value){.name = BUSI_STR("providers"), .value = BUSI_STR("<&>")};
            }
            busi_buf_init(&response.body, 65536);
            page_write(&response, 200, (enum page_id)page, values, n);
            busi_buf_char(&response.body, '\0');
            cr_assert_not(response.body.failed, "page %d", page);
            cr_expect(strstr(response.body.ptr, tags[language]));
            cr_expect_null(strstr(response.body.ptr, "{{"), "page %d", page);
            cr_expect_null(strstr(response.body.ptr, "<&>"));
            cr_expect_null(strstr(response.body.ptr, "<script"));
            cr_expect(strstr(response.body.ptr, "<p class=\"brand\">Ann &amp; Co</p>"));
            cr_expect_eq(response.n_headers, 6u);
            busi_buf_fini(&response.body);
        }
    page_site_free(&site);
    busi_buf_fini(&errors);
}

/* ---- the house's own look ---- */

static char folder[64];

static void put_file(const char *name, const char *text, size_t len)
{
    char path[128];
    if (!folder[0]) {
        strcpy(folder, "/tmp/busi-theme-XXXXXX");
        cr_assert(mkdtemp(folder));
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    cr_assert(file && fwrite(text, 1, len, file) == len && fclose(file) == 0);
}

static void drop_folder(void)
{
    static const char *const names[] = {"style.css", "logo.svg", "logo.png"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

Test(page_site, takes_a_style_and_a_logo, .fini = drop_folder)
{
    const char style[] = ":root {\r\n --main: #0a7 }\r\n";
    put_file("style.css", style, strlen(style));
    put_file("logo.svg", "<svg/>", 6);
    struct busi_settings settings = {.pages_theme = busi_str_of(folder),
                                     .pages_name = BUSI_STR("Ann"),
                                     .pages_return_to = BUSI_STR("https://app.example.com")};
    struct busi_buf errors;
    struct page_site *site = site_of(&settings, &errors);
    cr_assert(site, "%.*s", (int)errors.len, errors.ptr);
    cr_expect(strstr(site->style.ptr, "--main: #0a7"));
    cr_expect_null(strchr(site->style.ptr, '\r'));
    cr_expect_str_eq(site->brand.ptr,
                     "<p class=\"brand\"><img src=\"data:image/svg+xml;base64,PHN2Zy8+\" alt=\"Ann\"></p>");
    policy_names_style(site);
    cr_expect(strstr(site->policy.ptr, "img-src data:; "));
    cr_expect(strstr(site->policy.ptr, "form-action 'self' https://app.example.com; "));
    cr_expect(strstr(site->policy.ptr, "default-src 'none'; "));
    page_site_free(&site);
    busi_buf_fini(&errors);
}

static void refused(struct busi_settings settings, const char *why)
{
    struct busi_buf errors;
    struct page_site *site = site_of(&settings, &errors);
    busi_buf_char(&errors, '\0');
    cr_expect_null(site);
    cr_expect(strstr(errors.ptr, why), "%s", errors.ptr);
    page_site_free(&site);
    busi_buf_fini(&errors);
}

Test(page_site, refuses_what_would_end_the_style, .fini = drop_folder)
{
    static const char *const styles[] = {"a {} </style><script>alert(1)</script>", "</STYLE >", "a\xff { }"};
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
        put_file("style.css", styles[i], strlen(styles[i]));
        refused((struct busi_settings){.pages_theme = busi_str_of(folder)}, "style.css");
    }
    put_file("style.css", "a\0b", 3);
    refused((struct busi_settings){.pages_theme = busi_str_of(folder)}, "style.css");
}

Test(page_site, refuses_places_of_others)
{
    refused((struct busi_settings){.pages_return_to = BUSI_STR("https://app.example.com/x")},
            "BUSI_PAGES_RETURN_TO");
    refused((struct busi_settings){.pages_home = BUSI_STR("//evil.example")}, "BUSI_PAGES_HOME");
}

Test(page_site, cookies_of_https_are_of_this_host_alone)
{
    struct busi_settings settings = {.base_url = BUSI_STR("https://accounts.example.com")};
    struct busi_buf errors;
    struct page_site *site = site_of(&settings, &errors);
    cr_assert(site);
    cr_expect(site->secure);
    cr_expect(busi_str_eq(site->cookie, BUSI_STR("__Host-busi_session")));
    page_site_free(&site);
    busi_buf_fini(&errors);
}
