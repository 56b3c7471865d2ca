/* The strict head check over heads cut as CivetWeb cuts them: what is read, and every way a head may be
 * wrong. */
#include "gateway_cut.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static char bytes[65536];
static struct cut_room cut_up;
static struct http_request request;
static struct head_facts facts;

/* Status of a head; 400 also when CivetWeb itself refuses it. */
static int check(const char *head, size_t len)
{
    cr_assert(len < sizeof(bytes));
    memcpy(bytes, head, len);
    bytes[len] = 0;
    memset(&request, 0xAA, sizeof(request));
    facts = (struct head_facts){0};
    if (!cut(bytes, (int)len, &cut_up))
        return 400;
    return head_check(&cut_up.head, &request, &facts).status;
}
#define CHECK(literal) check(literal, sizeof(literal) - 1)
#define EXPECT(status, literal)                                                                              \
    do {                                                                                                     \
        int got = CHECK(literal);                                                                            \
        cr_expect(got == (status), "%d instead of %d for %s", got, status, literal);                         \
    } while (0)
#define WITH(lines) "POST /a HTTP/1.1\r\nHost: a\r\n" lines "\r\n"

static void expect_str(struct busi_str got, const char *want)
{
    cr_expect(busi_str_eq(got, busi_str_of(want)), "'%.*s' is not '%s'", BUSI_ARG(got), want);
}

Test(head_check, reads_a_plain_request)
{
    cr_assert(
        CHECK(
            "GET /a/b?c=d?e HTTP/1.1\r\nHost: example.org:4000\r\nAccept:  text/html \r\nX-Empty:\r\n\r\n") ==
        200);
    cr_expect(request.method == HTTP_GET);
    expect_str(request.path, "/a/b");
    expect_str(request.query, "c=d?e");
    cr_assert(request.n_headers == 3);
    expect_str(request.headers[1].name, "Accept");
    expect_str(request.headers[1].value, "text/html");
    expect_str(request.headers[2].value, "");
    cr_expect(request.content_length == -1);
    cr_expect(facts.keep_alive);
    cr_expect_not(facts.expects_continue);
}

Test(head_check, reads_lengths_and_wishes)
{
    cr_assert(CHECK(WITH("Content-Length: 0000000012\r\nExpect: 100-Continue\r\nConnection: close\r\n")) ==
              200);
    cr_expect(request.content_length == 12);
    cr_expect(facts.expects_continue);
    cr_expect_not(facts.keep_alive);
    cr_assert(CHECK(WITH("Connection: Keep-Alive\r\n")) == 200);
    cr_expect(facts.keep_alive);
    cr_assert(CHECK(WITH("Connection: keep-alive, TE\r\n")) == 200);
    cr_expect_not(facts.keep_alive);
    cr_assert(CHECK(WITH("Connection: keep-alive\r\nConnection: close\r\n")) == 200);
    cr_expect_not(facts.keep_alive);
    cr_assert(CHECK("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n") == 200);
    cr_expect_not(facts.keep_alive);
    cr_assert(CHECK(WITH("Content-Length: 0\r\nExpect: 100-continue\r\n")) == 200);
    cr_expect_not(facts.expects_continue);
}

Test(head_check, knows_seven_methods)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < 7; i++) {
        char head[64];
        int len = snprintf(head, sizeof(head), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", names[i]);
        cr_expect(check(head, (size_t)len) == 200);
        cr_expect((unsigned)request.method == 1u << i);
    }
    EXPECT(501, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(501, "get / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n");
}

Test(head_check, request_lines)
{
    EXPECT(400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n");
    EXPECT(400, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(400, "GET / HTTP/1.1\nHost: a\r\n\r\n");
    EXPECT(400, "GET / HTTP/1.1\r\n\r\n\r\nHost: a\r\n\r\n");
    EXPECT(400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n");
    EXPECT(400, "GET / http/1.1\r\nHost: a\r\n\r\n");
    EXPECT(400, "GET /\r\n\r\n");
    EXPECT(400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT(400, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
}

Test(head_check, request_line_too_long)
{
    static char head[4096];
    memset(head, 'a', sizeof(head));
    memcpy(head, "GET /", 5);
    static const char rest[] = " HTTP/1.1\r\nHost: a\r\n\r\n";
    const size_t fits = HEAD_MAX_REQUEST_LINE - 11; /* " HTTP/1.1" and its line end */
    memcpy(head + fits, rest, sizeof(rest) - 1);
    cr_expect(check(head, fits + sizeof(rest) - 1) == 200);
    head[fits] = 'a';
    memcpy(head + fits + 1, rest, sizeof(rest) - 1);
    cr_expect(check(head, fits + sizeof(rest)) == 414);
}

Test(head_check, header_lines)
{
    EXPECT(400, WITH("X : 1\r\n"));
    EXPECT(400, WITH("X  : \r\n"));
    EXPECT(400, WITH("X :\r\n"));
    EXPECT(400, WITH("X: 1\r\n folded\r\nContent-Length: 5\r\n"));
    EXPECT(400, WITH("X: 1\r\n\tfolded\r\n"));
    EXPECT(400, WITH(": v\r\nAuthorization: x\r\n"));
    EXPECT(400, WITH("no colon\r\n"));
    EXPECT(400, WITH("X(Y): 1\r\n"));
    EXPECT(400, WITH("X\xe9: 1\r\n"));
    EXPECT(400, WITH("X: 1\nY: 2\r\n"));
    EXPECT(400, WITH("X: 1\n"));
    EXPECT(400, WITH("X: 1\rY: 2\r\n"));
    EXPECT(400, WITH("X: a\x01\x62\r\n"));
    EXPECT(400, WITH("X: a\x7f\x62\r\n"));
    EXPECT(400, WITH("X: a\0b\r\n"));
    EXPECT(400, "GET / HTTP/1.1\r\nHost: a\r\n\n");
    EXPECT(400, "GET / HTTP/1.1\r\nHost: a\n\r\n");
    EXPECT(400, "GET / HTTP/1.1\nHost: a\n\n");
    EXPECT(200, WITH("X: caf\xe9 \x80\xff\r\n"));
}

Test(head_check, header_count)
{
    char head[2048] = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 62; i++)
        strcat(head, "X: 1\r\n");
    size_t len = strlen(head);
    memcpy(head + len, "\r\n", 3);
    cr_expect(check(head, len + 2) == 200);
    cr_expect(request.n_headers == 63);
    for (int more = 1; more <= 3; more++) {
        strcpy(head + len, "Authorization: x\r\n\r\n");
        len += sizeof("Authorization: x\r\n") - 1;
        cr_expect(check(head, len + 2) == 431);
    }
}

Test(head_check, framing)
{
    EXPECT(400, WITH("Content-Length: 5\r\nContent-Length: 5\r\n"));
    EXPECT(400, WITH("Content-Length: 5, 5\r\n"));
    EXPECT(400, WITH("Content-Length: +5\r\n"));
    EXPECT(400, WITH("Content-Length: -1\r\n"));
    EXPECT(400, WITH("Content-Length: 5abc\r\n"));
    EXPECT(400, WITH("Content-Length: 0x5\r\n"));
    EXPECT(400, WITH("Content-Length: 1e3\r\n"));
    EXPECT(400, WITH("Content-Length: 5 5\r\n"));
    EXPECT(400, WITH("Content-Length:\r\n"));
    EXPECT(400, WITH("Content-Length: \xd9\xa5\r\n"));
    EXPECT(400, WITH("Content-Length: 12345678901\r\n"));
    EXPECT(200, WITH("Content-Length: 1234567890 \r\n"));
    EXPECT(411, WITH("Transfer-Encoding: chunked\r\n"));
    EXPECT(400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    EXPECT(400, WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"));
    EXPECT(400, WITH("Transfer-Encoding: identity\r\n"));
    EXPECT(400, WITH("Transfer-Encoding: gzip, chunked\r\n"));
    EXPECT(400, WITH("Content-Length: 5\r\ntransfer-encoding: chunked\r\n"));
    EXPECT(400, WITH("TRANSFER-ENCODING: chunked\r\nContent-Length: 0\r\n"));
    EXPECT(400, WITH("Upgrade: h2c\r\n"));
    EXPECT(400, WITH("Authorization: a\r\nauthorization: b\r\n"));
    EXPECT(400, WITH("Content-Type: a\r\nContent-Type: a\r\n"));
    EXPECT(400, WITH("Cookie: a\r\nCookie: b\r\n"));
    EXPECT(417, WITH("Expect: foo\r\n"));
    EXPECT(400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    EXPECT(200, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    EXPECT(200, "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
}

Test(head_check, hosts)
{
#define HOST(value) "GET / HTTP/1.1\r\nHost:" value "\r\n\r\n"
    EXPECT(200, HOST("a"));
    EXPECT(200, HOST(" 127.0.0.1:4000"));
    EXPECT(200, HOST(" [::1]:4000"));
    EXPECT(200, HOST(" [2001:db8::1]"));
    EXPECT(200, HOST(" some_thing.example-1.org:65535"));
    EXPECT(400, "GET / HTTP/1.1\r\nX: a\r\n\r\n");
    EXPECT(400, "GET / HTTP/1.1\r\n\r\n");
    EXPECT(400, "GET / HTTP/1.0\r\n\r\n");
    EXPECT(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    EXPECT(400, HOST(""));
    EXPECT(400, HOST(" a/b"));
    EXPECT(400, HOST(" u@a"));
    EXPECT(400, HOST(" a,b"));
    EXPECT(400, HOST(" a b"));
    EXPECT(400, HOST(" a:"));
    EXPECT(400, HOST(" a:b"));
    EXPECT(400, HOST(" a:65536"));
    EXPECT(400, HOST(" :80"));
    EXPECT(400, HOST(" [::1"));
    EXPECT(400, HOST(" [::1]x"));
    EXPECT(400, HOST(" [x]"));
    EXPECT(400, HOST(" a\xe9"));
}

Test(head_check, targets)
{
#define TARGET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
    EXPECT(200, TARGET("/"));
    EXPECT(200, TARGET("//a//b"));
    EXPECT(200, TARGET("/a..b/.c/d./..."));
    EXPECT(200, TARGET("/%41;v=1?x=%2F%2e%25%5C&y=.."));
    EXPECT(200, TARGET("/?"));
    cr_assert(CHECK(TARGET("/?")) == 200 && request.query.ptr && request.query.len == 0);
    cr_assert(CHECK(TARGET("/")) == 200 && !request.query.ptr);
    EXPECT(400, TARGET("a"));
    EXPECT(400, TARGET("?a"));
    EXPECT(400, TARGET("/../a"));
    EXPECT(400, TARGET("/a/./b"));
    EXPECT(400, TARGET("/a/.."));
    EXPECT(400, TARGET("/."));
    EXPECT(400, TARGET("/%2e%2E"));
    EXPECT(400, TARGET("/a%2fb"));
    EXPECT(400, TARGET("/a%5cb"));
    EXPECT(400, TARGET("/a\\b"));
    EXPECT(400, TARGET("/%252e"));
    EXPECT(400, TARGET("/a%00"));
    EXPECT(400, TARGET("/?a=%00"));
    EXPECT(400, TARGET("/%zz"));
    EXPECT(400, TARGET("/%1"));
    EXPECT(400, TARGET("/a%"));
    EXPECT(400, TARGET("/?a=%4"));
    EXPECT(400, TARGET("/a#b"));
    EXPECT(400, TARGET("/?a#b"));
    EXPECT(400, TARGET("/?a\\b"));
    EXPECT(400, TARGET("/caf\xe9"));
    EXPECT(400, TARGET("/?\x80"));
}

Test(head_check, tells_the_path_only_of_a_good_target)
{
    cr_assert(CHECK("GET /known HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n") == 400);
    expect_str(request.path, "/known");
    cr_assert(CHECK("GET /../known HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    cr_expect_null(request.path.ptr);
}

/* Every single-byte change of a good head is either refused or means the same as the bytes say. */
Test(head_check, single_byte_changes)
{
    static const char good[] = "POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    for (size_t i = 0; i + 1 < sizeof(good); i++) {
        for (int byte = 0; byte < 256; byte++) {
            char head[sizeof(good)];
            memcpy(head, good, sizeof(good));
            head[i] = (char)byte;
            if (check(head, sizeof(good) - 1) != 200)
                continue;
            char digits[64] = "";
            memcpy(digits, request.headers[1].value.ptr, request.headers[1].value.len);
            bool framing = busi_str_ieq(request.headers[1].name, BUSI_STR("content-length"));
            cr_expect(request.n_headers == 2);
            cr_expect(request.content_length == (framing ? atoi(digits) : -1), "byte %zu is %d", i, byte);
        }
    }
}
