"""I9, I10, I12, I13: nothing grows or waits without end, all is well again by itself, nothing leaks, others are not harmed."""
import math
from history import S, by, of

GRACE_S = 0.5         # after the deadline
SETTLE_S = 3.0        # until calls go round what is broken
HARMLESS_SHARE = 0.95  # of what does not need what is broken
WELL_SHARE = 0.999     # of all that is asked while nothing is broken
CAPS = {"fds": 1500, "threads": 1200, "rss": 400 * 1024 * 1024}
GROWTH = {"fds": 100, "threads": 50}  # from a process' beginning to its end
BEGINNING = 5                          # samples, a second each: until all threads are there
FLAT = {"fds": 20, "threads": 8}       # from before a fault that says so until the next
BUSY, BUSY_S = 0.4, 2.5                # of a processor: for so long nobody here has so much to do

# What an operation needs to be done. "accounts" and "businesses" are the tables.
CHECKED = {"auth", "redis"}
OF_AUTH = CHECKED | {"postgres", "auth-postgres"}
OF_BUSINESSES = CHECKED | {"directory", "postgres", "directory-postgres", "businesses"}
NEEDS = {"home": set(), "check": CHECKED, "forged": CHECKED, "probe": CHECKED, "refresh": CHECKED, "sign_out": OF_AUTH, "ask_reset": OF_AUTH,
         "read": OF_BUSINESSES, "list": OF_BUSINESSES, "create": OF_BUSINESSES, "update": OF_BUSINESSES, "delete": OF_BUSINESSES,
         "enqueue": {"mailer", "postgres", "mailer-postgres"}}
ELSE = OF_AUTH | {"accounts"}  # whatever changes accounts or begins sessions


def deaf(fault, op):
    """The gateway itself was what was broken."""
    return fault.get("target") == op.get("target") and fault.get("target") and fault["begin"] <= op["return"] and op["invoke"] <= fault["cleared"] + SETTLE_S * S


def bounded(records):
    """I9: an answer or an end by the deadline, and of who is sent away when to come back; fds, threads and memory under their caps."""
    bad, faults = [], of(records, "fault")
    for op in of(records, "op"):
        if op.get("bare"):
            bad.append(f"{op['n']} ({op['op']} at {op.get('target')}): 503 without Retry-After")
        took = (op["return"] - op["invoke"]) / S - op.get("stall", 0)
        if "deadline" in op and took > op["deadline"] + GRACE_S and not any(deaf(fault, op) and not fault.get("prompt") for fault in faults):
            bad.append(f"{op['n']} ({op['op']} at {op.get('target')}): {took:.2f} s, the deadline is {op['deadline']} s")
    for name, samples in by(of(records, "sample"), "name").items():
        for what, cap in CAPS.items():
            most = max(sample[what] for sample in samples)
            if most > cap:
                bad.append(f"{name}: {most} {what}, at most {cap}")
        for process in by(samples, "pid").values():
            for what, most in GROWTH.items():
                begin = max(sample[what] for sample in process[:BEGINNING])
                if process[-1][what] > begin + most:
                    bad.append(f"{name}: {what} grew from {begin} to {process[-1][what]}")
            for fault in faults:
                if fault.get("prompt"):  # elsewhere a process may well be busy
                    bad += spins(name, [sample for sample in process if "cpu" in sample and fault["begin"] <= sample["at"] <= fault["cleared"]])
    return bad + [text for fault, until in with_next(faults) if fault.get("flat") for text in grew(records, fault, until)]


def spins(name, samples):
    """Whoever has nothing to do but uses a processor up."""
    for i, first in enumerate(samples):
        last = next((sample for sample in samples[i:] if sample["at"] - first["at"] >= BUSY_S * S), None)
        if last and (share := (last["cpu"] - first["cpu"]) * S / (last["at"] - first["at"])) > BUSY:
            return [f"{name}: {share:.2f} of a processor for {(last['at'] - first['at']) / S:.1f} s, {first['at'] / S:.1f} s after the beginning"]
    return []


def grew(records, fault, until):
    for name, samples in by(of(records, "sample"), "name").items():
        before = [sample for sample in samples if sample["at"] < fault["begin"]]
        after = [sample for sample in samples if fault["cleared"] < sample["at"] < until]
        for what, most in FLAT.items():
            if before and after and after[-1][what] > before[-1][what] + most:
                yield f"{name}: {what} grew from {before[-1][what]} to {after[-1][what]} by {fault['row']}"


def with_next(faults):
    """Each with the moment at which the next begins."""
    return [(fault, following["begin"] if following else math.inf) for fault, following in zip(faults, [*faults[1:], None])]


def failed(op):
    return op["outcome"] == "unknown" or op["status"] >= 500


def recoveries(records, factor=1.0):
    """(fault, seconds from its end to the last failure before the next, its bound) of each."""
    ops = of(records, "op")
    for fault, until in with_next(of(records, "fault")):
        late = [op["invoke"] for op in ops if failed(op) and fault["cleared"] < op["invoke"] and op["return"] < until]
        yield fault, max((moment - fault["cleared"] for moment in late), default=0) / S, fault["bound"] * factor


def calm(records, factor=1.0):
    """Operations that no fault can have touched."""
    faults = of(records, "fault")
    return [op for op in of(records, "op")
            if not any(op["return"] >= fault["begin"] and op["invoke"] <= fault["cleared"] + fault["bound"] * factor * S for fault in faults)]


def quantile(times, share):
    return sorted(times)[min(len(times) - 1, int(share * len(times)))] if times else 0.0


def heals(records, factor=1.0, slack_s=0.25):
    """I10: after each fault all works again within its bound, nearly as fast as before. factor: of a machine that others use, too."""
    ops, bad = calm(records, factor), []
    broken = [op for op in ops if failed(op)]
    if len(broken) > max(1, (1 - WELL_SHARE) * len(ops)):
        bad += [f"{op['n']} ({op['op']} at {op.get('target')}): {op['status']} when nothing was broken" for op in broken[:10]]
    first = min((fault["begin"] for fault in of(records, "fault")), default=math.inf)
    took = lambda some: [(op["return"] - op["invoke"]) / S - op.get("stall", 0) for op in some if op.get("client") != "final"]
    before, after = took(op for op in ops if op["return"] < first), took(op for op in ops if op["invoke"] > first)
    if len(before) > 50 and len(after) > 50 and quantile(after, 0.99) > 1.5 * factor * quantile(before, 0.99) + slack_s * factor:
        bad.append(f"p99 was {quantile(before, 0.99):.3f} s before and {quantile(after, 0.99):.3f} s after the faults")
    for name, samples in by(of(records, "sample"), "name").items():
        own = {sample["pid"] for sample in samples}
        allowed = 1 + sum(fault.get("restarts", []).count(name) for fault in of(records, "fault"))
        if len(own) > allowed:
            bad.append(f"{name}: restarted though nobody asked for it")
    return bad + [f"{died['name']} ended by itself: {died['words']}" for died in of(records, "died")]


def silent(records):
    """I12: no secret stands anywhere."""
    return [f"{leak['what']} in {leak['where']}" for leak in of(records, "leak")]


def contained(records, share=HARMLESS_SHARE):
    """I13: what does not need what is broken goes on. Of a fault of one replica that is everything, once calls go round it."""
    bad, ops = [], of(records, "op")
    for fault in of(records, "fault"):
        begin = fault["broken"] + (0 if fault.get("breaks") else SETTLE_S * S)
        others = [op for op in ops if begin < op["invoke"] and op["return"] < fault["mending"] and not deaf(fault, op)
                  and not NEEDS.get(op["op"], ELSE) & set(fault.get("breaks", ()))]
        for name, some in by(others, "op").items():
            wrong = [op for op in some if failed(op)]
            if len(wrong) > max(2, (1 - share) * len(some)):
                bad.append(f"{fault['row']}: {len(wrong)} of {len(some)} {name} failed, which do not need {', '.join(fault.get('breaks', ())) or 'it'}")
    return bad
