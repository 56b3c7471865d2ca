"""The invariants of a run, each a function of its records that tells what is wrong."""
import functools
import checks_health, checks_mail, checks_state, checks_tokens

INVARIANTS = {
    "I1 durable": checks_state.durable, "I2 known": checks_state.known, "I3 revoked": checks_tokens.revoked, "I4 once": checks_tokens.once,
    "I5 mail": checks_mail.mailed, "I6 unique": checks_state.unique, "I7 own answers": checks_state.own, "I8 fail closed": checks_tokens.closed,
    "I9 bounded": checks_health.bounded, "I10 heals": checks_health.heals, "I11 time": checks_tokens.in_time,
    "I12 no secrets": checks_health.silent, "I13 contained": checks_health.contained}


def violations(records, factor=1.0):
    """What each invariant has to say, without those that are content. factor: how much slower than alone this machine may be."""
    found = {}
    for name, check in INVARIANTS.items():
        if check is checks_health.heals:
            check = functools.partial(check, factor=factor)
        if said := check(records):
            found[name] = said
    return found
