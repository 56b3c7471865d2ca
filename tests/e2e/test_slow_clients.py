"""Slow, large and greedy clients: nobody holds a thread for long, nobody starves the others."""
import contextlib, resource, socket, struct, time
import pytest
from raw import ADDRESS, ask, alive, connect, head, read_all, read_answer

JSON = "Content-Type: application/json"


def legitimate_p99(seconds=2):
    took, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        assert ask(head(headers=["Connection: close"])) == 200
        took.append(time.monotonic() - begin)
    return sorted(took)[int(len(took) * 0.99)]


@pytest.fixture
def many_files():
    """Descriptors for 10,000 connections of ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 11000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def opened(count):
    """So many connections begun at once, without a wait for any."""
    socks = []
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(ADDRESS)
        socks.append(sock)
    return socks


@pytest.mark.parametrize("begun", [b"", b"GET / HTT"], ids=["silent", "begun"])
@pytest.mark.parametrize("count", [100, 2000, 10000])
def test_s01_idle_connections(count, begun, many_files):
    idle = []
    try:
        idle = opened(count)
        for sock in idle if begun else ():
            sock.settimeout(1)
            with contextlib.suppress(OSError):
                sock.sendall(begun)
        assert legitimate_p99() < 0.25
    finally:
        for sock in idle:
            sock.close()


def test_s02_header_drip():
    begin = time.monotonic()
    with connect(20) as sock:
        try:
            for byte in head(headers=["X-A: " + "a" * 500]):
                sock.sendall(bytes([byte]))
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() - begin < 6
    assert alive()


def test_s03_body_drip_ends_at_the_deadline():
    begin = time.monotonic()
    with connect(30) as sock:
        sock.sendall(head("POST", "/api/users/signin", [JSON, "Content-Length: 1000"]))
        sock.settimeout(0.5)
        answer = b""
        while time.monotonic() - begin < 20:
            try:
                sock.sendall(b" ")
                answer += sock.recv(4096)
                if answer:
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - begin < 13  # the default deadline is 10 s
        assert not answer or answer.startswith(b"HTTP/1.1 408 ")
    assert alive()


def test_s06_a_refused_sender_is_cut_off():
    with connect(10) as sock:
        sock.sendall(head("POST", "/api/users/signin", [JSON, "Content-Length: 5000000000"]))
        begin = time.monotonic()
        try:
            while time.monotonic() - begin < 8:
                sock.sendall(b"x" * 65536)
        except OSError:
            pass
        assert time.monotonic() - begin < 3
    assert alive()


def test_s08_connect_and_go():
    for i in range(1500):
        sock = connect()
        if i % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    assert alive() and legitimate_p99(1) < 0.25


def test_s09_many_kept_connections():
    socks = [connect() for _ in range(256)]
    try:
        for sock in socks:
            sock.sendall(head())
        begin = time.monotonic()
        for sock in socks:
            assert read_answer(sock)[0] == 200
        assert time.monotonic() - begin < 1.5
    finally:
        for sock in socks:
            sock.close()


def test_s10_half_close():
    with connect() as sock:
        sock.sendall(head())
        sock.shutdown(socket.SHUT_WR)
        assert read_answer(sock)[0] == 200


def test_s12_forms():
    for body, wanted in ((b"a=b\0cd", (400,)), (b"%", (400,)), (b"%G1=1", (400,)), (b"&".join(b"a%d=1" % i for i in range(9000)), (400, 413)),
                         (b"a" * 60000, (400,))):
        begin = time.monotonic()
        assert ask(head("POST", "/api/users/signin", ["Content-Type: application/x-www-form-urlencoded",
                                                     f"Content-Length: {len(body)}"]) + body) in wanted
        assert time.monotonic() - begin < 1


def test_s13_multipart():
    def send(body, kind):
        return ask(head("POST", "/api/users/signin", [f"Content-Type: multipart/form-data{kind}", f"Content-Length: {len(body)}"]) + body)
    assert send(b"--x--", "") in (400, 415)
    assert send(b"--x--", "; boundary=" + "b" * 80) in (400, 415)
    assert send(b"p" * 60000, "; boundary=x") in (400, 413, 415)
    assert send(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 1000 + b"--x--\r\n", "; boundary=x") in (400, 413)
    assert send(b'--x\r\nContent-Disposition: form-data; name="f"; filename="../../x"\r\n\r\n1\r\n--x--\r\n', "; boundary=x") == 400
    assert send(b'--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n', "; boundary=x") in (400, 415)


def test_s14_queries():
    assert ask(head(target="/?" + "&".join(f"a{i}=1" for i in range(300)))) in (200, 400, 414)
    assert ask(head(target="/?a=" + "x" * 10240)) in (400, 414, 431)
