"""A signed-out session stays dead, whatever becomes of Redis: revocations are journalled in Postgres first."""
import contextlib, pathlib, re, shutil, signal, sys, time
import pytest
import stack
from sentinels import Auth, Wire

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
from client import Client, RpcError  # noqa: E402

TOKEN = 1  # key of check_token_request


def call(method, token, port=None):
    keys = stack.VAR / "keys"
    client = Client(f"tcp://127.0.0.1:{port or stack.port('auth-1')}", keys / "gateway.key", keys / "servers/auth-svc.pub")
    try:
        client.call(method, {TOKEN: token})
    finally:
        client.close()


def sign_out(token):
    call("auth.SignOut", token)


def statuses(token, seconds):
    end, seen = time.monotonic() + seconds, set()
    while time.monotonic() < end:
        seen.add(stack.request("GET", "/api/businesses/1", token=token)[0])
        time.sleep(0.01)
    return seen


def is_refused(token):
    """By all who judge; who cannot yet says so, and nobody accepts it."""
    seen = statuses(token, 0.5)
    assert seen <= {401, 503}, seen
    return seen == {401}


def refused(token, seconds):
    assert statuses(token, seconds) <= {401, 503}
    stack.wait_until(lambda: is_refused(token), 15, "all judge again")


def test_an_old_copy_of_redis_revives_nothing(token):
    ended = stack.sign_up(f"ended-{time.time_ns()}@example.com")
    time.sleep(1.5)  # Redis writes its file every second
    folder, old = stack.VAR / "redis", stack.VAR / "redis.old"
    shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(folder, old)
    sign_out(ended)
    assert statuses(ended, 0.3) == {401}
    stack.send("redis", signal.SIGKILL)
    time.sleep(0.3)
    shutil.rmtree(folder)
    old.rename(folder)
    stack.local("up")
    refused(ended, 3)
    stack.wait_until(lambda: stack.request("GET", "/api/businesses/1", token=token)[0] == 200, 5, "other sessions live on")


def test_the_last_second_redis_lost_revives_nothing(token):
    """kill -9 right after the answer: the deletion may not be in Redis' file yet."""
    for _ in range(3):
        ended = stack.sign_up(f"ended-{time.time_ns()}@example.com")
        time.sleep(1.2)
        sign_out(ended)
        stack.send("redis", signal.SIGKILL)
        stack.local("up")
        refused(ended, 1.5)


def test_an_empty_redis_lets_nobody_in(token):  # D-03
    mine = stack.sign_up(f"lost-{time.time_ns()}@example.com")
    stack.send("redis", signal.SIGKILL)
    time.sleep(0.3)
    shutil.rmtree(stack.VAR / "redis")
    stack.local("up")
    assert statuses(mine, 2) <= {401, 503}
    assert stack.sign_up(f"new-{time.time_ns()}@example.com")


class Liar(Wire):
    """Flips one bit of the first that matches, one way."""

    def __init__(self, port):
        super().__init__(port)
        self.pattern, self.up, self.lies = None, True, 0

    def lie(self, pattern, up=True):
        self.pattern, self.up, self.lies = pattern, up, 0

    def passed(self, data, up):
        found = re.search(self.pattern, data) if self.pattern and up == self.up and not self.lies else None
        if not found:
            return data
        self.lies, at = 1, found.end() - 1
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


@pytest.fixture
def liar():
    """Between Redis and an auth-svc of its own."""
    (stack.VAR / "failover").mkdir(exist_ok=True)
    with contextlib.closing(Liar(stack.port("redis"))) as liar:
        secret = (stack.VAR / "secrets/redis").read_text().strip()
        liar.auth = Auth(f"redis://:{secret}@127.0.0.1:{liar.port}/0")
        yield liar
        liar.auth.stop()


def verdict(token, port):
    try:
        call("auth.CheckToken", token, port)
        return "OK"
    except RpcError as error:
        return error.code


def test_a_flipped_bit_ends_no_session_and_keeps_none_alive(liar):
    """Nothing but TCP guards the link to Redis. A key with a flipped bit is not there: neither is the session gone nor is it deleted."""
    port, token = liar.auth.port, stack.sign_up(f"flipped-{time.time_ns()}@example.com")
    stack.wait_until(lambda: verdict(token, port) == "OK", 15, "the other auth-svc is ready")
    for pattern, up in ((rb"GET\r\n\$\d+\r\nbusi:s:\{....", True), (rb"\$\d\d+\r\n\x02....", False)):
        liar.lie(pattern, up)
        assert verdict(token, port) == "OK" and liar.lies == 1, pattern
    ended = stack.sign_up(f"ended-{time.time_ns()}@example.com")
    liar.lie(rb"DEL\r\n\$\d+\r\nbusi:s:\{....")
    call("auth.SignOut", ended, port)
    assert liar.lies == 1 and verdict(ended, port) == "UNAUTHENTICATED"
