"""The framing corpus: what two parsers could read differently. test_framing.py says what the gateway answers,
test_proxies.py sends the same bytes through proxies."""
from raw import head

SMUGGLED = b"GET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
JSON = "Content-Type: application/json"


def post(*headers, body=b"", target="/api/users/signin"):
    return head("POST", target, [JSON, *headers]) + body


LENGTH_AND_CODING = [
    ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 5"],
]
LENGTHS = [("5", "6"), ("5", "5"), ("5, 5",), ("5, 6",), ("+5",), ("5abc",), ("0x5",), ("1e3",), ("5 5",),
           ("-1",), ("",), ("12345678901234567890123",), ("\u00d9\u00a5",)]
CODINGS = ["chunked", "xchunked", "gzip, chunked", "chunked, gzip", "identity", ",chunked", "chunked,",
           "chunked ", "\tchunked", "chunked\x0b", "\xa0chunked", "chunked\x85"]
CODINGS_TWICE = [("identity", "chunked"), ("chunked", "chunked"), ("identity", "identity")]
CHUNK_SIZES = ["5;a=b", "0x5", "+5", "-5", "5_0", " 5", "", "0" * 70, "05\r5", "FFFFFFFFFFFFFFFF", "8000000000000000"]
HEADER_LINES = [
    b"Content-Length : 5\r\n",
    b"Content-Length\t: 5\r\n",
    b"X-A: 1\r\n folded\r\nContent-Length: 5\r\n",
    b"X-A: 1\r\n\tfolded\r\n",
    b": v\r\nAuthorization: Bearer x\r\n",
    b"no colon\r\n",
    b"Bad Name: x\r\n",
    b"X-A: a\x00b\r\n",
    b"X-A: \x00ab\r\n",
    b"X-A: ab\x00\r\n",
    b"X-A: a\x01b\r\n",
    b"X-A: a\x7fb\r\n",
    b"X-A: a\x1bb\r\n",
    b"X-A: a\rb\r\n",
    b"X-A: 1\rX-B: 2\r\n",
    b"X-A: 1\nX-B: 2\r\n",
    b"X-(A): 1\r\n",
]
HEAD_ENDS = [b"\n\r\n", b"\r\n\n", b"\r\n\rX"]
LAST_HEADERS = ["Transfer-Encoding: chunked", "Content-Length: 5", "Host: evil", "Authorization: Bearer x"]
HOSTS = [[], ["a", "b"], ["a", "a"], [""], ["a/b"], ["user@a"], ["a,b"], ["a:b"], ["a:99999"], ["a b"]]
REQUEST_LINES = [b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1", b" GET / HTTP/1.1",
                 b"GET / HTTP/1.1 ", b"GET\x0b/ HTTP/1.1", b"GET / HTTP/1.1<script>", b"GET / HTTP/4294967295.255",
                 b"GET / HTTP/01.1", b"GET / http/1.1", b"GET /", b"GET", b"PRI * HTTP/2.0", b"GET / HTTP/2.0",
                 b"GET / HTTP/1.1 x"]
UPGRADE = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]
WEBSOCKET = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
METHODS = ["get", "FOO", "A" * 5000, "G@T", "TRACE", "CONNECT", "PROPFIND", "MKCOL", "LOCK"]
NOISE = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, b"SSH-2.0-OpenSSH_9.2\r\n",
         b"EHLO evil\r\nMAIL FROM:<a@b>\r\n", b"\x00" * 300, b"\xff" * 300, bytes(range(256)), b"\r\n" * 50]
REPEATED = ["Authorization", "Content-Type"]


def lengths(values):
    return post(*[f"Content-Length: {v}" for v in values], body=b"hello")


def chunks(size):
    return post("Transfer-Encoding: chunked", body=size.encode() + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED)


def header_line(line):
    return b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n" + SMUGGLED


def many_headers(last):
    return head(headers=[f"X-{i}: {i}" for i in range(63)] + [last]) + SMUGGLED


def blank_lines():
    body = b'{"email":"x@example.com","password":"GET /api/smuggled HTTP/1.1"}'
    return b"\r\n\r\n" + post(f"Content-Length: {len(body)}", body=body)


def corpus():
    """All of it: what a client sends on one connection."""
    yield from (post(*pair, body=b"0\r\n\r\n" + SMUGGLED) for pair in LENGTH_AND_CODING)
    yield from (lengths(values) + SMUGGLED for values in LENGTHS)
    yield from (post(f"Transfer-Encoding: {c}", body=b"5\r\nhello\r\n0\r\n\r\n" + SMUGGLED) for c in CODINGS)
    yield from (post(*[f"Transfer-Encoding: {c}" for c in pair], "Content-Length: 0", body=SMUGGLED) for pair in CODINGS_TWICE)
    yield head("POST", "/api/users/signin", [JSON, "Transfer-Encoding: chunked"], version="HTTP/1.0") + b"0\r\n\r\n" + SMUGGLED
    yield from map(chunks, CHUNK_SIZES)
    yield from map(header_line, HEADER_LINES)
    yield from (b"GET / HTTP/1.1\r\n" + space + b"Host: localhost\r\n\r\n" + SMUGGLED for space in (b" ", b"\t"))
    yield b"GET / HTTP/1.1\nHost: localhost\n\n" + SMUGGLED
    yield from (b"GET / HTTP/1.1\r\nHost: localhost" + end + SMUGGLED for end in HEAD_ENDS)
    yield head(headers=["X-A: caf\xe9 \x80\xff"]) + SMUGGLED
    yield from map(many_headers, LAST_HEADERS)
    yield head(headers=["X-A: " + "a" * 8193]) + SMUGGLED
    yield head(target="/" + "a" * 3000) + SMUGGLED
    yield from (head(headers=[f"Host: {h}" for h in hosts], host=False) + SMUGGLED for hosts in HOSTS)
    yield blank_lines() + SMUGGLED
    yield from (line + b"\r\nHost: localhost\r\n\r\n" + SMUGGLED for line in REQUEST_LINES)
    yield head(headers=UPGRADE) + SMUGGLED
    yield head(headers=WEBSOCKET) + SMUGGLED
    yield from (head(method) + SMUGGLED for method in METHODS)
    yield from (head("GET", target) + SMUGGLED for target in ("*", "http://localhost/", "http://evil.example/", "/%00", "/a/../b", "//a"))
    yield head("OPTIONS", "*") + SMUGGLED
    yield post("Content-Length: 2", "Expect: foo", body=b"{}") + SMUGGLED
    yield post("Content-Length: 2", "Expect: 100-continue", body=b"{}") + SMUGGLED
    yield post("Content-Length: 99999999") + SMUGGLED
    yield head(headers=["Content-Length: 5"]) + b"hello" + SMUGGLED
    yield head() + head(target="/nowhere") + head(headers=["Content-Length: x"]) + SMUGGLED
    yield from (noise + SMUGGLED for noise in NOISE)
    yield from (head(headers=[f"X-Request-Id: {i}"]) + SMUGGLED for i in ("my-id", "a" * 65, 'a"b'))
    yield from (head("GET", "/api/businesses", [f"{name}: Bearer a", f"{name}: Bearer b"]) + SMUGGLED for name in REPEATED)
