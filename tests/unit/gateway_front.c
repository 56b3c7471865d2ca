/* The front: its answers, and which heads it refuses. */
#include "gateway_front_kit.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(front, .init = start_front, .fini = stop_front, .timeout = 30);

/* ---- answers ---- */

Test(front, answers_with_its_headers)
{
    ask("GET /a?b=c HTTP/1.1\r\n" HOST "\r\n");
    cr_expect(strncmp(got, "HTTP/1.1 200 OK\r\nDate: ", 23) == 0, "%s", got);
    expect_header("Content-Type: text/plain");
    expect_header("Content-Length: 7");
    expect_header("Cache-Control: max-age=0, private, must-revalidate");
    expect_header("X-Content-Type-Options: nosniff");
    expect_no_header("Connection");
    cr_expect_str_eq(body(), "/a|b=c|");
    cr_expect_not(was_closed);
    cr_expect(atomic_load(&done_calls) == 1);
}

Test(front, leaves_out_bodies_where_there_are_none)
{
    ask("HEAD /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    expect_header("Content-Length: 4");
    cr_expect_str_eq(body(), "");
    ask("GET /empty HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    cr_expect_str_eq(statuses(), "204");
    expect_no_header("Content-Length");
    expect_no_header("Content-Type");
    cr_expect_str_eq(body(), "");
}

Test(front, says_what_the_application_asks_for)
{
    ask("GET /secret HTTP/1.1\r\n" HOST "\r\n");
    expect_header("Cache-Control: no-store");
    expect_header("Link: </b>; rel=\"next\"");
    cr_expect(!strstr(got, "Evil"));
    ask("GET /busy HTTP/1.1\r\n" HOST "\r\n");
    cr_expect_str_eq(statuses(), "503");
    expect_header("Retry-After: 2");
}

Test(front, names_requests)
{
    ask("GET / HTTP/1.1\r\n" HOST "X-Request-Id: my-id.1_A\r\n\r\n");
    expect_header("X-Request-Id: my-id.1_A");
    static const char *const unfit[] = {
        "a\"b", "a b",  "",
        "<x>",  "\xe9", "12345678901234567890123456789012345678901234567890123456789012345"};
    for (size_t i = 0; i < sizeof(unfit) / sizeof(unfit[0]); i++) {
        char head[256];
        snprintf(head, sizeof(head), "GET / HTTP/1.1\r\n" HOST "X-Request-Id: %s\r\n\r\n", unfit[i]);
        ask(head);
        const char *id = strstr(got, "X-Request-Id: ");
        cr_assert(id);
        cr_expect(strspn(id + 14, "0123456789abcdef") == 32, "%s", got);
    }
    ask("GET / HTTP/1.1\r\n" HOST "X-Request-Id: a\r\nX-Request-Id: b\r\n\r\n");
    cr_expect(!strstr(got, "X-Request-Id: a\r") && !strstr(got, "X-Request-Id: b\r"));
}

Test(front, takes_over_a_traceparent)
{
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ask("GET / HTTP/1.1\r\n" HOST "traceparent: " TRACE "\r\n\r\n");
    cr_expect_str_eq(last_trace, TRACE);
    ask("GET / HTTP/1.1\r\n" HOST
        "traceparent: 00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n");
    cr_expect_str_eq(last_trace, "");
    ask("GET / HTTP/1.1\r\n" HOST
        "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n\r\n");
    cr_expect_str_eq(last_trace, "");
}

Test(front, keeps_connections)
{
    ask(BEHIND "POST /b HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz"
               "GET /c HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" BEHIND);
    cr_expect_str_eq(statuses(), "200 200 200");
    cr_expect(was_closed);
    cr_expect(strstr(got, "/b||xyz"));
    ask("GET / HTTP/1.0\r\n" HOST "\r\n" BEHIND);
    cr_expect_str_eq(statuses(), "200");
    expect_header("Connection: close");
    int s = dial();
    say(s, BEHIND);
    hear(s, HEAD_MS * 4);
    cr_expect(was_closed, "an idle connection is ended");
    cr_expect_str_eq(statuses(), "200");
    close(s);
}

/* ---- heads ---- */

Test(front, refuses_ambiguous_framing)
{
    expect_refused(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    expect_refused(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n");
    expect_refused(400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: 5, 5\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: +5\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: 5abc\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: 0x5\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: -1\r\n\r\nhello");
    expect_refused(400, POST "Content-Length:\r\n\r\nhello");
    expect_refused(400, POST "Content-Length: 12345678901234567890123\r\n\r\nhello");
    expect_refused(400, POST "Transfer-Encoding: xchunked\r\n\r\n");
    expect_refused(400, POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    expect_refused(411, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    expect_refused(400, "POST /a HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

Test(front, refuses_odd_lines)
{
    expect_refused(400, GET "Content-Length : 5\r\n\r\n");
    expect_refused(400, GET "X: 1\r\n folded\r\nContent-Length: 5\r\n\r\n");
    expect_refused(400, GET ": v\r\nAuthorization: x\r\n\r\n");
    expect_refused(400, GET "no colon\r\n\r\n");
    expect_refused(400, "GET /a HTTP/1.1\r\n " HOST "\r\n");
    expect_refused(400, GET "X: a\x01\r\n\r\n");
    expect_refused(400, GET "X: a\tb\r\n\r\n");
    expect_refused(400, GET "X: a\rb\r\n\r\n");
    expect_refused(400, GET "X: a\nY: b\r\n\r\n");
    expect_refused(400, "GET /a HTTP/1.1\nHost: a\n\n");
    expect_refused(400, "GET /a HTTP/1.1\r\nHost: a\r\n\n");
    expect_refused(400, "\r\n\r\nPOST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz");
    expect_refused(400, "GET  /a HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(400, "GET /a HTTP/1.1 \r\n" HOST "\r\n");
    expect_refused(505, "GET /a HTTP/1.1<script>\r\n" HOST "\r\n");
    cr_expect(!strstr(got, "script"));
    expect_refused(505, "GET /a HTTP/4294967295.255\r\n" HOST "\r\n");
    expect_refused(400, "GET /a\r\n\r\n");
    expect_refused(400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect_refused(400, "GET /a HTTP/1.1\r\n\r\n");
    expect_refused(400, GET HOST "\r\n");
}

Test(front, refuses_what_it_does_not_speak)
{
    expect_refused(501, "FOO /a HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(501, "TRACE /a HTTP/1.1\r\n" HOST "X: reflected\r\n\r\n");
    cr_expect(!strstr(got, "reflected"));
    expect_refused(501, "PROPFIND /a HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(400, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(400, "GET http://localhost/ HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(400, "GET http://evil.example/ HTTP/1.1\r\n" HOST "\r\n");
    expect_refused(417, POST "Content-Length: 2\r\nExpect: foo\r\n\r\n{}");
    expect_refused(400, GET "Content-Length: 5\r\n\r\nhello");
    expect_refused(400, GET "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    expect_refused(400, GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
    int s = dial();
    say_bytes(s, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00", 13);
    hear(s, 1000);
    cr_expect_str_eq(statuses(), "400");
    cr_expect(was_closed);
    close(s);
}

static void expect_long(int status, size_t target, size_t header)
{
    static char head[2 << 20];
    size_t n = (size_t)sprintf(head, "GET /known?");
    memset(head + n, 'a', target);
    n += target;
    n += (size_t)sprintf(head + n, " HTTP/1.1\r\n" HOST "X: ");
    memset(head + n, 'b', header);
    n += header;
    n += (size_t)sprintf(head + n, "\r\n\r\n");
    int s = dial();
    (void)!send(s, head, n, MSG_NOSIGNAL);
    hear(s, 1000);
    close(s);
    cr_expect(atoi(statuses()) == status, "%s instead of %d for %zu+%zu", statuses(), status, target, header);
    cr_expect(status == 200 || was_closed);
}

Test(front, bounds_heads)
{
    expect_long(200, 1000, 6000);
    expect_long(431, 10, 8192);
    cr_expect(strstr(got, "refused 431 /known"));
    expect_long(431, 10, 16384);
    expect_long(431, 10, 1 << 20);
    expect_long(414, 2048, 10);
    expect_long(414, 10240, 10);
}
