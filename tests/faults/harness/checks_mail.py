"""I5: every mail that was promised reaches the relay, as one, and no other does."""
import collections
from history import NOT_THERE, by, of

ASKED_FOR = ("Reset your password", "Confirmation email (again)")  # decided on after the answer: not for an account that is gone by then


def mailed(records):
    bad, ops, mails = [], of(records, "op"), of(records, "mail")
    promised, possible, gone = collections.Counter(), collections.Counter(), set()
    for op in ops:
        if "mails" in op and op["outcome"] != "fail":
            possible[op["about"], op["mails"]] += 1
            promised[op["about"], op["mails"]] += op["outcome"] == "ok"
        if op.get("writes") == NOT_THERE and op["outcome"] != "fail":
            gone.add(op["about"])
    for key, tries in by(ops, "key").items():  # any number of tries under one key are one mail
        answered = sum(op["outcome"] == "ok" for op in tries)
        of_key = tries[0]["about"], tries[0]["mails"]
        possible[of_key] -= sum(op["outcome"] != "fail" for op in tries) - 1
        promised[of_key] -= max(answered - 1, 0)

    found = collections.defaultdict(set)
    for mail in mails:
        found[mail["to"], mail["kind"]].add(mail["message_id"])
    for of_kind in promised.keys() | found.keys():
        least, n = promised[of_kind], len(found[of_kind])
        if of_kind[0] in gone and of_kind[1] in ASKED_FOR:
            least = 0
        if n < least:
            bad.append(f"{of_kind}: {least} mails were promised, {n} came")
        if n > possible[of_kind]:
            bad.append(f"{of_kind}: {n} mails came, {possible[of_kind]} were asked for")
    for secret, copies in by(mails, "secret").items():
        if len({mail["message_id"] for mail in copies}) > 1:
            bad.append(f"secret {secret}: under several Message-IDs")
    repeated = sum(len(copies) - 1 for copies in by(mails, "message_id").values())
    allowed = sum(fault.get("repeats", 0) for fault in of(records, "fault"))
    if repeated > allowed:
        bad.append(f"{repeated} mails came again, {allowed} may")
    return bad
