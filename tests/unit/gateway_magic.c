#include "core/credential.h"
#include "core/gateway.h"
#include "http/basic.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_date.h"
#include "surfaces/magic_shape.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct busi_settings settings;
static struct gateway gateway;
static struct http_request request;
static struct http_response response;

static void begin(void)
{
    settings = (struct busi_settings){.magic_query_credentials = true,
                                      .base_url = BUSI_STR("https://accounts.example.com")};
    gateway = (struct gateway){.settings = &settings};
    request = (struct http_request){0};
    response = (struct http_response){0};
    busi_call_init(&request.call, 1024 * 1024);
    busi_buf_init(&response.body, 65536);
}

static void end(void)
{
    busi_buf_fini(&response.body);
    busi_call_fini(&request.call);
}

TestSuite(magic, .init = begin, .fini = end);

static const struct route *route(const char *label)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (strcmp(routes[i].label, label) == 0)
            return &routes[i];
    cr_assert_fail("no route %s", label);
    return NULL;
}

static const struct param *read_json(const char *json)
{
    struct param *out = NULL;
    cr_assert_eq(params_json(&request.call.arena, busi_str_of(json), &out), PARAMS_OK, "%s", json);
    return out;
}

static const struct param *read_query(const char *query)
{
    struct param *out = NULL;
    cr_assert_eq(params_form(&request.call.arena, busi_str_of(query), &out), PARAMS_OK, "%s", query);
    return out;
}

static struct exchange ask(const char *label, const char *query, const char *json)
{
    busi_buf_clear(&response.body);
    response.status = 0;
    return (struct exchange){.gateway = &gateway,
                             .request = &request,
                             .response = &response,
                             .surface = surface_get(SURFACE_magic),
                             .route = route(label),
                             .query = read_query(query),
                             .body = read_json(json)};
}

static void is_body(const char *body)
{
    struct busi_str have = {response.body.ptr, response.body.len};
    cr_assert(busi_str_eq(have, busi_str_of(body)), "have %.*s, want %s", BUSI_ARG(have), body);
}

/* ---- arguments ---- */

static void is_taken(const char *label, const char *query, const char *json)
{
    struct exchange x = ask(label, query, json);
    cr_assert(magic_arguments_check(&x), "%s %s %s: %.*s", label, query, json, (int)response.body.len,
              response.body.ptr);
    cr_assert_eq(response.status, 0);
}

static void is_refused(const char *label, const char *query, const char *json, const char *field,
                       const char *message)
{
    char body[2048];
    struct exchange x = ask(label, query, json);
    cr_assert_not(magic_arguments_check(&x), "%s %s %s", label, query, json);
    cr_assert_eq(response.status, 400);
    snprintf(body, sizeof body, "{\n  \"message\": \"%s\",\n  \"field\": \"%s\"\n}", message, field);
    is_body(body);
}

#define USERS "GET /system/magic/users"
#define PASSWORD "PUT /system/auth/change-password"

Test(magic, what_is_declared_is_taken)
{
    is_taken("GET /system/auth/authenticate", "username=a&password=b", "{}");
    is_taken("GET /system/auth/authenticate", "", "{}");
    is_taken(USERS, "limit=-1&offset=5&order=created&direction=desc&username.eq=a&username.like=b%25", "{}");
    is_taken(USERS, "created.mt=2024-01-31&created.lteq=2024-01-31T12:00:00Z&access_token=x", "{}");
    is_taken(PASSWORD, "", "{\"password\":\"123456789012\"}");
    is_taken(PASSWORD, "access_token=x", "{\"password\":\"123456789012\"}");
    is_taken("POST /system/log/log", "", "{\"type\":\"info\",\"content\":\"x\",\"meta\":{\"a\":1}}");
    is_taken("POST /system/log/log", "", "{\"type\":\"info\",\"content\":\"x\",\"meta\":null}");
}

Test(magic, what_is_not_is_named)
{
    is_refused(USERS, "username.mt=a", "{}", "username.mt",
               "I don't know how to handle the 'username.mt' query parameter");
    is_refused(USERS, "", "{\"limit\":1}", "limit", "I don't know how to handle the 'limit' argument");
    is_refused(PASSWORD, "password=123456789012", "{}", "password",
               "I don't know how to handle the 'password' query parameter");
    is_refused(PASSWORD, "", "{\"password\":\"123456789012\",\"username\":\"root\"}", "username",
               "I don't know how to handle the 'username' argument");
    is_refused(PASSWORD, "", "[1]", "_json", "I don't know how to handle the '_json' argument");
}

Test(magic, what_must_be_there)
{
    is_refused(PASSWORD, "", "{}", "password", "Mandatory argument 'password' not given");
    is_refused(PASSWORD, "", "{\"password\":\"\"}", "password", "Mandatory argument 'password' not given");
    is_refused(PASSWORD, "", "{\"password\":null}", "password", "Mandatory argument 'password' not given");
    is_refused("DELETE /system/magic/users", "", "{}", "username", "Mandatory argument 'username' not given");
}

Test(magic, wrong_values)
{
    is_refused(USERS, "limit=x", "{}", "limit", "'x' is not a valid integer for [limit]");
    is_refused(USERS, "limit=-2", "{}", "limit", "'-2' is not a valid integer for [limit]");
    is_refused(USERS, "limit[]=1", "{}", "limit", "'' is not a valid integer for [limit]");
    is_refused(USERS, "created.mt=yesterday", "{}", "created.mt",
               "'yesterday' is not a valid date for [created.mt]");
    is_refused(USERS, "order=password", "{}", "order",
               "'password' is not a valid enum of ['username', 'created'] for [order]");
    is_refused(USERS, "username.eq[a]=b", "{}", "username.eq", "Not a valid string for [username.eq]");
    is_refused("POST /system/magic/roles", "", "{\"name\":\"a b\"}", "name",
               "'a b' does not conform to regular expression of '^[A-Za-z0-9\\\\-_]*$' for [name]");
    is_refused("POST /system/log/log", "", "{\"type\":\"warn\",\"content\":\"x\"}", "type",
               "'warn' is not a valid enum of ['info', 'error', 'debug', 'fatal'] for [type]");
    is_refused("POST /system/log/log", "", "{\"type\":\"info\",\"content\":\"x\",\"meta\":[]}", "meta",
               "Not a valid object for [meta]");
}

Test(magic, no_password_is_repeated)
{
    is_refused(PASSWORD, "", "{\"password\":\"s3cret\"}", "password",
               "Not a valid string between 12 and 1024 in length for [password]");
    is_refused(PASSWORD, "", "{\"password\":[\"s3cret\"]}", "password", "Not a valid string for [password]");
    is_refused(PASSWORD, "", "{\"password\":\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\"}",
               "password", "Not a valid string between 12 and 1024 in length for [password]");
}

Test(magic, long_values_are_cut)
{
    char query[1024] = "limit=", shown[101] = "", message[512];
    memset(query + strlen(query), 'x', 600);
    memset(shown, 'x', 100);
    snprintf(message, sizeof message, "'%s' is not a valid integer for [limit]", shown);
    is_refused(USERS, query, "{}", "limit", message);
}

Test(magic, credentials_in_the_query_can_be_turned_off)
{
    settings.magic_query_credentials = false;
    is_taken("GET /system/auth/authenticate", "", "{}");
    is_refused("GET /system/auth/authenticate", "username=a", "{}", "username",
               "I don't know how to handle the 'username' query parameter");
    is_refused(USERS, "access_token=x", "{}", "access_token",
               "I don't know how to handle the 'access_token' query parameter");
}

Test(magic, values_are_read)
{
    struct exchange x = ask(USERS, "limit=7&created.mt=1970-01-02&username.eq=", "{}");
    cr_assert_eq(magic_integer(&x, "limit", 25), 7);
    cr_assert_eq(magic_integer(&x, "offset", 3), 3);
    cr_assert_eq(magic_date(&x, "created.mt", -1), INT64_C(86400000000));
    cr_assert_eq(magic_date(&x, "created.lt", -1), -1);
    cr_assert_not_null(magic_text(&x, "username.eq").ptr);
    cr_assert_null(magic_text(&x, "username.like").ptr);
}

/* ---- the token ---- */

static enum credential_verdict find(const struct exchange *x, const char *token)
{
    struct busi_str found;
    enum credential_verdict verdict = credential_find(x, (struct busi_str){0}, &found);
    cr_assert(busi_str_eq(found, busi_str_of(token)), "%.*s", BUSI_ARG(found));
    return verdict;
}

Test(magic, token_in_the_query_or_the_header_but_not_both)
{
    struct exchange x = ask(USERS, "access_token=abc", "{}");
    cr_assert_eq(find(&x, "abc"), CREDENTIAL_FOUND);
    request.headers[0] = (struct http_header){BUSI_STR("Authorization"), BUSI_STR("Bearer def")};
    request.n_headers = 1;
    cr_assert_eq(find(&x, "def"), CREDENTIAL_TWICE);
    x = ask(USERS, "", "{}");
    cr_assert_eq(find(&x, "def"), CREDENTIAL_FOUND);
    request.n_headers = 0;
    x = ask(USERS, "access_token[]=abc", "{}");
    cr_assert_eq(find(&x, ""), CREDENTIAL_MISSING);
    x = ask(USERS, "access_token=abc", "{}");
    x.surface = surface_get(SURFACE_busi);
    cr_assert_eq(find(&x, ""), CREDENTIAL_MISSING, "other surfaces do not look there");
}

/* ---- links ---- */

static bool allowed(const char *url, const char *pages)
{
    return magic_url_allowed(busi_str_of(url), busi_str_of(pages), BUSI_STR("https://accounts.example.com"));
}

Test(magic, links_lead_to_pages_of_the_list)
{
    cr_assert(allowed("https://accounts.example.com", ""));
    cr_assert(allowed("https://accounts.example.com/confirm", ""));
    cr_assert_not(allowed("https://accounts.example.com.evil.org", ""));
    cr_assert_not(allowed("https://accounts.example.com:8443/", ""));
    cr_assert_not(allowed("https://accounts.example.com@evil.org/", ""));
    cr_assert_not(allowed("http://accounts.example.com/", ""));
    cr_assert_not(allowed("https://app.example.com/", ""));
    const char *list = "https://app.example.com/, https://b.example.com/welcome";
    cr_assert(allowed("https://app.example.com/x/y", list));
    cr_assert(allowed("https://b.example.com/welcome", list));
    cr_assert(allowed("https://b.example.com/welcome/de", list));
    cr_assert_not(allowed("https://b.example.com/welcomes", list));
    cr_assert_not(allowed("https://b.example.com/welcome/../x", list));
    cr_assert_not(allowed("https://b.example.com/welcome/%2e%2E/x", list));
    cr_assert_not(allowed("https://b.example.com/welcome/.%2e/x", list));
    cr_assert_not(allowed("https://b.example.com/welcome/%2e./x", list));
    cr_assert(allowed("https://b.example.com/welcome/%2f.x/a.b", list));
    cr_assert_not(allowed("https://accounts.example.com/", list));
    cr_assert_not(allowed("https://app.example.com/?a=b", list));
    cr_assert_not(allowed("https://app.example.com/#", list));
    cr_assert_not(allowed("https://app.example.com/ x", list));
    cr_assert_not(allowed("https://app.example.com/\r\nx", list));
    cr_assert_not(allowed("https://app.example.com/\"", list));
    cr_assert_not(allowed("https://app.example.com/\xc3\xa4", list));
    cr_assert_not(allowed("javascript:alert(1)", list));
    cr_assert_not(allowed("", list));
}

Test(magic, pages_of_the_list)
{
    struct busi_str bad;
    cr_assert(magic_urls_valid(BUSI_STR(""), &bad));
    cr_assert(magic_urls_valid(BUSI_STR("https://a.example, http://localhost:4200/confirm/"), &bad));
    static const char *const wrong[] = {"a.example",
                                        "https://",
                                        "http://",
                                        "ftp://a.example",
                                        "https://a b",
                                        "https://a.example?x",
                                        "https://a.example#x",
                                        "https://a.example/../b",
                                        ","};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_not(magic_urls_valid(busi_str_of(wrong[i]), &bad), "%s", wrong[i]);
        cr_assert_eq(bad.len, strcmp(wrong[i], ",") ? strlen(wrong[i]) : 0);
    }
}

/* ---- refusals ---- */

static void refused_as(const char *field, enum busi_rule rule, int64_t limit, int status, const char *message)
{
    char body[1024];
    struct exchange x = ask("POST /system/auth/register", "",
                            "{\"username\":\"bob\",\"password\":\"s3cret\",\"extra\":{\"email\":\"b\"}}");
    request.call.n_violations = 0;
    busi_call_refuse(&request.call, field, rule, limit);
    magic_fail(&x, BUSI_INVALID_ARGUMENT);
    cr_assert_eq(response.status, status);
    snprintf(body, sizeof body, "{\n  \"message\": \"%s\",\n  \"field\": \"%s\"\n}", message, field);
    is_body(body);
}

Test(magic, what_services_refuse)
{
    refused_as("email", BUSI_RULE_FORMAT, 0, 400, "'b' is not a valid email address");
    refused_as("email", BUSI_RULE_BLANK, 0, 400, "Mandatory argument 'email' not given");
    refused_as("username", BUSI_RULE_FORMAT, 0, 400, "'bob' is not a valid name for [username]");
    refused_as("username", BUSI_RULE_TAKEN, 0, 409, "It has already been taken for [username]");
    refused_as("username", BUSI_RULE_TOO_LONG, 36, 400,
               "Not a valid string of at most 36 in length for [username]");
    refused_as("password", BUSI_RULE_TOO_SHORT, 12, 400,
               "Not a valid string of at least 12 in length for [password]");
    refused_as("password", BUSI_RULE_COMMON, 0, 400, "It is too common for [password]");
    refused_as("password", BUSI_RULE_FORMAT, 0, 400, "'' is not a valid name for [password]");
}

Test(magic, errors_without_a_field)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {
        {400, "{\n  \"message\": \"Bad Request\"\n}"},
        {401, "{\n  \"message\": \"Access denied\"\n}"},
        {403, "{\n  \"message\": \"Access denied\"\n}"},
        {404, ""},
        {413, "{\n  \"message\": \"Request Entity Too Large\"\n}"},
        {429, "{\n  \"message\": \"Too many requests\"\n}"},
        {500, "{\n  \"message\": \"Guru meditation, come back when Universe is in order!\"\n}"},
        {503, "{\n  \"message\": \"Service Unavailable\"\n}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        busi_buf_clear(&response.body);
        surface_get(SURFACE_magic)->error(&response, rows[i].status);
        cr_assert_eq(response.status, rows[i].status);
        is_body(rows[i].body);
    }
}

Test(magic, roles_as_a_list)
{
    magic_write_roles(&response.body, BUSI_STR("admin,guest"));
    magic_write_roles(&response.body, BUSI_STR("root"));
    magic_write_roles(&response.body, (struct busi_str){0});
    is_body("[\"admin\",\"guest\"][\"root\"][]");
}

/* ---- dates ---- */

static int64_t date(const char *text)
{
    int64_t us = 0;
    return magic_date_read(busi_str_of(text), &us) ? us : -1;
}

Test(magic, dates)
{
    cr_assert_eq(date("1970-01-01"), 0);
    cr_assert_eq(date("2024-02-29"), INT64_C(1709164800000000));
    cr_assert_eq(date("2024-02-29T23:59:59.123456Z"), INT64_C(1709251199123456));
    cr_assert_eq(date("2024-02-29 23:59"), INT64_C(1709251140000000));
    cr_assert_eq(date("2024-03-01T01:30:00+01:30"), INT64_C(1709251200000000));
    cr_assert_eq(date("2024-03-01T01:30:00 01:30"), INT64_C(1709251200000000), "a + in a query");
    cr_assert_eq(date("2024-02-29T22:00:00-02:00"), INT64_C(1709251200000000));
    cr_assert_eq(date("2024-02-29T00:00:00.1Z"), INT64_C(1709164800100000));
    cr_assert_eq(date("2024-02-29T00:00:00.1234569Z"), INT64_C(1709164800123456));
    static const char *const wrong[] = {"",
                                        "2023-02-29",
                                        "2024-13-01",
                                        "2024-00-01",
                                        "2024-01-00",
                                        "1969-12-31",
                                        "2024-1-1",
                                        "2024-01-01T",
                                        "2024-01-01T24:00",
                                        "2024-01-01T00:60",
                                        "2024-01-01T00:00:60",
                                        "2024-01-01T00:00:00.",
                                        "2024-01-01T00:00:00.1234567891",
                                        "2024-01-01T00:00:00x",
                                        "2024-01-01T00:00:00+15:00",
                                        "2024-01-01T00:00:00+1:00",
                                        "20240101",
                                        "99999-01-01",
                                        "-2024-01-01",
                                        "1970-01-01T00:00:00+01:00",
                                        "2024-01-01 ",
                                        " 2024-01-01"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(date(wrong[i]), -1, "%s", wrong[i]);
}

Test(magic, dates_are_written_as_they_are_read)
{
    magic_date_write(&response.body, INT64_C(1709251199123456));
    magic_date_write(&response.body, 0);
    is_body("\"2024-02-29T23:59:59.123456Z\"\"1970-01-01T00:00:00.000000Z\"");
}

/* ---- Basic ---- */

static void is_basic(const char *header, enum basic_verdict verdict, const char *user, const char *password)
{
    struct basic basic;
    cr_assert_eq(basic_read(&request.call.arena, busi_str_of(header), &basic), verdict, "%s", header);
    cr_assert(busi_str_eq(basic.user, busi_str_of(user)), "%.*s", BUSI_ARG(basic.user));
    cr_assert(busi_str_eq(basic.password, busi_str_of(password)));
}

Test(magic, basic_credentials)
{
    is_basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", BASIC_FOUND, "Aladdin", "open sesame");
    is_basic("bASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ== ", BASIC_FOUND, "Aladdin", "open sesame");
    is_basic("Basic YTpiOmM=", BASIC_FOUND, "a", "b:c");
    is_basic("Basic Og==", BASIC_FOUND, "", "");
    is_basic("Basic YTrDpMO/w78=", BASIC_FOUND, "a", "\xc3\xa4\xc3\xbf\xc3\xbf");
    is_basic("Bearer abc", BASIC_NONE, NULL, NULL);
    is_basic("", BASIC_NONE, NULL, NULL);
    static const char *const broken[] = {"Basic ",         "Basic a",      "Basic QWxhZGRpbg==",
                                         "Basic Y!pi",     "Basic YTpi\n", "Basic YTrDpMO_w78=",
                                         "Basic YTr/",     "Basic YQA6",   "Basic YTpiOmM",
                                         "Basic YTpiOmN=", "Basic ====",   "Basic ="};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        is_basic(broken[i], BASIC_BROKEN, NULL, NULL);
}
