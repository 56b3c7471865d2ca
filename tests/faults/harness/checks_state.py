"""I1, I2, I6, I7: what is stored is what was acknowledged, once, and each answer is its asker's."""
from history import NOT_THERE, S, by, of

UNREAD = (400, 408)  # what a request is answered whose head did not come whole, so its id did not
LATE = 8 * S   # an operation without an answer has its effect by then, or never; it was asked where nothing holds it back for longer
GRACE = 1 * S  # it has it by its deadline, and this


class Register:
    """What one account's password or one business may be seen to be, given all that was asked of it."""

    def __init__(self, ops, faults):
        """faults: those that hold back what is on its way, and let it go on afterwards."""
        self.faults, self.writes = faults, [op for op in ops if "writes" in op]
        self.settled = [op for op in self.writes if op["outcome"] == "ok"]

    def over(self, write):
        """By then it has had its effect, or never has."""
        if write["outcome"] == "ok":
            return write["return"]
        late = write.get("deadline", 0) * S + GRACE
        return write["invoke"] + max([late, *(fault["cleared"] - write["invoke"] + late for fault in self.faults
                                              if write["invoke"] < fault["cleared"] and fault["begin"] < write["invoke"] + late)])

    def gone(self, write, when):
        """Something later was acknowledged before `when`, so this write cannot be seen any more."""
        end = self.over(write)
        return any(end < other["invoke"] and other["return"] < when for other in self.settled if other is not write)

    def may_be(self, begin, end):
        """What may be seen by whoever looks between begin and end."""
        values = {write["writes"] for write in self.writes
                  if write["outcome"] != "fail" and write["invoke"] < end and not self.gone(write, begin)}
        return values if any(write["return"] < begin for write in self.settled) else values | {NOT_THERE}

    def refused(self, value):
        writers = [write for write in self.writes if write["writes"] == value]
        return bool(writers) and all(write["outcome"] == "fail" for write in writers)


def looks(ops, found, end):
    """(record, from, to, what was seen, and whether that is what it was or what it was not); found: at the end."""
    for op in ops:
        if "reads" in op:
            yield op, op["invoke"], op["return"], op["reads"], True
        elif "reads_not" in op:
            yield op, op["invoke"], op["return"], op["reads_not"], False
    for record in found:
        if "value" in record:
            yield record, end + LATE, end + LATE, record["value"], True


def judged(records):
    """(record, register, what may be, what was seen, whether it may be) of every look."""
    all_ops, found = of(records, "op"), by(of(records, "seen"), "about")
    end, holding = max((op["return"] for op in all_ops), default=0), [fault for fault in of(records, "fault") if fault.get("holds")]
    for about, ops in by(all_ops, "about").items():
        register = Register(ops, holding)
        for record, begin, until, value, was in looks(ops, found.get(about, ()), end):
            may = register.may_be(begin, until)
            there = may - {NOT_THERE} if value == "there" else may & {value}
            yield record, register, may, value, bool(there) if was else bool(may - {value})


def durable(records):
    """I1: what was acknowledged is there, and is seen."""
    return [f"{record.get('about')}: {value} was seen ({record.get('op', 'at the end')}, {record.get('n', '')}), may be {sorted(may)}"
            for record, register, may, value, fine in judged(records) if not fine and not register.refused(value)]


def known(records):
    """I2: what was refused has not happened; what was asked once or again under one key has happened once."""
    bad = [f"{record.get('about')}: {value} was refused and is there all the same"
           for record, register, _, value, fine in judged(records) if not fine and register.refused(value)]
    attempts = by((op for op in of(records, "op") if "writes" in op), "about")
    for record in of(records, "seen"):
        if record["what"] == "business" and record["n"] > 1:
            bad.append(f"{record['about']}: there {record['n']} times, asked for {len(attempts.get(record['about'], []))} times")
        if record["what"] == "business" and record["about"] not in attempts:
            bad.append(f"{record['about']}: nobody asked for it")
    for key, ops in by(of(records, "op"), "key").items():
        effects = {op["effect"] for op in ops if "effect" in op}
        if len(effects) > 1:
            bad.append(f"key {key}: different answers: {sorted(effects)}")
    return bad


def unique(records):
    """I6: one account for each name, however it is written; and of those who ask for one name at once, one gets it."""
    bad = []
    for name, rows in by((r for r in of(records, "seen") if r["what"] == "account"), "name").items():
        if sum(row["n"] for row in rows) > 1:
            bad.append(f"{name}: {sum(row['n'] for row in rows)} accounts")
    for about, ops in by(of(records, "op"), "about").items():
        made = sorted((op for op in ops if op["op"].startswith("sign_up") and op["outcome"] == "ok"), key=lambda op: op["return"])
        gone = [op["invoke"] for op in ops if op.get("writes") == NOT_THERE and op["outcome"] != "fail"]
        for first, second in zip(made, made[1:]):
            if not any(first["invoke"] < moment < second["return"] for moment in gone):
                bad.append(f"{about}: made twice ({first['n']}, {second['n']})")
    return bad


def own(records):
    """I7: the answer is to this request, about whom it was asked for, and says nothing that nobody ever wrote."""
    bad = []
    written = {about: {op["writes"] for op in ops if "writes" in op} for about, ops in by(of(records, "op"), "about").items()}
    for op in of(records, "op"):
        if op.get("echo") is False and op["status"] not in UNREAD:
            bad.append(f"{op['n']} ({op['op']}): the answer bears another request's id")
        if "saw" in op and op["saw"] != op.get("about"):
            bad.append(f"{op['n']} ({op['op']}): asked about {op.get('about')}, answered about {op['saw']}")
        value = op.get("reads", NOT_THERE)
        if value not in (NOT_THERE, "there") and value not in written.get(op.get("about"), ()):
            bad.append(f"{op['n']} ({op['op']}): {value} was never written")
    return bad
