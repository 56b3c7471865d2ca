"""Raw bytes to the gateway and back: for requests no HTTP library would send."""
import os, re, socket, time

HOST, PORT = re.match(r"http://([^:]+):(\d+)", os.environ["BUSI_TEST_URL"]).groups()
ADDRESS = (HOST, int(PORT))
CRLF = b"\r\n"


def connect(timeout=8):
    return socket.create_connection(ADDRESS, timeout=timeout)


def head(method="GET", target="/", headers=(), version="HTTP/1.1", host=True):
    lines = [f"{method} {target} {version}"] + (["Host: localhost"] if host else []) + list(headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def read_all(sock, seconds=8):
    """Everything until the peer closes, resets or is silent for that long."""
    got, end = b"", time.monotonic() + seconds
    while True:
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            more = sock.recv(65536)
        except (TimeoutError, ConnectionResetError):
            return got
        if not more:
            return got
        got += more


def read_answer(sock, seconds=8, to_head=False):
    """One whole answer (by Content-Length): (status, headers in lower case, body); None when closed without one."""
    got, end = b"", time.monotonic() + seconds
    while b"\r\n\r\n" not in got:
        sock.settimeout(max(0.01, end - time.monotonic()))
        try:
            more = sock.recv(65536)
        except (ConnectionResetError, TimeoutError):
            return None
        if not more:
            return None
        got += more
    top, _, body = got.partition(b"\r\n\r\n")
    lines = top.decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Za-z' -]+", lines[0])
    assert status, f"status line {lines[0]!r}"
    headers = dict(line.lower().split(": ", 1) if i == 0 else (line.split(": ", 1)[0].lower(), line.split(": ", 1)[1])
                   for i, line in enumerate(lines[1:]))
    length = 0 if to_head or status.group(1) in ("204", "304", "100") else int(headers.get("content-length", 0))
    while len(body) < length:
        sock.settimeout(max(0.01, end - time.monotonic()))
        more = sock.recv(65536)
        assert more, "closed within the body"
        body += more
    return int(status.group(1)), headers, body


def ask(data, seconds=8):
    """Sends the bytes on a connection of their own; status of the first answer, 0 when closed without one."""
    with connect(seconds) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass
        answer = read_answer(sock, seconds)
        return answer[0] if answer else 0


def ask_all(data, seconds=4):
    """Sends the bytes; (statuses of every answer, closed by the gateway?)."""
    with connect(seconds) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass
        got = read_all(sock, seconds)
        return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)], got


def alive():
    """The next legitimate request is served."""
    return ask(head()) == 200
