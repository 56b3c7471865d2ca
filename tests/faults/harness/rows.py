"""Every fault there is, once: whom it hits, how it begins and ends, how long all may need afterwards, and what it excuses.

A fault is a generator: what stands before its yield breaks something, what stands behind mends it. It gets the scene, its name and the
row's own random numbers."""
import contextlib, dataclasses, os, shutil, signal, subprocess, time
import stack

READY_S = 20  # the longest that a process or a store may need to be there again


@dataclasses.dataclass
class Row:
    name: str
    hits: str            # a process of the scene, a store or the relay
    fault: object
    lengths: tuple       # seconds, from and to
    bound: float         # seconds until all is well again
    breaks: tuple = ()   # what clients may find broken meanwhile (checks_health.NEEDS); of one replica: nothing
    excuses: dict = dataclasses.field(default_factory=dict)


# ---- processes ----
def kill(scene, name, random):
    scene.kill(name)
    yield
    scene.start(name)


def freeze(scene, name, random):
    scene.send(name, signal.SIGSTOP)
    yield
    scene.send(name, signal.SIGCONT)


def restart(scene, name, random):
    """As a rolling one: it is asked to go, and answers what it has."""
    stop(scene, name)
    yield
    scene.start(name)


def stop(scene, name):
    scene.send(name, signal.SIGTERM)
    stack.wait_until(lambda: not stack.lives(scene.pid(name)), READY_S, f"{name} has drained")


def both(fault):
    """Of both replicas of a service."""
    def fault_of_both(scene, service, random):
        with contextlib.ExitStack() as stack_of_two:
            for n in (1, 2):
                stack_of_two.enter_context(contextlib.contextmanager(fault)(scene, f"{service}-{n}", random))
            yield
    return fault_of_both


def kill_often(scene, name, random):
    """Again and again, hardly back."""
    for _ in range(3):
        scene.kill(name)
        scene.start(name)
        time.sleep(random.uniform(0.05, 0.6))
    scene.kill(name)
    yield
    scene.start(name)


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


def wrong_clock(seconds, judges=False):
    """A replica on a host whose clock is wrong by so much; durations are right there. judges: tokens by that clock, so it must not."""
    def fault(scene, name, random):
        assert os.path.exists(FAKETIME), "Debian's libfaketime is not there"
        stop(scene, name)
        scene.start(name, LD_PRELOAD=FAKETIME, FAKETIME=f"{seconds:+}s", FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1")
        stack.wait_until(lambda: scene.is_alive(name) and scene.is_ready(name) != judges, READY_S, f"{name} has looked at its clock")
        yield
        assert scene.is_ready(name) != judges
        stop(scene, name)
        scene.start(name)
    return fault


# ---- Redis ----
def start_redis(scene):
    scene.start("redis")
    stack.wait_until(scene.redis_answers, READY_S, "Redis answers")


def kill_redis(scene, name, random):
    scene.kill(name)
    yield
    start_redis(scene)


def empty_redis(scene, name, random):
    scene.kill(name)
    yield
    shutil.rmtree(stack.VAR / "redis")
    (stack.VAR / "redis").mkdir()
    start_redis(scene)


def old_redis(scene, name, random):
    """It comes back as it was some seconds ago."""
    folder, old = stack.VAR / "redis", stack.VAR / "redis.old"
    shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(folder, old)
    time.sleep(random.uniform(1, 2.5))  # sessions end meanwhile
    scene.kill(name)
    yield
    shutil.rmtree(folder)
    old.rename(folder)
    start_redis(scene)


def flush_redis(scene, name, random):
    scene.redis("FLUSHALL")
    yield


def set_redis(setting, bad, good):
    def fault(scene, name, random):
        assert scene.redis("CONFIG", "SET", setting, bad) == "OK"
        yield
        assert scene.redis("CONFIG", "SET", setting, good) == "OK"
    return fault


def demote_redis(scene, name, random):
    assert scene.redis("REPLICAOF", "127.0.0.1", "1") == "OK"
    yield
    assert scene.redis("REPLICAOF", "NO", "ONE") == "OK"


def pause_redis(scene, name, random):
    """It takes commands that write and answers none of them."""
    scene.redis("CLIENT", "PAUSE", 60000, "WRITE")
    yield
    scene.redis("CLIENT", "UNPAUSE")


def cut_redis(scene, name, random):
    for _ in range(5):
        scene.redis("CLIENT", "KILL", "TYPE", "normal")
        time.sleep(random.uniform(0.01, 0.2))
    yield


def crowd_redis(scene, name, random):
    """No room for anybody who connects anew but us, who are there."""
    most = scene.redis("CONFIG", "GET", "maxclients").split()[-1]
    with scene.redis_cli() as insider:
        def say(words):
            print(words, file=insider.stdin, flush=True)
            return insider.stdout.readline().strip()
        assert say("CONFIG SET maxclients 1") == "OK"
        say("CLIENT KILL TYPE normal SKIPME yes")
        yield
        assert say(f"CONFIG SET maxclients {most}") == "OK"
        insider.stdin.close()


# ---- Postgres ----
END_OURS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'busi\\_%'"


def kill_postgres(scene, name, random):
    scene.kill(name)
    yield
    scene.start_postgres()


def restart_postgres(scene, name, random):
    assert scene.postgres("-m", "fast", "stop")
    yield
    scene.start_postgres()


def kill_backend(scene, name, random):
    """The server takes it for a crash: it ends all others and recovers."""
    backends = scene.rows("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'busi\\_%'")
    os.kill(random.choice(backends)[0], signal.SIGKILL)
    yield


def freeze_postgres(scene, name, random):
    family = scene.family_of_postgres()
    for number in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGSTOP)
    yield
    for number in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGCONT)


def cut_postgres(scene, name, random):
    for _ in range(5):
        scene.sql(END_OURS)
        time.sleep(random.uniform(0.01, 0.3))
    yield


def lock_table(table):
    def fault(scene, name, random):
        holder = scene.psql("-f", "-", stdin=subprocess.PIPE)
        holder.stdin.write(f"SET lock_timeout = '10s'; BEGIN; LOCK TABLE {table}; \\echo locked\n")
        holder.stdin.flush()
        assert holder.stdout.readline().strip() == "locked"
        yield
        holder.communicate("ROLLBACK;\n", timeout=10)
    return fault


def read_only(scene, name, random):
    def set_to(value):
        scene.sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        scene.sql("SELECT pg_reload_conf()")
    set_to("on")
    yield
    scene.psql("-c", "SET default_transaction_read_only = off", "-c", "ALTER SYSTEM RESET default_transaction_read_only",
               "-c", "SELECT pg_reload_conf()").communicate(timeout=20)


def crowd_postgres(scene, name, random):
    """No room for the services' roles: what they are told when every connection is taken (53300)."""
    def limit(most):
        for role in ("busi_auth", "busi_directory", "busi_mailer"):
            scene.sql(f"ALTER ROLE {role} CONNECTION LIMIT {most}")
    limit(0)
    scene.sql(END_OURS)
    yield
    limit(-1)


# ---- the relay ----
def relay_says(**modes):
    def fault(scene, name, random):
        scene.sink.set(**modes)
        yield
        scene.sink.set()
    return fault


def relay_gone(scene, name, random):
    scene.sink.refuse()
    yield
    scene.sink.start(scene.sink.port)


# ---- links ----
def both_ways(**faults):
    """Of every connection of a link, and of all its links where there are several (gateway-auth-1, -2)."""
    def fault(scene, name, random):
        links = links_of(scene, name)
        for link in links:
            link.set("both", **faults)
        yield
        for link in links:
            link.clear()
    return fault


def links_of(scene, name):
    return [link for other, link in scene.links.links.items() if other == name or other.rsplit("-", 1)[0] == name]


def at_some_byte(what):
    """Again and again, each time after some bytes more, in some direction."""
    def fault(scene, name, random):
        links = links_of(scene, name)
        until = time.monotonic() + random.uniform(1, 3)
        while time.monotonic() < until:
            for link in links:
                link.set(random.choice(["up", "down"]), **{what: random.randrange(1, 3000)})
            time.sleep(random.uniform(0.05, 0.3))
        yield
        for link in links:
            link.clear()
    return fault


def flapping(scene, name, random):
    """Gone for some moments, there for some, and gone."""
    links = links_of(scene, name)
    for _ in range(4):
        for link in links:
            link.refuse()
            link.reset()
        time.sleep(random.uniform(0.1, 0.5))
        for link in links:
            link.refuse(False)
        time.sleep(random.uniform(0.1, 0.5))
    for link in links:
        link.refuse()
        link.reset()
    yield
    for link in links:
        link.refuse(False)


# ---- the table ----
SHORT, LONG = (0.3, 2.0), (2.0, 6.0)
IN_HAND = {"repeats": 2}  # mails of a mailer that dies: those of its two connections


def of_each(names, what, fault, lengths, bound, breaks=(), **excuses):
    return [Row(f"{name} {what}", name, fault, lengths, bound, breaks, excuses) for name in names]


def gateway(name, what, fault, lengths, bound):
    return Row(f"{name} {what}", name, fault, lengths, bound, (), {"target": name} | ({} if fault is freeze else {"restarts": [name]}))


def worker_rows(service, bound, **excuses):
    two = [f"{service}-1", f"{service}-2"]
    rows = []
    for name in two:
        rows += [Row(f"{name} killed", name, kill, SHORT, bound, (), excuses | {"restarts": [name]}),
                 Row(f"{name} frozen", name, freeze, LONG, bound, (), excuses),
                 Row(f"{name} restarted", name, restart, SHORT, bound, (), {"restarts": [name]})]
    rows += [Row(f"{two[0]} killed often", two[0], kill_often, SHORT, bound, (), {n: 4 * v for n, v in excuses.items()} | {"restarts": [two[0]] * 4}),
             Row(f"both {service} killed", service, both(kill), SHORT, bound, (service,), {n: 2 * v for n, v in excuses.items()} | {"restarts": two}),
             Row(f"both {service} frozen", service, both(freeze), LONG, bound, (service,), {n: 2 * v for n, v in excuses.items()})]
    return rows


def redis(what, fault, lengths, bound=3, breaks=("redis",), **excuses):
    return Row(f"redis {what}", "redis", fault, lengths, bound, breaks, excuses)


def postgres(what, fault, lengths, bound=5, breaks=("postgres",), **excuses):
    return Row(f"postgres {what}", "postgres", fault, lengths, bound, breaks, {"repeats": 4} | excuses)


def relay(what, fault, lengths=LONG, **excuses):
    return Row(f"relay {what}", "relay", fault, lengths, 2, ("relay",), excuses)


def link_rows(name, breaks, bound=3, sealed=False, silent={}, **excuses):
    """sealed: bits that flip on the way are noticed. silent: what else a link that carries nothing excuses or asks for."""
    rows = [Row(f"{name} far", name, both_ways(delay=100, jitter=50), LONG, 2, breaks, excuses),
            Row(f"{name} very far", name, both_ways(delay=1000), LONG, bound, breaks, excuses),
            Row(f"{name} thin", name, both_ways(rate=1000), LONG, bound, breaks, excuses),
            Row(f"{name} swallows", name, both_ways(drop=1), LONG, bound + 2, breaks, excuses | silent),
            Row(f"{name} stalls", name, both_ways(stall=1), LONG, bound + 2, breaks, excuses | silent),
            Row(f"{name} is cut", name, at_some_byte("cut"), SHORT, bound, breaks, excuses),
            Row(f"{name} is reset", name, at_some_byte("rst"), SHORT, bound, breaks, excuses),
            Row(f"{name} half closes", name, at_some_byte("halfclose"), SHORT, bound + 2, breaks, excuses),
            Row(f"{name} flaps", name, flapping, SHORT, bound, breaks, excuses)]
    return rows + ([Row(f"{name} flips bits", name, at_some_byte("corrupt"), SHORT, bound, breaks, excuses)] if sealed else [])


ALL = 10**9  # seconds: sessions of any age
BLIND = 2.0  # seconds for which a gateway may go on by what it remembers: a lease of 1.4, and a grace
ROWS = [
    *[gateway(name, "killed", kill, SHORT, 2) for name in ("gateway-1", "gateway-2")],
    *[gateway(name, "frozen", freeze, LONG, 2) for name in ("gateway-1", "gateway-2")],
    *[gateway(name, "restarted", restart, SHORT, 2) for name in ("gateway-1", "gateway-2")],
    *worker_rows("auth", 3),
    *worker_rows("directory", 3),
    *worker_rows("mailer", 3, **IN_HAND),
    *[Row(f"{name}-1 {what}", f"{name}-1", wrong_clock(seconds, name == "auth"), (8, 16), 3, (), {"restarts": [f"{name}-1"] * 2})
      for name in ("gateway", "auth", "directory", "mailer") for what, seconds in (("an hour ahead", 3600), ("an hour behind", -3600))],
    redis("killed", kill_redis, SHORT, loses=4, blind=BLIND),
    redis("killed and empty", empty_redis, SHORT, loses=ALL, forgets=BLIND),
    redis("killed and old", old_redis, SHORT, loses=4, blind=BLIND + 5),
    redis("flushed", flush_redis, (0.1, 0.2), loses=ALL, forgets=BLIND),
    redis("frozen", freeze, LONG, blind=BLIND),
    redis("paused", pause_redis, LONG),
    redis("full", set_redis("maxmemory", "1", "0"), LONG, 1),
    redis("evicting", set_redis("maxmemory-policy", "allkeys-lru", "noeviction"), LONG),
    redis("demoted", demote_redis, LONG),
    redis("cut", cut_redis, (0.1, 0.5), 1),
    redis("crowded", crowd_redis, SHORT, blind=BLIND),
    postgres("killed", kill_postgres, SHORT),
    postgres("restarted", restart_postgres, SHORT),
    postgres("backend killed", kill_backend, (0.1, 1.0)),
    postgres("frozen", freeze_postgres, LONG, 3),
    postgres("cut", cut_postgres, (0.1, 0.5), 1),
    postgres("read only", read_only, LONG, 3),
    postgres("crowded", crowd_postgres, SHORT, 1),
    Row("businesses locked", "postgres", lock_table("directory.businesses"), LONG, 1, ("businesses",)),
    Row("accounts locked", "postgres", lock_table("auth.users"), LONG, 1, ("accounts",)),
    relay("gone", relay_gone),
    relay("says 451", relay_says(rcpt="451 4.3.0 later")),
    relay("greylists", relay_says(end="450 4.2.1 greylisted")),
    relay("says 421", relay_says(banner="421 4.3.2 shutting down")),
    relay("says nothing", relay_says(banner="stall")),
    relay("stalls at the end", relay_says(end="stall")),
    relay("drops the text", relay_says(data="drop")),
    relay("refuses TLS", relay_says(tls="refuse")),
    relay("is somebody else", relay_says(tls="wrong")),
    relay("drops after its 250", relay_says(after="drop"), repeats=ALL),
    *link_rows("gateway-auth", ("auth",), sealed=True, silent={"blind": BLIND}),
    *link_rows("gateway-directory", ("directory",), sealed=True),
    *link_rows("auth-mailer", (), sealed=True),
    *link_rows("auth-redis", ("redis",), silent={"blind": BLIND}),
    *link_rows("auth-postgres", ("auth-postgres",), 5),
    *link_rows("directory-postgres", ("directory-postgres",), 5),
    *link_rows("mailer-postgres", ("mailer-postgres",), 5, repeats=ALL),
    *link_rows("mailer-relay", ("relay",), sealed=True, repeats=ALL),
    *[row for name in ("gateway-1", "gateway-2") for row in link_rows("client-" + name, (), target=name)],
]


def named(words):
    """Rows whose name has one of these words (in it); all for none."""
    return [row for row in ROWS if not words or any(word in row.name for word in words)]
