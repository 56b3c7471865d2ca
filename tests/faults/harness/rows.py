"""Every fault there is, once: whom it hits, how it begins and ends, how long all may need afterwards, and what it excuses.

A fault is a generator: what stands before its yield breaks something, what stands behind mends it. It gets the scene, its name and the
row's own random numbers. process_faults.py, store_faults.py and link_faults.py have them."""
import dataclasses
from link_faults import at_some_byte, both_ways, flapping, relay_gone, relay_says
from process_faults import both, freeze, kill, kill_often, restart, wrong_clock
from store_faults import (crowd_postgres, crowd_redis, cut_postgres, cut_redis, demote_redis, empty_redis, flush_redis, freeze_postgres, kill_backend,
                          kill_postgres, kill_redis, lock_table, old_redis, pause_redis, read_only, restart_postgres, set_redis)


@dataclasses.dataclass
class Row:
    name: str
    hits: str            # a process of the scene, a store or the relay
    fault: object
    lengths: tuple       # seconds, from and to
    bound: float         # seconds until all is well again
    breaks: tuple = ()   # what clients may find broken meanwhile (checks_health.NEEDS); of one replica: nothing
    excuses: dict = dataclasses.field(default_factory=dict)
    needs: object = lambda: None  # why it cannot be had on this machine


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
