"""More than can be served is refused at once with 503 and Retry-After; what is accepted keeps its deadline."""
import json, selectors, socket, time
import stack

DEADLINE_S = 5.0 + 0.5  # of the password routes, and the grace of faults.md I9


def burst(count, requests):
    """Sends a request on that many connections at once, one for all or a list: [(status, seconds, headers)], status 0 without an
    answer."""
    poll, begin, answers = selectors.DefaultSelector(), time.monotonic(), []
    for i in range(count):
        sock = socket.create_connection((stack.HOST, int(stack.PORT)), timeout=5)
        sock.sendall(requests if isinstance(requests, bytes) else requests[i])
        sock.setblocking(False)
        poll.register(sock, selectors.EVENT_READ, bytearray())
    while poll.get_map() and time.monotonic() - begin < 15:
        for key, _ in poll.select(timeout=1):
            try:
                more = key.fileobj.recv(65536)
            except ConnectionResetError:
                more = b""
            key.data.extend(more)
            head, end, _ = bytes(key.data).partition(b"\r\n\r\n")
            if end or not more:
                status = int(head.split()[1]) if head else 0
                answers.append((status, time.monotonic() - begin, head.decode("latin-1").lower()))
                poll.unregister(key.fileobj)
                key.fileobj.close()
    return answers


def post(path, body):
    raw = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(raw)}\r\n\r\n").encode() + raw


def test_a_flood_of_sign_ins(token):
    email = f"flood-{time.time_ns()}@example.com"
    stack.sign_up(email)
    with stack.Load(token, 2) as load:
        answers = burst(900, post("/api/users/signin", {"email": email, "password": stack.PASSWORD}))
        reads = list(load.answers)
    statuses = [a[0] for a in answers]
    assert len(answers) == 900 and set(statuses) <= {201, 503}, {s: statuses.count(s) for s in set(statuses)}
    assert statuses.count(201) >= 50
    assert all(a[1] < DEADLINE_S for a in answers)
    assert all("\r\nretry-after: " in a[2] for a in answers if a[0] == 503)
    # what needs no password goes on meanwhile
    assert reads and not stack.failures(reads)
    assert stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})[0] in (201, 503)
    stack.wait_until(lambda: stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})[0] == 201, 5, "sign-in again")
