"""The framing corpus through nginx and HAProxy: both sides read the same requests, and everybody gets his own
answer, however the connections between the two are shared."""
import collections, concurrent.futures, contextlib, http.client, json, re, threading, time
import pytest
import framing, house, proxies
from raw import head, read_all

REFUSED = {400, 408, 411, 413, 414, 417, 426, 431, 501, 505}  # of a head the gateway does not believe it takes no id either

PROXY_GONE_S = 5 + 1  # the deadline of what was being answered, and what a gateway has to be well again


@pytest.fixture(params=[proxies.Nginx, proxies.Haproxy], ids=["nginx", "haproxy"])
def proxy(request, tmp_path):
    running = request.param(tmp_path)
    yield running
    running.stop()


def gateway_requests():
    """(id, status) of every request the gateway has answered, refused ones too."""
    lines = (json.loads(line) for line in house.logs()["gateway.log"].splitlines() if '"event":"request"' in line)
    return [(line["request_id"], line["status"]) for line in lines]


def settled(read, seconds=5):
    """What read() gives once it no longer changes."""
    before, end = None, time.monotonic() + seconds
    while (now := read()) != before and time.monotonic() < end:
        before = now
        time.sleep(0.4)
    return now


def attack(proxy, data):
    """Sends it, then, when something came back or nothing does, a request nobody could object to: all answers until the end."""
    with proxy.connect() as sock:
        got = b""
        with contextlib.suppress(OSError):
            sock.sendall(data)
            sock.settimeout(0.3)
            got = sock.recv(65536)
        with contextlib.suppress(OSError):
            sock.sendall(head())
        return got + read_all(sock, 6)


def answers(raw):
    """(status, id of the answer, id under which the request was forwarded), ids None where there is none."""
    found = []
    for part in re.split(rb"(?=HTTP/1\.1 \d{3} )", raw):
        if part.startswith(b"HTTP/1.1 ") and not part.startswith(b"HTTP/1.1 100"):
            ids = [re.search(rb"\r\n" + name + rb": ([\w.-]+)", part, re.I) for name in (b"x-request-id", b"x-forwarded-id")]
            found.append((int(part[9:12]), *[i and i[1].decode() for i in ids]))
    return found


class Neighbour:
    """Reads its own business in a loop meanwhile, as any other client of the proxy; .wrong: answers that were not its own."""

    def __init__(self, proxy, token):
        self.proxy, self.token, self.mine = proxy, token, house.create_business(token)
        self.count, self.wrong, self.stop = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        connection = None
        while not self.stop.is_set():
            connection = connection or self.proxy.http()
            connection.request("GET", f"/api/businesses/{self.mine['id']}", headers={"authorization": "Bearer " + self.token})
            answer = connection.getresponse()
            raw, names = answer.read(), answer.headers
            right = answer.status == 200 and json.loads(raw)["data"] == self.mine
            if not right or names["x-request-id"] != names["x-forwarded-id"]:
                self.wrong.append((answer.status, raw, str(names)))
            if names.get("connection") == "close":
                connection.close()
                connection = None
            self.count += 1
            time.sleep(0.005)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join(10)


def test_h64_both_read_the_same(proxy, token):
    one, other = Neighbour(proxy, token), Neighbour(proxy, token)
    before = len(settled(gateway_requests))
    with one, other, concurrent.futures.ThreadPoolExecutor(48) as pool:
        got = list(pool.map(lambda data: attack(proxy, data), framing.corpus()))
    assert one.count > 50 and other.count > 50 and not one.wrong and not other.wrong, one.wrong + other.wrong
    forwarded = {r.id: r for r in settled(proxy.requests) if r.forwarded}
    served = settled(gateway_requests)[before:]
    known = collections.Counter(i for i, _ in served if i in forwarded)
    unknown = [status for i, status in served if i not in forwarded]
    assert all(n == 1 for n in known.values())
    assert set(unknown) <= REFUSED, "the gateway served what the proxy did not send"
    assert len(served) == len(forwarded), [r for r in forwarded.values() if r.id not in known]
    assert len(forwarded) > one.count + other.count + 60  # that many of the corpus do reach the gateway
    for data, raw in zip(framing.corpus(), got):
        for status, own, asked in answers(raw):
            assert not own or own == asked or status in REFUSED, (data, raw)


def busy():
    return int(re.search(r"^busi_http_busy_threads (\d+)", house.metrics("gateway"), re.M)[1])


def test_a_proxy_that_dies_and_comes_back(proxy, token):
    """Whatever it had open, also what was being answered: no thread stays with it, and what comes through the next one is answered."""
    def sign_in(_):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = proxy.http()
            connection.request("POST", "/api/users/signin", json.dumps({"email": house.new_email(), "password": "wrong one"}),
                               {"content-type": "application/json"})
            connection.getresponse().read()
    before = settled(busy)
    for _ in range(3):
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            asked = [pool.submit(sign_in, i) for i in range(24)]
            end = time.monotonic() + 3
            while busy() < before + 8 and time.monotonic() < end:
                time.sleep(0.01)
            assert busy() >= before + 8, "it has connections"
            proxy.kill()
            killed = time.monotonic()
        while busy() > before and time.monotonic() < killed + PROXY_GONE_S:
            time.sleep(0.05)
        assert busy() <= before, f"{busy()} threads, {before} before"
        proxy.start()
        with Neighbour(proxy, token) as one:
            time.sleep(0.5)
        assert one.count > 10 and not one.wrong, one.wrong
    assert all(future.done() for future in asked)
