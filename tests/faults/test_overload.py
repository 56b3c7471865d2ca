"""More than can be served is refused at once with 503 and Retry-After; what is accepted keeps its deadline."""
import collections, http.client, json, math, os, re, selectors, socket, struct, subprocess, threading, time
import stack

DEADLINE_S = 5.0 + 0.5  # of the password routes, and a grace
READ_S = 0.5            # what needs no password takes no longer beside a flood of them; bench asks for milliseconds on a machine of its own


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
    took = sorted(seconds for _, seconds, _ in reads)
    statuses = [a[0] for a in answers]
    assert len(answers) == 900 and set(statuses) <= {201, 503, 504}, {s: statuses.count(s) for s in set(statuses)}
    assert statuses.count(201) >= 50
    assert statuses.count(504) <= 300  # begun, and too slow after all: on a machine that does other work
    assert all(a[1] < DEADLINE_S for a in answers)
    assert all("\r\nretry-after: " in a[2] for a in answers if a[0] == 503)
    # what needs no password goes on meanwhile
    assert reads and not stack.failures(reads)
    print(f"reads meanwhile: {len(reads)}, p50 {took[len(took) // 2]:.3f} s, p99 {took[len(took) * 99 // 100]:.3f} s")
    assert took[len(took) * 99 // 100] < READ_S
    assert stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})[0] in (201, 503)
    stack.wait_until(lambda: stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})[0] == 201, 5, "sign-in again")


def test_long_lists_share_their_memory(token):
    """Lists that nobody reads on: each is within its bound, and 200 of them would be more than a container may have."""
    text = {"business": {"name": "long", "description": "x" * 60000, "tag": "t"}}
    made = [stack.request("POST", "/api/businesses", text, token)[2]["data"]["id"] for _ in range(25)]
    resident = lambda: float(re.search(r"^process_resident_memory_bytes (\S+)", stack.metrics("gateway"), re.M)[1]) / 2**20
    before, socks, peak = resident(), [], 0
    for _ in range(200):
        socks.append(socket.socket())
        socks[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        socks[-1].connect((stack.HOST, int(stack.PORT)))
        socks[-1].sendall(f"GET /api/businesses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    for _ in range(50):
        peak = max(peak, resident())
        time.sleep(0.05)
    statuses = []
    for sock in socks:
        sock.settimeout(10)
        statuses.append(int(sock.recv(4096).split()[1]))
        sock.close()
    assert set(statuses) <= {200, 503, 504}, {s: statuses.count(s) for s in set(statuses)}
    assert peak - before < 220, (before, peak)
    for business in made:
        assert stack.request("DELETE", f"/api/businesses/{business}", token=token)[0] == 204
    stack.wait_until(lambda: stack.request("GET", "/api/businesses", token=token)[0] == 200, 5, "lists again")


def counted(metric):
    return sum(float(line.split()[-1]) for name in ("auth-1", "auth-2") for line in stack.metrics(name).splitlines() if line.startswith(metric + " "))


def test_nothing_is_computed_for_clients_that_have_gone():
    """Sign-ins wait for a processor to hash on; those whose connections are reset meanwhile leave the queue."""
    email = f"gone-{time.time_ns()}@example.com"
    stack.sign_up(email)
    hashes, cancelled = counted("busi_password_hashes_total"), counted("busi_rpc_cancelled_total")
    request, socks = post("/api/users/signin", {"email": email, "password": stack.PASSWORD}), []
    for _ in range(100):
        socks.append(socket.create_connection((stack.HOST, int(stack.PORT)), timeout=5))
        socks[-1].sendall(request)
    time.sleep(0.1)
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    stack.wait_until(lambda: counted("busi_rpc_cancelled_total") - cancelled >= 10, 5, "calls that are cancelled")
    time.sleep(2)
    assert counted("busi_password_hashes_total") - hashes < 90
    assert stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})[0] == 201


# ---- ten times what can be served; tests/bench measures the same for a minute ----
BIN = os.environ["BUSI_TEST_BIN"]


def offer(connections, rate, seconds, bodies):
    out = subprocess.run([f"{BIN}/bench-offer", stack.PORT, str(connections), str(int(rate)), str(seconds), bodies],
                         check=True, text=True, capture_output=True, timeout=seconds + 60).stdout
    return {name: float(value) for name, value in re.findall(r"(\w+)=(\S+)", out)}


def holds(measure, base, share):
    """What was measured between two measurements of its base: more than that share of the smaller. What else the machine does
    may slow any of the three, hence three tries."""
    seen = []
    for _ in range(3):
        before, result, after = base(), measure(), base()
        seen.append((before, result, after))
        if result["good"] >= share * min(before, after) and result["fine"]:
            return
    raise AssertionError(seen)


PROBE_S = 1  # what Kubernetes waits for an answer by default


class Probes:
    """Asks each process whether it lives, again and again; .took has how long each answer took, or for ever."""

    def __init__(self):
        self.took, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.over.wait(0.1):
            for name in ("gateway", "auth-1", "directory-1"):
                begin = time.monotonic()
                lives = stack.is_fine(name, "/livez")
                self.took.append(time.monotonic() - begin if lives else math.inf)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        self.thread.join(10)


def test_s16_ten_times_the_sign_ins(tmp_path):
    bodies = tmp_path / "bodies"
    users = [{"email": f"offer-{time.time_ns()}-{i}@example.com", "password": stack.PASSWORD} for i in range(8)]
    for user in users:
        stack.sign_up(user["email"])
    bodies.write_text("".join(json.dumps(user) + "\n" for user in users))
    capacity = offer(32, 0, 2, bodies)["good"]

    def flood():
        with Probes() as probes:
            got = offer(768, 10 * capacity, 6, bodies)
        assert got["without_retry_after"] == 0 and got["unanswered"] == 0, got
        assert len(probes.took) > 20 and max(probes.took) < PROBE_S, probes.took
        fine = got["ok_p99"] < DEADLINE_S * 1000 and got["shed_p99"] < 1000 and got["other"] + got["unsent"] < 0.01 * got["shed"]
        return got | {"fine": fine}

    holds(flood, lambda: offer(32, 0, 2, bodies)["good"], 0.6)


def wrk(connections, kind, tokens):
    """Requests a second, errors, p50 and p99 in microseconds; of three seconds."""
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", "-d3s", "--timeout", "10s", "-s", stack.ROOT / "tests/speed/requests.lua",
                          f"http://{stack.HOST}:{stack.PORT}", "--", kind, tokens], check=True, text=True, capture_output=True, timeout=60).stdout
    return map(float, re.search(r"RESULT (\S+) (\d+) (\d+) (\d+)", out).groups())


def test_s16_eight_times_the_readers(token, tmp_path):
    (tmp_path / "tokens").write_text(token + "\n")

    def read(connections):
        rate, errors, _, p99 = wrk(connections, "read", tmp_path / "tokens")
        return {"good": rate - errors / 3, "fine": p99 < 3_000_000}

    holds(lambda: read(512), lambda: read(64)["good"], 0.6)


class Makers:
    """Each makes a business, and another one after a pause."""

    def __init__(self, token, number=8, pause=0.03):
        self.token, self.pause, self.answers, self.over = token, pause, [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(number)]

    def run(self, number):
        while not self.over.is_set():
            begin = time.monotonic()
            body = {"business": {"name": f"made-{number}", "description": "d", "tag": "t"}}
            try:
                status = stack.request("POST", "/api/businesses", body, self.token)[0]
            except (OSError, http.client.HTTPException):
                status = 0
            self.answers.append((status, time.monotonic() - begin))
            self.over.wait(self.pause)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        for thread in self.threads:
            thread.join(20)


def test_lists_leave_room_for_changes(token, tmp_path):
    """Eight times the readers of whole lists that can be served: of the changes asked for meanwhile at least half are made, by their deadline."""
    (tmp_path / "tokens").write_text(token + "\n")
    with Makers(token) as makers:
        rate, errors, _, _ = wrk(512, "list", tmp_path / "tokens")
    made = [seconds for status, seconds in makers.answers if status == 201]
    statuses = collections.Counter(status for status, _ in makers.answers)
    print(f"{rate:.0f} lists a second, {errors:.0f} errors; {statuses}, p99 {sorted(made)[len(made) * 99 // 100]:.2f} s")
    assert set(statuses) <= {201, 503, 504} and len(made) > 20 and len(made) >= 0.5 * len(makers.answers)
    assert max(seconds for _, seconds in makers.answers) < 3.5
