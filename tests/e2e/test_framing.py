"""Request framing and heads: what two parsers could read differently is refused."""
import socket, struct, time
import pytest
import framing
from framing import JSON, SMUGGLED, post
from raw import ask, ask_all, alive, connect, head, read_answer


@pytest.fixture(autouse=True)
def still_serves():
    yield
    assert alive()


def refused(data, *statuses, close_is_fine=False, seconds=8):
    """One refusal, then the connection ends: nothing behind it is ever answered."""
    got, raw = ask_all(data, seconds)
    if close_is_fine and not got:
        return
    assert len(got) == 1 and got[0] in statuses, (got, raw[:200])


@pytest.mark.parametrize("headers", framing.LENGTH_AND_CODING)
def test_h01_length_and_transfer_encoding(headers):
    refused(post(*headers, body=b"0\r\n\r\n" + SMUGGLED), 400)


@pytest.mark.parametrize("values", framing.LENGTHS)
def test_h02_to_h07_content_length(values):
    begin = time.monotonic()
    refused(framing.lengths(values), 400)
    assert time.monotonic() - begin < 6


def test_h08_too_long_is_told_before_the_body_comes():
    with connect() as sock:
        sock.sendall(head("POST", "/api/users/signin", [JSON, "Content-Length: 999999999"]))
        begin = time.monotonic()
        status, headers, body = read_answer(sock)
        assert status == 413 and time.monotonic() - begin < 1
        assert headers["connection"] == "close" and b"Request Entity Too Large" in body


@pytest.mark.parametrize("coding", framing.CODINGS)
def test_h10_to_h13_transfer_encoding(coding):
    refused(post(f"Transfer-Encoding: {coding}", body=b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), 400, 411, 501)


def test_h11_h12_transfer_encoding_twice():
    for pair in framing.CODINGS_TWICE:
        refused(post(*[f"Transfer-Encoding: {c}" for c in pair], "Content-Length: 0", body=SMUGGLED), 400, 411, 501)


def test_h14_chunked_on_http_1_0():
    refused(head("POST", "/api/users/signin", [JSON, "Transfer-Encoding: chunked"], version="HTTP/1.0") + b"0\r\n\r\n" + SMUGGLED,
            400, 411, 501)


@pytest.mark.parametrize("size", framing.CHUNK_SIZES)
def test_h16_to_h20_chunks_are_never_read(size):
    refused(framing.chunks(size), 400, 411, 501)


@pytest.mark.parametrize("line", framing.HEADER_LINES)
def test_h22_to_h30_header_lines(line):
    refused(framing.header_line(line), 400)


def test_h26_first_header_line_begins_with_space():
    refused(b"GET / HTTP/1.1\r\n Host: localhost\r\n\r\n" + SMUGGLED, 400)
    refused(b"GET / HTTP/1.1\r\n\tHost: localhost\r\n\r\n" + SMUGGLED, 400)


def test_h31_bare_lf_lines():
    refused(b"GET / HTTP/1.1\nHost: localhost\n\n" + SMUGGLED, 400, close_is_fine=True)


@pytest.mark.parametrize("end", framing.HEAD_ENDS)
def test_h32_odd_ends_of_the_head(end):
    refused(b"GET / HTTP/1.1\r\nHost: localhost" + end, 400, 408, close_is_fine=True, seconds=6)


def test_h34_high_bytes_in_a_value_are_opaque():
    assert ask(head(headers=["X-A: caf\xe9 \x80\xff"])) in (200, 400)


@pytest.mark.parametrize("last", framing.LAST_HEADERS)
def test_h35_a_65th_header_is_not_overlooked(last):
    refused(framing.many_headers(last), 400, 431)


@pytest.mark.parametrize("size", [8 * 1024 + 1, 16 * 1024 + 1, 1024 * 1024])
def test_h36_head_too_large(size):
    statuses, _ = ask_all(head(headers=["X-A: " + "a" * size]) + SMUGGLED)
    # the kernel may throw the answer away when the client is still sending
    assert statuses in ([431], []) and (size > 100_000 or statuses in ([431], [200, 404]) or size == 8 * 1024 + 1)


def test_h37_request_line_too_long():
    assert ask(head(target="/" + "a" * 3000)) == 414


@pytest.mark.parametrize("hosts", framing.HOSTS)
def test_h38_host(hosts):
    refused(head(headers=[f"Host: {h}" for h in hosts], host=False) + SMUGGLED, 400)


def test_h40_blank_lines_before_a_request():
    statuses, _ = ask_all(framing.blank_lines())
    assert len(statuses) <= 1 and 404 not in statuses


@pytest.mark.parametrize("line", framing.REQUEST_LINES)
def test_h41_to_h46_request_line(line):
    statuses, raw = ask_all(line + b"\r\nHost: localhost\r\n\r\n" + SMUGGLED, 5)
    assert statuses in ([400], [505], []), raw[:200]
    assert b"script" not in raw and b"4294967295" not in raw
    if statuses:
        assert raw.startswith((b"HTTP/1.1 400 Bad Request\r\n", b"HTTP/1.1 505 "))


def test_h46_upgrade_to_http2():
    refused(head(headers=framing.UPGRADE) + SMUGGLED, 400, 426)


@pytest.mark.parametrize("method", framing.METHODS)
def test_h47_h49_methods(method):
    statuses, raw = ask_all(head(method, headers=["X-Secret: reflected"]))
    assert statuses and statuses[0] in (400, 405, 414, 431, 501) and b"reflected" not in raw


def test_h48_a_wrong_verb_is_404_on_busi():
    assert ask(head("PUT", "/api/users/signup", ["Content-Length: 0"])) == 404
    assert ask(head("OPTIONS", "/api/businesses")) == 404


def test_h50_asterisk_and_absolute_form():
    assert ask(head("OPTIONS", "*")) in (0, 200, 204, 400, 404)
    assert ask(head("GET", "http://localhost/")) in (0, 200, 400)
    assert ask(head("GET", "http://evil.example/")) in (0, 400, 421)


def test_h52_expect():
    refused(post("Content-Length: 2", "Expect: foo", body=b"{}"), 417)
    with connect() as sock:
        sock.sendall(post("Content-Length: 2", "Expect: 100-continue"))
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"{}")
        assert read_answer(sock)[0] == 400  # no email, no password


def test_h52_expect_gets_the_final_status_when_refused():
    with connect() as sock:
        sock.sendall(post("Content-Length: 99999999", "Expect: 100-continue"))
        assert read_answer(sock)[0] == 413


def test_h53_get_with_a_body():
    refused(head(headers=["Content-Length: 5"]) + b"hello" + SMUGGLED, 400)
    assert ask(head(headers=["Content-Length: 0"])) == 200


def test_h54_pipelined():
    statuses, _ = ask_all(head() + head(target="/nowhere") + head(headers=["Connection: close"]))
    assert statuses == [200, 404, 200]
    statuses, _ = ask_all(head() + head(headers=["Content-Length: x"]) + SMUGGLED)
    assert statuses in ([200, 400], [200])


def test_h55_websocket():
    statuses, raw = ask_all(head(headers=framing.WEBSOCKET))
    assert statuses in ([400], [426]) and raw.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_h56_short_body_changes_nothing(how):
    email = f"short-{how}-{time.time_ns()}@example.com"
    body = b'{"user":{"email":"%s","password":"correct horse"}}' % email.encode()
    sock = connect()
    sock.sendall(post(f"Content-Length: {len(body) + 10}", target="/api/users/signup", body=body))
    if how == "fin":
        sock.shutdown(socket.SHUT_WR)
        answer = read_answer(sock)
        assert answer is None or answer[0] in (400, 408)
    else:
        time.sleep(0.1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    time.sleep(0.3)
    login = b'{"email":"%s","password":"correct horse"}' % email.encode()
    assert ask(post(f"Content-Length: {len(login)}", body=login)) == 401


@pytest.mark.parametrize("noise", framing.NOISE)
def test_h58_noise(noise):
    statuses, raw = ask_all(noise, 5)
    assert statuses in ([400], [], [408], [501]), raw[:200]


def test_h59_h60_request_id_is_never_the_clients_junk():
    with connect() as sock:
        sock.sendall(head(headers=["X-Request-Id: my-id.1_A"]))
        assert read_answer(sock)[1]["x-request-id"] == "my-id.1_A"
        for junk in ("a" * 65, 'a"b', "a b", "\x80", "<x>"):
            sock.sendall(head(headers=[f"X-Request-Id: {junk}"]))
            answer = read_answer(sock)
            assert answer and answer[1]["x-request-id"] != junk and len(answer[1]["x-request-id"]) == 32


def test_h61_forwarded_headers_change_nothing():
    assert ask(head(headers=["X-Forwarded-For: 127.0.0.1", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.1.1.1", "X-User-Id: 1"],
                    target="/api/businesses")) == 401


@pytest.mark.parametrize("name", framing.REPEATED)
def test_h62_repeated_headers(name):
    refused(head("GET", "/api/businesses", [f"{name}: Bearer a", f"{name}: Bearer b"]) + SMUGGLED, 400)
