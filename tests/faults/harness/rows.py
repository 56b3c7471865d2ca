"""Every fault there is, once: whom it hits, how it begins and ends, how long all may need afterwards, and what it excuses.

A fault is a generator: what stands before its yield breaks something, what stands behind mends it. It gets the scene, its name and the
row's own random numbers. process_faults.py, store_faults.py and link_faults.py have them."""
import dataclasses
from link_faults import all_flapping, at_some_byte, both_ways, flapping, moves, name_says, relay_gone, relay_says, stops_large
from meddling import may_not_meddle
from process_faults import both, freeze, kill, kill_often, restart, wrong_clock
from scarcity import (a_fifth_of_a_processor, for_a_moment, little_memory, log_disk_full, log_nobody_reads, no_cgroups, no_descriptors, no_memory,
                      nobody_may_look, now_and_then, refused_memory)
from scene import HOME
from store_faults import (clock_of_postgres, clock_of_redis, crowd_postgres, crowd_redis, cut_postgres, cut_redis, demote_redis, empty_redis, flush_redis,
                          freeze_postgres, full_disk_of_postgres, full_disk_of_redis, kill_backend, kill_postgres, kill_redis, lock_table, old_redis,
                          old_redis_beside_a_clock, password_changes, password_is_another, pause_redis, read_only, restart_postgres, set_redis,
                          slow_disk_of_postgres)


@dataclasses.dataclass
class Row:
    name: str
    hits: str            # a process of the scene, a store or the relay
    fault: object
    lengths: tuple       # seconds, from and to
    bound: float         # seconds until all is well again
    breaks: tuple = ()   # what clients may find broken meanwhile (checks_health.NEEDS); of one replica: nothing
    excuses: dict = dataclasses.field(default_factory=dict)
    needs: object = lambda: None  # why this machine cannot play it


# ---- the table ----
SHORT, LONG = (0.3, 2.0), (2.0, 6.0)
IN_HAND = {"repeats": 2}  # mails of a mailer that dies: those of its two connections


def of_each(names, what, fault, lengths, bound, breaks=(), **excuses):
    return [Row(f"{name} {what}", name, fault, lengths, bound, breaks, excuses) for name in names]


def gateway(name, what, fault, lengths, bound):
    return Row(f"{name} {what}", name, fault, lengths, bound, (), {"target": name} | ({} if fault is freeze else {"restarts": [name]}))


def scarce_rows(name):
    """A process that lacks something. Whoever has no memory may end, and fails at once what needs some: for a moment it is even liked for it."""
    own = {"target": name} if name.startswith("gateway") else {}
    refused = [("is refused memory now and then", refused_memory(now_and_then)), ("is refused memory for a moment", refused_memory(for_a_moment)),
               ("is refused memory everywhere", refused_memory(for_a_moment, unsparing=True))]
    return [*[Row(f"{name} {what}", name, fault, LONG, 3, (name.split("-")[0],), own | {"restarts": [name] * 2}) for what, fault in refused],
            Row(f"{name} lacks descriptors", name, no_descriptors, (4, 8), 1, (), own | {"prompt": True}, nobody_may_look),
            Row(f"{name} lacks a processor", name, a_fifth_of_a_processor, LONG, 2),
            Row(f"{name} lacks memory", name, no_memory, LONG, 3, (name.split("-")[0],), own | {"restarts": [name] * 2}),
            Row(f"{name} has little memory", name, little_memory(128), (6, 10), 2, (), {"restarts": [name] * 2}, no_cgroups),
            Row(f"{name} logs to a full disk", name, log_disk_full, LONG, 2, (), {"restarts": [name] * 2}),
            Row(f"{name} logs to nobody", name, log_nobody_reads, LONG, 2, (), {"restarts": [name] * 2})]


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


def anywhere():
    """What a row needs is everywhere."""


def redis(what, fault, lengths, bound=3, breaks=("redis",), needs=anywhere, **excuses):
    return Row(f"redis {what}", "redis", fault, lengths, bound, breaks, excuses, needs)


def postgres(what, fault, lengths, bound=5, breaks=("postgres",), needs=anywhere, **excuses):
    return Row(f"postgres {what}", "postgres", fault, lengths, bound, breaks, {"repeats": 4} | excuses, needs)


def relay(what, fault, lengths=LONG, **excuses):
    return Row(f"relay {what}", "relay", fault, lengths, 2, ("relay",), excuses)


def link_rows(name, breaks, silence=3, sealed=False, silent={}, big=600, **excuses):
    """silence: seconds until all is well again after a link that carries nothing. sealed: bits that flip on the way are noticed. silent: what
    else such a link excuses or asks for. big: bytes that are many for it; None: nothing on it is large."""
    held = {"holds": True}  # what is on its way comes when it is over
    rows = [Row(f"{name} far", name, both_ways(delay=100, jitter=50), LONG, 2, breaks, excuses),
            Row(f"{name} very far", name, both_ways(delay=1000), LONG, 2, breaks, excuses | held),
            Row(f"{name} thin", name, both_ways(rate=1000), LONG, 2, breaks, excuses | held),
            Row(f"{name} swallows", name, both_ways(drop=1), LONG, silence, breaks, excuses | silent),
            Row(f"{name} stalls", name, both_ways(stall=1), LONG, silence, breaks, excuses | silent | held),
            Row(f"{name} is cut", name, at_some_byte("cut"), SHORT, 1, breaks, excuses),
            Row(f"{name} is reset", name, at_some_byte("rst"), SHORT, 1, breaks, excuses),
            Row(f"{name} half closes", name, at_some_byte("halfclose"), SHORT, 1, breaks, excuses),
            Row(f"{name} flaps", name, flapping, SHORT, 3, breaks, excuses)]
    if sealed:
        rows.append(Row(f"{name} flips bits", name, at_some_byte("corrupt"), SHORT, 2, breaks, excuses))  # of a length: then it is silent
    if big:
        rows.append(Row(f"{name} stops what is large", name, stops_large(big), LONG, 5, breaks, excuses | held))
    return rows


def name_rows(name, breaks, silent={}, **excuses):
    """What is said of where it is. Workers that were found are kept when there is no answer: nobody may notice for long."""
    kept, lasting = name in ("gateway-auth", "gateway-directory", "auth-mailer"), (5, 8)
    lost, unsaid = ((), {}) if kept else (breaks, silent)
    return [Row(f"{name} has no name", name, name_says(["none"], ["fails"]), lasting, 5, lost, excuses | unsaid),
            Row(f"{name} has an empty name", name, name_says(["empty"]), lasting, 5, lost, excuses | unsaid),
            Row(f"{name} has a slow name", name, name_says(["after=5000", HOME]), (2, 8), 10, lost, excuses),
            Row(f"{name} moves", name, moves, (8, 10), 5, breaks, excuses)]


def links_within(name, breaks, silence=3, sealed=False, silent={}, big=600, **excuses):
    return link_rows(name, breaks, silence, sealed, silent, big, **excuses) + name_rows(name, breaks, silent, **excuses)


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
    *[row for name in ("gateway-1", "auth-1", "directory-1", "mailer-1") for row in scarce_rows(name)],
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
    redis("lacks disk", full_disk_of_redis, LONG, needs=may_not_meddle),
    redis("has another password", password_is_another, LONG, 2, blind=BLIND),
    redis("gets another password", password_changes, (4, 8), 3, (), restarts=["auth-1"] * 2),
    *[redis(f"{by} {what}", clock_of_redis(sign * seconds), (6, 10), 3, ())
      for by, seconds in (("20 s", 20), ("an hour", 3600)) for what, sign in (("ahead", 1), ("behind", -1))],
    redis("old, Postgres an hour behind", old_redis_beside_a_clock(-3600), SHORT, 5, ("redis", "postgres"), loses=4, repeats=4),
    postgres("killed", kill_postgres, SHORT),
    postgres("restarted", restart_postgres, SHORT),
    postgres("backend killed", kill_backend, (0.1, 1.0)),
    postgres("frozen", freeze_postgres, LONG, 3, holds=True),
    postgres("cut", cut_postgres, (0.1, 0.5), 1),
    postgres("read only", read_only, LONG, 3),
    postgres("crowded", crowd_postgres, SHORT, 1),
    postgres("lacks disk", full_disk_of_postgres, LONG, 10, needs=may_not_meddle),
    postgres("has a slow disk", slow_disk_of_postgres, LONG, 2, needs=may_not_meddle),
    *[postgres(f"an hour {what}", clock_of_postgres(seconds), (4, 8)) for what, seconds in (("ahead", 3600), ("behind", -3600))],
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
    *links_within("gateway-auth", ("auth",), sealed=True, silent={"blind": BLIND}),
    *links_within("gateway-directory", ("directory",), sealed=True),
    *links_within("auth-mailer", (), sealed=True, big=None),
    *links_within("auth-redis", ("redis",), silent={"blind": BLIND}),
    *links_within("auth-postgres", ("auth-postgres",), 5, big=300),
    *links_within("directory-postgres", ("directory-postgres",), 5),
    *links_within("mailer-postgres", ("mailer-postgres",), 5, big=300, repeats=ALL),
    *links_within("mailer-relay", ("relay",), sealed=True, repeats=ALL),
    *[row for name in ("gateway-1", "gateway-2") for row in link_rows("client-" + name, (), target=name)],
    Row("all links flap for long", "all", all_flapping, (20, 30), 3, ("auth", "directory", "mailer", "redis", "postgres", "relay"),
        {"flat": True, "repeats": ALL}),
]


def named(words):
    """Rows whose name has one of these words (in it); all for none."""
    return [row for row in ROWS if not words or any(word in row.name for word in words)]
