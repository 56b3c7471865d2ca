"""I3, I4, I8, I11: who is let in, and what works once."""
from history import S, by, of

SKEW = 2 * S      # of expiries, which are whole seconds
UNDECIDED = 8 * S  # an end of a session that was not answered happens by then, or never


def served(op):
    return op.get("protected") and op["outcome"] == "ok"


def ends(records):
    """When each session's end was first acknowledged."""
    moments = {}
    for op in of(records, "op"):
        if op["outcome"] == "ok":
            for session in op.get("ends", ()):
                moments[session] = min(op["return"], moments.get(session, op["return"]))
    return moments


def revoked(records):
    """I3: nothing that starts after the end of a session was acknowledged is served with its tokens, by any gateway, ever."""
    moments = ends(records)
    return [f"{op['n']} ({op['op']} at {op.get('target')}): session {op['session']} was served "
            f"{(op['invoke'] - moments[op['session']]) / S:.3f} s after its end"
            for op in of(records, "op") if served(op) and op["invoke"] > moments.get(op.get("session"), op["invoke"])]


def once(records):
    """I4: a mailed secret works once, and no more happened to an account than it had secrets that were tried."""
    bad, tried = [], {}
    for secret, ops in by(of(records, "op"), "secret").items():
        won = [op["n"] for op in ops if op["outcome"] == "ok"]
        if len(won) > 1:
            bad.append(f"secret {secret} worked {len(won)} times: {won}")
        if any(op["outcome"] != "fail" for op in ops):
            tried.setdefault((ops[0]["about"], ops[0]["op"]), set()).add(secret)
    for record in of(records, "seen"):
        if record["what"] == "audit":
            most = len(tried.get((record["about"], record["name"]), ()))
            if record["n"] > most:
                bad.append(f"{record['about']}: {record['name']} happened {record['n']} times, by {most} secrets")
    return bad


def excused(fault, opened, op):
    """This fault may have lost the session: it takes what is younger than `loses` seconds before it."""
    return "loses" in fault and fault["begin"] < op["return"] and opened > fault["begin"] - fault["loses"] * S and opened < fault["cleared"]


def closed(records):
    """I8: nobody is let in whose right to it could not be known; and a good token is never called bad (clients would drop it)."""
    bad, faults, ops = [], of(records, "fault"), of(records, "op")
    stern = [fault for fault in faults if "blind" in fault or "forgets" in fault]
    opened = {op["opens"]: op["invoke"] for op in ops if "opens" in op}
    open_by = {op["opens"]: op["return"] for op in ops if "opens" in op}
    ending = {}
    for op in ops:
        for session in op.get("ends", ()):
            if op["outcome"] != "fail":
                ending[session] = min(op["invoke"], ending.get(session, op["invoke"]))
    for op in ops:
        name = f"{op['n']} ({op['op']} at {op.get('target')})"
        if served(op):
            if op.get("forged"):
                bad.append(f"{name}: served with a forged token")
            for fault in stern:
                if "blind" in fault and fault["broken"] + fault["blind"] * S < op["invoke"] and op["return"] < fault["mending"]:
                    bad.append(f"{name}: served {(op['invoke'] - fault['broken']) / S:.3f} s into {fault['row']}")
                if "forgets" in fault and open_by.get(op.get("session"), op["invoke"]) < fault["begin"] and op["invoke"] > fault["cleared"] + fault["forgets"] * S:
                    bad.append(f"{name}: served with a session that {fault['row']} had wiped out")
        elif op.get("protected") and op["status"] == 401 and not op.get("forged"):
            session = op.get("session")
            if session in opened and op["return"] < ending.get(session, op["return"] + 1) and op["return"] < op.get("expires", op["return"] + 3 * SKEW) - SKEW \
                    and not any(excused(fault, opened[session], op) for fault in faults):
                bad.append(f"{name}: the good session {session} was refused")
    return bad


def in_time(records):
    """I11: what has expired is not accepted, whatever the clocks do."""
    return [f"{op['n']} ({op['op']} at {op.get('target')}): served {(op['invoke'] - op['expires']) / S:.3f} s after its token expired"
            for op in of(records, "op") if served(op) and op["invoke"] > op.get("expires", op["invoke"]) + SKEW]
