"""Postgres and Redis may go and return: clean 503s meanwhile, recovery by itself, nothing restarted."""
import os, pathlib, re, signal, subprocess, sys, time
import links, stack

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import house  # noqa: E402
from second import second  # noqa: E402


PROCESSES = ("gateway", "auth-1", "auth-2", "directory-1", "directory-2", "mailer-1", "mailer-2")


def pids():
    return {name: stack.pid(name) for name in PROCESSES}


def assert_alive():
    """A store is away. Nobody is to be restarted for it, nor the gateway taken out: it says what is the matter."""
    assert [name for name in PROCESSES if not stack.is_fine(name, "/livez")] == []
    assert stack.is_fine("gateway", "/readyz")


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
        assert_alive()
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
        assert_alive()
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


ROWS = 120  # of a list, far more bytes than a socket takes at once


def test_a_list_that_is_cut_off_is_none(token, tmp_path, request):
    """After any number of bytes of Postgres' answer: the whole list, or that there is none now."""
    prefix = f"listed-{time.time_ns()}"
    stack.sql(f"INSERT INTO directory.businesses (name, description, tag, created_by) SELECT '{prefix}-' || i, repeat('x', 1500), 't', 1"
              f" FROM generate_series(1, {ROWS}) AS i")
    first = int(stack.sql(f"SELECT min(id) FROM directory.businesses WHERE name LIKE '{prefix}%'")[0])
    path, seen = f"/api/businesses?after={first - 1}&limit={ROWS}", []
    request.addfinalizer(lambda: stack.sql(f"DELETE FROM directory.businesses WHERE name LIKE '{prefix}%'"))
    with links.Proxy() as proxy:
        link = proxy.link("directory-postgres", stack.port("postgres"))
        database = re.sub(r"port=\d+", f"port={link.port}", re.search(r"^directory_database = (.*)$", (stack.VAR / "config/directory-1.conf").read_text(), re.M)[1])
        with second("directory-1", tmp_path, directory_database=database) as worker, \
                second("gateway", tmp_path, directory_endpoints=worker.endpoint) as gateway:
            def ask():
                answer = house.ask("GET", path, token=token, at=gateway.port)
                return answer.status, len(answer.json["data"]) if answer.status == 200 else 0
            assert ask() == (200, ROWS)
            for share in range(1, 24):
                link.set("down", cut=share * ROWS * 1550 // 20)
                seen.append(ask())
                link.clear()
                stack.wait_until(lambda: ask() == (200, ROWS), 8, "the list is there again")
        hits = link.stats()["hits"]
    print(seen, hits)
    assert set(seen) <= {(200, ROWS), (503, 0), (504, 0)} and hits >= 15 and {status for status, _ in seen} > {200}
