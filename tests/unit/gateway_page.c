#include "base/text.h"
#include "crypto/secret.h"
#include "language.h"
#include "page.h"
#include "same_site.h"
#include <criterion/criterion.h>

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
    cr_expect(OURS({"Host", "a.de"}, {"Origin", "null"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://a.de.evil.com"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://evil.com"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://a.de:8443"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "a.de"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://"}));
    cr_expect_not(OURS({"Host", "a.de"}, {"Origin", "https://a.de"}, {"Origin", "https://a.de"}));
    cr_expect_not(OURS({"Origin", "https://a.de"}));
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

Test(page, the_policy_names_the_style)
{
    uint8_t sum[32];
    char hash[45];
    cr_assert(busi_crypto_init());
    busi_sha256(sum, page_style());
    base64(hash, sum);
    cr_assert(strstr(page_policy().ptr, hash), "gateway/page.c must say 'sha256-%s'", hash);
}

Test(page, every_page_in_every_language)
{
    static const char *const tags[] = {PAGE_LANGUAGES};
    const struct busi_template_value values[] = {
        {.name = BUSI_STR("password_fault"), .value = BUSI_STR("<&>")}, {.name = BUSI_STR("confirm_fault")}};
    for (int page = 0; page < PAGES; page++)
        for (size_t language = 0; language < sizeof tags / sizeof tags[0]; language++) {
            struct http_response response = {.language = language};
            busi_buf_init(&response.body, 65536);
            page_write(&response, 200, (enum page_id)page, values, 2);
            busi_buf_char(&response.body, '\0');
            cr_assert_not(response.body.failed, "page %d", page);
            cr_expect(strstr(response.body.ptr, tags[language]));
            cr_expect_null(strstr(response.body.ptr, "{{"), "page %d", page);
            cr_expect_null(strstr(response.body.ptr, "<&>"));
            cr_expect_null(strstr(response.body.ptr, "<script"));
            cr_expect_eq(response.n_headers, 5u);
            busi_buf_fini(&response.body);
        }
}
