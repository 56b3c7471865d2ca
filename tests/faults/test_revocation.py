"""A signed-out session stays dead, whatever becomes of Redis: revocations are journalled in Postgres first."""
import pathlib, shutil, signal, sys, time
import stack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
from client import Client  # noqa: E402

TOKEN = 1  # key of check_token_request


def sign_out(token):
    keys = stack.VAR / "keys"
    client = Client(f"tcp://127.0.0.1:{stack.port('auth-1')}", keys / "gateway.key", keys / "servers/auth-svc.pub")
    try:
        client.call("auth.SignOut", {TOKEN: token})
    finally:
        client.close()


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


def test_an_empty_redis_lets_nobody_in(token):
    mine = stack.sign_up(f"lost-{time.time_ns()}@example.com")
    stack.send("redis", signal.SIGKILL)
    time.sleep(0.3)
    shutil.rmtree(stack.VAR / "redis")
    stack.local("up")
    assert statuses(mine, 2) <= {401, 503}
    assert stack.sign_up(f"new-{time.time_ns()}@example.com")
