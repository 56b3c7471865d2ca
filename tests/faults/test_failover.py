"""Redis fails over, by real sentinels, or comes back as its own past: what was revoked stays so, what was not lives on, and
while nobody knows the answer is 503."""
import base64, json, shutil, signal, sys, threading, time, pathlib, urllib.error, urllib.request
import pytest, stack
from sentinels import SAFE, Auth, Cluster, Server, Wire
from test_revocation import refused, sign_out, statuses

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
from client import Client, RpcError  # noqa: E402

TOKEN = 1          # key of check_token_request
LEASE = 3          # seconds a majority of the sentinels is believed
LATELY = 12        # seconds after which two Redis that know nothing of each other agree (docs/sessions.md)
PROCESSES = ("gateway", "auth-1", "auth-2", "directory-1", "mailer-1")


def new(word):
    return stack.sign_up(f"{word}-{time.time_ns()}@example.com")


def check(token):
    return stack.request("GET", "/api/businesses/1", token=token)[0]


def is_ready(name):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.port(name + '-health')}/readyz", timeout=3):
            return True
    except urllib.error.HTTPError:
        return False


def alive_within(token, seconds, what):
    """Both replicas of auth-svc judge again, and the token is good."""
    stack.wait_until(lambda: check(token) == 200 and is_ready("auth-1") and is_ready("auth-2"), seconds, what)


def session_id(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sid"]


def holds(server, token):
    return server.ask("--scan", "--pattern", f"*{session_id(token)}*") != ""


class Watch:
    """Asks for each token in a loop, and keeps when it asked and what it was told."""

    def __init__(self, **tokens):
        self.seen, self.over = {name: [] for name in tokens}, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=pair, daemon=True) for pair in tokens.items()]

    def run(self, name, token):
        while not self.over.is_set():
            begin = time.monotonic()
            self.seen[name].append((begin, check(token)))
            time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        for thread in self.threads:
            thread.join(20)

    def only(self, name, *allowed, since=0):
        odd = [(begin - since, status) for begin, status in self.seen[name] if begin >= since and status not in allowed]
        assert self.seen[name] and not odd, (name, odd[:5])


@pytest.fixture
def cluster():
    made = Cluster()
    try:
        stack.local("up", BUSI_REDIS=made.url())
        yield made
    finally:
        made.stop()


@pytest.fixture
def lone(request):
    """One Redis, with the settings of the test."""
    settings, persistence = request.param
    server = Server("lone", settings).start()
    try:
        stack.local("up", BUSI_REDIS=server.url(), BUSI_REDIS_PERSISTENCE=persistence)
        yield server
    finally:
        server.stop()


def test_a_fail_over_that_lost_the_sign_out(cluster):
    before = {name: stack.pid(name) for name in PROCESSES}
    mine, early, late = new("mine"), new("early"), new("late")
    old = cluster.servers[0]
    with Watch(mine=mine, early=early, late=late) as watch, stack.Load(mine, 4) as load:
        sign_out(early)
        assert statuses(early, 0.3) == {401}
        time.sleep(1.5)
        cluster.cut_replication()
        sign_out(late)
        ended = time.monotonic()
        assert statuses(late, 0.3) == {401}
        assert not holds(old, late) and all(holds(server, late) for server in cluster.servers[1:])
        old.send(signal.SIGKILL)
        stack.wait_until(lambda: check(mine) == 503, 5, "its end is noticed")
        begin = time.monotonic()
        alive_within(mine, 30, "the new master is used")
        took = time.monotonic() - begin
        assert cluster.master() not in (None, old)
        refused(late, 1)
        assert not holds(cluster.master(), late), "the new master was told again"
        assert new("after") and check(new("another")) == 200
        time.sleep(1)
    print(f"used again {took:.1f} s after the master was killed")
    watch.only("mine", 200, 503)
    watch.only("early", 401, 503, since=ended)
    watch.only("late", 401, 503, since=ended)
    assert {a[2] for a in load.answers} <= {200, 503, 504} and max(a[1] for a in load.answers) < 3.5
    assert {name: stack.pid(name) for name in PROCESSES} == before


def test_a_master_that_froze_and_thaws(cluster):
    mine, ended = new("mine"), new("ended")
    old = cluster.servers[0]
    with Watch(mine=mine) as watch:
        old.send(signal.SIGSTOP)
        stack.wait_until(lambda: check(mine) == 503, 5, "its silence is noticed")
        alive_within(mine, 30, "the new master is used")
        sign_out(ended)
        # it still believes to be the master, and that the session lives, until the sentinels tell it otherwise
        old.send(signal.SIGCONT)
        refused(ended, 3)
        stack.wait_until(lambda: old.info("replication", "role") == "slave", 20, "the old master follows")
        refused(ended, 0.5)
    watch.only("mine", 200, 503)


def test_a_planned_fail_over_and_back(cluster):
    mine, ended = new("mine"), new("ended")
    with Watch(mine=mine) as watch:
        for _ in range(2):
            before = cluster.master()
            stack.wait_until(lambda: cluster.sentinels[0].ask("SENTINEL", "FAILOVER", "main") == "OK", 20, "a fail-over begins")
            stack.wait_until(lambda: cluster.master() not in (None, before), 20, "a replica was promoted")
            alive_within(mine, 20, "the new master is used")
            stack.wait_until(lambda: before.info("replication", "master_link_status") == "up", 20, "the old one follows")
            time.sleep(1)
        sign_out(ended)
        refused(ended, 0.5)
    watch.only("mine", 200, 503)


def test_without_a_majority_of_the_sentinels_nobody_is_judged(cluster):
    mine = new("mine")
    for sentinel in cluster.sentinels[:2]:
        sentinel.send(signal.SIGSTOP)
    time.sleep(LEASE + 0.5)
    assert statuses(mine, 1) == {503}, "though the master is there"
    for sentinel in cluster.sentinels[:2]:
        sentinel.send(signal.SIGCONT)
    with Watch(mine=mine) as watch:
        alive_within(mine, 15, "tokens are judged again")
    watch.only("mine", 200, 503)


def judge(client, token):
    try:
        client.call("auth.CheckToken", {TOKEN: token})
        return "OK"
    except RpcError as error:
        return error.code


def test_an_auth_svc_that_is_cut_off_with_the_old_master(cluster):
    """It reaches the old master and one sentinel: it must stop before the others go on with the new one."""
    wires = [Wire(sentinel.port) for sentinel in cluster.sentinels]
    apart = Auth(cluster.url([wire.port for wire in wires]))
    client = Client(f"tcp://127.0.0.1:{apart.port}", stack.VAR / "keys/gateway.key", stack.VAR / "keys/servers/auth-svc.pub")
    try:
        mine = new("mine")
        stack.wait_until(lambda: judge(client, mine) == "OK", 20, "the other auth-svc is ready")
        for wire in wires[1:]:
            wire.whole = False
        begin = time.monotonic()
        stack.wait_until(lambda: judge(client, mine) == "UNAVAILABLE", LEASE + 1, "it stops")
        assert time.monotonic() - begin > 1, "not at the first moment"
        assert check(mine) == 200 and cluster.master() is cluster.servers[0]
        for wire in wires[1:]:
            wire.whole = True
        stack.wait_until(lambda: judge(client, mine) == "OK", 15, "it goes on")
    finally:
        client.close()
        apart.stop()
        for wire in wires:
            wire.close()


@pytest.mark.parametrize("lone", [(SAFE, "required")], indirect=True)
def test_two_masters_behind_one_name(lone):
    """No sentinel, a replica that was promoted, and an auth-svc on either: the journal in Postgres makes them agree."""
    mine, ended = new("mine"), new("ended")
    other = Server("other", SAFE + "masterauth redis-pass\nrepl-diskless-sync-delay 0\n").start()
    apart = None
    try:
        other.ask("REPLICAOF", "127.0.0.1", str(lone.port))
        stack.wait_until(lambda: holds(other, ended), 10, "the replica has all")
        other.ask("REPLICAOF", "NO", "ONE")
        apart = Auth(other.url())
        client = Client(f"tcp://127.0.0.1:{apart.port}", stack.VAR / "keys/gateway.key", stack.VAR / "keys/servers/auth-svc.pub")
        stack.wait_until(lambda: judge(client, mine) == "OK" == judge(client, ended), 10, "it knows both")
        sign_out(ended)
        assert statuses(ended, 0.3) == {401}
        stack.wait_until(lambda: judge(client, ended) == "UNAUTHENTICATED", LATELY, "the other one has heard")
        assert judge(client, mine) == "OK"
        # demoted, it judges nothing, and nobody is told that a token is bad
        other.ask("REPLICAOF", "127.0.0.1", str(lone.port))
        stack.wait_until(lambda: judge(client, mine) == "UNAVAILABLE", 2, "a replica is left")
        client.close()
    finally:
        if apart:
            apart.stop()
        other.stop()


# as in Debian's /etc/redis/redis.conf
DEBIAN = "appendonly no\nsave 3600 1 300 100 60 10000\n"


@pytest.mark.parametrize("lone", [(DEBIAN, "any")], indirect=True)
def test_an_old_snapshot_of_debians_settings(lone):
    mine, ended = new("mine"), new("ended")
    assert lone.ask("SAVE") == "OK"
    shutil.copy(lone.folder / "dump.rdb", lone.folder / "old.rdb")
    sign_out(ended)
    assert statuses(ended, 0.3) == {401}
    with Watch(mine=mine, ended=ended) as watch:
        killed = time.monotonic()
        lone.send(signal.SIGKILL)
        shutil.move(lone.folder / "old.rdb", lone.folder / "dump.rdb")
        stack.wait_until(lambda: check(mine) == 503, 5, "its end is noticed")
        lone.start()
        alive_within(mine, 10, "sessions of the snapshot live on")
        refused(ended, 1)
    assert not holds(lone, ended), "the snapshot did hold it, until it was told"
    watch.only("mine", 200, 503)
    watch.only("ended", 401, 503, since=killed)


@pytest.mark.parametrize("lone", [(SAFE, "required")], indirect=True)
@pytest.mark.parametrize("setting,unsafe,safe", [("appendonly", "no", "yes"), ("maxmemory-policy", "allkeys-lru", "noeviction")])
def test_a_redis_that_is_configured_unsafely(lone, setting, unsafe, safe):
    mine, log = new("mine"), stack.VAR / "logs/auth-1.log"
    end = log.stat().st_size
    assert lone.ask("CONFIG", "SET", setting, unsafe) == "OK"
    stack.wait_until(lambda: not is_ready("auth-1") and not is_ready("auth-2"), 5, "it is noticed")
    assert statuses(mine, 2) == {503}
    said = [json.loads(line) for line in log.read_text()[end:].splitlines() if "redis_unsafe" in line]
    assert len(said) == 1 and f"set {setting} {safe}" in said[0]["remedy"], said
    assert lone.ask("CONFIG", "SET", setting, safe) == "OK"
    alive_within(mine, 5, "it goes on by itself")
