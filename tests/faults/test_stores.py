"""Postgres and Redis may go and return: clean 503s meanwhile, recovery by itself, nothing restarted."""
import os, signal, subprocess, time
import stack


def pids():
    return {name: stack.pid(name) for name in ("gateway", "auth-1", "auth-2", "directory-1", "directory-2", "mailer-1", "mailer-2")}


def assert_clean(answers):
    odd = [a for a in stack.failures(answers) if a[2] not in (503, 504)]
    assert not odd, odd[:3]
    assert all(a[1] <= 3.5 for a in answers)


def test_postgres_restarts(token):
    before = pids()
    with stack.Load(token, 8) as load:
        time.sleep(1)
        stack.local("stop", "postgres")
        moment = time.monotonic()
        time.sleep(1.5)
        down = load.since(moment + 0.2)
        assert down and {a[2] for a in down} <= {503, 504}
        status, headers, _ = stack.request("POST", "/api/users/signin", {"email": "a@b.example", "password": "x" * 8})
        assert status == 503 and int(headers["retry-after"]) >= 1
        stack.local("up")
        stack.wait_until(lambda: stack.request("GET", "/api/businesses", token=token)[0] == 200, 5, "lists work again")
        time.sleep(2)
        moment = time.monotonic()
        time.sleep(1.5)
        assert not stack.failures(load.since(moment))
        assert_clean(load.answers)
    assert pids() == before


def test_redis_restarts(token):
    before = pids()
    with stack.Load(token, 8) as load:
        time.sleep(1)
        stack.local("stop", "redis")
        moment = time.monotonic()
        time.sleep(1.5)
        down = load.since(moment + 0.2)
        # never 401: clients would throw their sessions away
        assert down and {a[2] for a in down} <= {503, 504}
        stack.local("up")
        # the session survived, because Redis persists
        stack.wait_until(lambda: stack.request("GET", "/api/businesses/1", token=token)[0] == 200, 5, "tokens work again")
        time.sleep(2)
        moment = time.monotonic()
        time.sleep(1.5)
        assert not stack.failures(load.since(moment))
        assert_clean(load.answers)
    assert pids() == before


def test_redis_killed(token):
    with stack.Load(token, 8) as load:
        time.sleep(1)
        stack.send("redis", signal.SIGKILL)
        time.sleep(1)
        stack.local("up")
        stack.wait_until(lambda: stack.request("GET", "/api/businesses/1", token=token)[0] == 200, 5, "tokens work again")
        assert_clean(load.answers)


def test_redis_frozen(token):
    """A reply that comes late must reach nobody else: the same token still speaks for its own user."""
    with stack.Load(token, 8) as load:
        time.sleep(1)
        stack.send("redis", signal.SIGSTOP)
        time.sleep(2.5)
        stack.send("redis", signal.SIGCONT)
        stack.wait_until(lambda: stack.request("GET", "/api/businesses/1", token=token)[0] == 200, 5, "tokens work again")
        assert_clean(load.answers)


def test_postgres_frozen(token):
    postgres = stack.pid("postgres")
    family = [postgres, *map(int, subprocess.run(["pgrep", "-P", str(postgres)], capture_output=True, text=True).stdout.split())]
    with stack.Load(token, 8) as load:
        time.sleep(1)
        for one in family:
            os.kill(one, signal.SIGSTOP)
        time.sleep(2.5)
        for one in family:
            try:
                os.kill(one, signal.SIGCONT)
            except ProcessLookupError:
                pass
        stack.wait_until(lambda: stack.request("GET", "/api/businesses", token=token)[0] == 200, 6, "lists work again")
        assert_clean(load.answers)
