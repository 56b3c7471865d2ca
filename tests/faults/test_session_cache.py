"""Gateways remember checked tokens. Once the end of a session has been answered none of them may accept it any more, whatever
happens to gateways, auth-svc or Redis meanwhile; and nobody waits long for a gateway that is gone."""
import http.client, json, os, random, re, signal, socket, subprocess, threading, time
import pytest, stack

CHEAP = dict(BUSI_PASSWORD_MEMORY="8M", BUSI_PASSWORD_PASSES="1", BUSI_PASSWORD_WAIT="20s")  # sign-ins are not what is tested
LEASE = 1.5


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    """A gateway of the stack, or a further one."""

    def __init__(self, port=None, **settings):
        self.port, self.process, self.settings = port or free_port(), None, settings
        self.side = stack.port("gateway-health") if port else free_port()

    def start(self):
        conf = stack.VAR / "config/gateway-more.conf"
        text = (stack.VAR / "config/gateway.conf").read_text()
        text = re.sub(r"^http_port.*", f"http_port = {self.port}", text, flags=re.M)
        conf.write_text(re.sub(r"^health_bind.*", f"health_bind = 127.0.0.1:{self.side}", text, flags=re.M))
        env = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")} | self.settings
        log = open(stack.VAR / "logs/gateway-more.log", "a")
        self.process = subprocess.Popen([os.environ["BUSI_TEST_BIN"] + "/gateway", "--config", conf], env=env, stderr=log)
        stack.wait_until(self.serves, 10, "the second gateway serves")
        return self

    def serves(self):
        try:
            return self.ask("GET", "/api/businesses/1")[0] == 401
        except OSError:
            return False

    def ask(self, method, path, token=None, body=None, header="authorization", connection=None):
        """(status, body as bytes); 0 when there was no answer."""
        mine = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        headers = {"content-type": "application/json"} if body is not None else {}
        if token:
            headers[header] = token if header == "access-token" else "Bearer " + token
        try:
            mine.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = mine.getresponse()
            return answer.status, answer.read()
        finally:
            if not connection:
                mine.close()

    def status(self, token):
        try:
            return self.ask("GET", "/api/businesses/1", token)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def sign_out(self, token):
        try:
            return self.ask("POST", "/logout", token, header="access-token")[0]
        except (OSError, http.client.HTTPException):
            return 0

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.side, timeout=3)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return int(re.search(rf"^{name} (\d+)", text, re.M).group(1))

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def gateways():
    stack.local("up", **CHEAP)
    second = Gateway().start()
    yield Gateway(int(stack.PORT)), second
    second.stop()


def sign_in(gateway, user):
    status, body = gateway.ask("POST", "/api/users/signin", body=user)
    assert status == 201, (status, body)
    return json.loads(body)["token"]


def new_user():
    email = f"cached-{time.time_ns()}-{random.randrange(10**9)}@example.com"
    stack.sign_up(email)
    return {"email": email, "password": stack.PASSWORD}


def remembered(token, *gateways):
    """Asks until each answers without asking auth-svc."""
    for gateway in gateways:
        def hit():
            before = gateway.metric("busi_session_cache_hits_total")
            assert gateway.status(token) == 200
            return gateway.metric("busi_session_cache_hits_total") > before
        stack.wait_until(hit, 5, "the token is remembered")


def test_signed_out_at_one_refused_at_the_other(gateways):
    """Thousands of sign-outs, each followed at once by a request with the token at the other gateway."""
    first, second = gateways
    bad, odd, took, lock = [], [], [], threading.Lock()
    users = [new_user() for _ in range(8)]

    def run(user):
        for i in range(250):
            token = sign_in(first, user)
            for gateway in (second, first, second):
                gateway.status(token)
            begin = time.monotonic()
            status = first.sign_out(token)
            seconds = time.monotonic() - begin
            after = [gateway.status(token) for gateway in ((second, first) if i % 2 else (first, second))]
            with lock:
                took.append(seconds)
                if status != 200:
                    odd.append(status)
                elif after != [401, 401]:
                    bad.append((i, after))

    hits = second.metric("busi_session_cache_hits_total")
    threads = [threading.Thread(target=run, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took.sort()
    print(f"{len(took)} sign-outs with two gateways: p50 {took[len(took) // 2] * 1e3:.1f} ms, p99 {took[int(len(took) * .99)] * 1e3:.1f} ms")
    assert not bad and not odd and len(took) == 2000, (bad[:5], odd[:5])
    assert second.metric("busi_session_cache_hits_total") - hits > 1000, "it was the cache that was tested"
    assert took[int(len(took) * .99)] < 0.5


def test_a_gateway_that_is_gone_or_frozen_is_waited_for_no_longer_than_its_lease(gateways):
    first, second = gateways
    user = new_user()
    tokens = [sign_in(first, user) for _ in range(4)]
    remembered(tokens[0], first, second)
    second.process.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    assert first.sign_out(tokens[0]) == 200
    took = time.monotonic() - begin
    assert 0.3 < took < LEASE + 0.5, took
    second.process.send_signal(signal.SIGCONT)
    assert second.status(tokens[0]) == 401
    remembered(tokens[1], first, second)
    second.process.kill()
    second.process.wait()
    time.sleep(0.1)
    begin = time.monotonic()
    assert first.sign_out(tokens[1]) == 200
    assert time.monotonic() - begin < LEASE + 0.5
    time.sleep(1)  # it is struck off
    begin = time.monotonic()
    assert first.sign_out(tokens[2]) == 200
    assert time.monotonic() - begin < 0.3
    second.start()


def test_frozen_for_longer_than_its_lease_it_trusts_nothing(gateways):
    """Stopped in the middle of many requests, while sessions end; what it is asked after the answer it refuses."""
    first, second = gateways
    user = new_user()
    for _ in range(5):
        tokens = [sign_in(first, user) for _ in range(20)]
        for token in tokens:
            first.status(token), second.status(token), second.status(token)
        second.process.send_signal(signal.SIGSTOP)
        time.sleep(random.uniform(0, 0.3))
        assert [first.sign_out(token) for token in tokens[:3]] == [200] * 3
        connections = [http.client.HTTPConnection("127.0.0.1", second.port, timeout=15) for _ in range(3)]
        for connection, token in zip(connections, tokens):  # asked after the answer, read when it wakes up
            connection.request("GET", "/api/businesses/1", headers={"authorization": "Bearer " + token})
        second.process.send_signal(signal.SIGCONT)
        for connection in connections:
            assert connection.getresponse().status in (401, 503, 504)
            connection.close()
        stack.wait_until(lambda: second.status(tokens[5]) == 200, 5, "it serves again")


def test_without_redis_no_token_is_good(gateways):
    first, second = gateways
    token = sign_in(first, new_user())
    for sig, most in ((signal.SIGKILL, 0.5), (signal.SIGSTOP, LEASE)):
        remembered(token, first, second)
        stack.send("redis", sig)
        begin, seen = time.monotonic(), []
        while time.monotonic() - begin < 3:
            for gateway in (first, second):
                asked = time.monotonic() - begin
                seen.append((asked, gateway.status(token)))
        late = [asked for asked, status in seen if status == 200]
        assert {status for _, status in seen} <= {200, 503, 504}
        assert max(late, default=0) < most, f"good {max(late)} s after Redis was gone"
        print(f"{sig.name} of Redis: good for {max(late, default=0) * 1e3:.0f} ms")
        stack.send("redis", signal.SIGCONT) if sig == signal.SIGSTOP else stack.local("up", **CHEAP)
        stack.wait_until(lambda: first.status(token) == 200 and second.status(token) == 200, 10, "and later good again")


class Nemesis(threading.Thread):
    """Kills and freezes, one at a time, what the end of a session depends on."""

    def __init__(self, second, seconds, seed):
        super().__init__()
        self.second, self.until, self.random, self.done = second, time.monotonic() + seconds, random.Random(seed), []

    def freeze(self, name, seconds):
        pid = self.second.process.pid if name == "gateway-more" else stack.pid(name)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(pid, signal.SIGCONT)

    def kill(self, name):
        if name == "gateway-more":
            self.second.stop()
            time.sleep(0.2)
            self.second.start()
        else:
            stack.send(name, signal.SIGKILL)
            time.sleep(0.2)
            stack.local("up", **CHEAP)

    def run(self):
        while time.monotonic() < self.until:
            name = self.random.choice(["gateway-more", "gateway-more", "auth-1", "auth-2", "redis"])
            if self.random.random() < 0.5:
                self.freeze(name, self.random.uniform(0.05, 2.5))
                self.done.append("freeze " + name)
            else:
                self.kill(name)
                self.done.append("kill " + name)
            time.sleep(self.random.uniform(0.1, 1))


def test_whatever_fails_meanwhile(gateways):
    first, second = gateways
    seed = time.time_ns()
    nemesis = Nemesis(second, 40, seed)
    accepted, answered, lock = [], [0, 0], threading.Lock()
    users = [new_user() for _ in range(6)]

    def take_token(user):
        while True:
            try:
                return sign_in(first, user)
            except (AssertionError, OSError, http.client.HTTPException):
                time.sleep(0.05)

    def run(user):
        while nemesis.is_alive():
            token = take_token(user)
            for gateway in (second, first, second):
                gateway.status(token)
            status = first.sign_out(token)
            ended = time.monotonic()
            after = [gateway.status(token) for gateway in (second, first)]
            with lock:
                answered[status != 200] += 1
                if status == 200:
                    watched.append((token, ended))
                    if 200 in after:
                        accepted.append((after, nemesis.done[-3:]))

    def look_again():
        """Also later: when what was frozen or killed is back."""
        while nemesis.is_alive():
            with lock:
                some = random.sample(watched, min(5, len(watched)))
            for token, ended in some:
                for gateway in (first, second):
                    if gateway.status(token) == 200:
                        accepted.append((time.monotonic() - ended, nemesis.done[-3:]))
            time.sleep(0.01)

    watched = []
    nemesis.start()
    threads = [threading.Thread(target=run, args=(user,)) for user in users] + [threading.Thread(target=look_again)]
    for thread in threads:
        thread.start()
    for thread in threads + [nemesis]:
        thread.join()
    print(f"seed {seed}: {answered[0]} sign-outs answered, {answered[1]} not, {len(nemesis.done)} faults")
    assert not accepted, (seed, accepted[:5], len(accepted))
    assert answered[0] > 200 and len(nemesis.done) >= 8
