"""Each invariant finds the bug that is planted in a history, says nothing else of it, and nothing at all of a good one."""
import copy, pytest
from checks import INVARIANTS, violations
from history import NOT_THERE, S, load, History
from nemesis import plan
from people import Vault
from rows import ROWS, named
from seek import leaks


class Story:
    """A history as a good run writes it; a second passes between any two of its records."""

    def __init__(self):
        self.records, self.second = [{"type": "run", "seed": 1}], 0

    def op(self, op, status=200, took=0.01, **fields):
        self.second += 1
        outcome = "ok" if 200 <= status < 300 else "fail" if 400 <= status < 500 else "unknown"
        record = {"type": "op", "n": len(self.records), "client": "c1", "op": op, "target": "gateway-1", "invoke": self.second * S,
                  "return": int((self.second + took) * S), "outcome": outcome, "status": status, "echo": True, "deadline": 3}
        self.records.append(record | fields)
        return self.records[-1]

    def add(self, type, **fields):
        self.records.append({"type": type, **fields})
        return self.records[-1]

    def fault(self, row, seconds, **fields):
        begin = int((self.second + 0.5) * S)
        end = begin + seconds * S
        self.second += seconds
        return self.add("fault", row=row, begin=begin, broken=begin, mending=end, cleared=end, bound=3, **fields)


def protected(story, op="check", session="s1", status=200, **fields):
    return story.op(op, status, session=session, protected=True, **({"about": "ann", "saw": "ann"} if status == 200 else {}) | fields)


def sample(story, name="gateway-1", at=0, **fields):
    """at: seconds."""
    return story.add("sample", **{"name": name, "pid": 10, "fds": 30, "threads": 9, "rss": 20 << 20, "cpu": 0.2 * at, "at": int(at * S)} | fields)


@pytest.fixture
def story():
    story = Story()
    story.op("sign_up", about="ann", writes="p1", opens="s1", mails="Confirmation email")
    story.add("mail", to="ann", kind="Confirmation email", message_id="m1", secret="x1")
    story.fault("directory-1 killed", 1)
    story.op("sign_up", 0, about="ben", writes="p2", mails="Confirmation email")
    story.op("sign_up", 422, about="ben", writes="p2", reads="there", mails="Confirmation email")
    story.add("mail", to="ben", kind="Confirmation email", message_id="m2", secret="x2")
    story.op("sign_in", about="ann", reads="p1", opens="s2")
    story.op("confirm_email", about="ann", secret="x1", opens="s3")
    story.op("confirm_email", 400, about="ann", secret="x1")
    story.op("create", 201, about="biz:a", saw="biz:a", writes="v0", session="s1", protected=True)
    story.op("update", about="biz:a", saw="biz:a", writes="v1", session="s1", protected=True)
    story.fault("directory-1 killed", 1)
    story.op("update", 0, about="biz:a", writes="v2", session="s1", protected=True)
    story.op("read", about="biz:a", saw="biz:a", reads="v2", session="s1", protected=True)
    story.op("update", 401, about="biz:a", writes="v3", session="s9", protected=True)
    story.op("create", 201, about="biz:b", saw="biz:b", writes="v0", session="s1", protected=True)
    story.op("delete", 204, about="biz:b", writes=NOT_THERE, session="s1", protected=True)
    story.op("read", 404, about="biz:b", reads=NOT_THERE, session="s1", protected=True)
    for n in range(3):
        protected(story)
    story.op("sign_out", session="s2", ends=["s2"])
    protected(story, "probe", "s2", 401)
    story.fault("directory-1 killed", 1)
    story.op("enqueue", 504, about="cid", key="k1", mails="Welcome to busi")
    story.op("enqueue", about="cid", key="k1", mails="Welcome to busi", effect=7)
    story.op("enqueue", about="cid", key="k1", mails="Welcome to busi", effect=7)
    story.add("mail", to="cid", kind="Welcome to busi", message_id="m3")
    story.op("forged", 401, protected=True, forged=True)
    story.fault("redis frozen", 6, breaks=["redis"], blind=2.0)
    story.op("home")
    protected(story, "refresh", "s1", about=None, saw=None, expires=story.second * S + 60 * S)
    story.op("change_password", about="ann", saw="ann", session="s1", protected=True, writes="p3", ends=["s3"], mails="Your password was changed")
    story.add("mail", to="ann", kind="Your password was changed", message_id="m4")
    story.op("sign_in", 401, about="ann", reads_not="p1")
    for second in range(3):
        for name in ("gateway-1", "auth-1"):
            sample(story, name, second)
    story.add("seen", what="account", about="ann", n=1, name="ann", value="there")
    story.add("seen", what="account", about="ben", n=1, name="ben", value="there")
    story.add("seen", what="business", about="biz:a", n=1, value="v2")
    story.add("seen", what="business", about="biz:b", n=0, value=NOT_THERE)
    story.add("seen", what="audit", about="ann", name="confirm_email", n=1)
    return story


def the(story, type, **fields):
    """The first record like this."""
    return next(r for r in story.records if r["type"] == type and all(r.get(name) == value for name, value in fields.items()))


def drop(story, type, **fields):
    story.records.remove(the(story, type, **fields))


def lost_write(story):
    the(story, "seen", about="biz:a")["value"] = "v0"


def lost_account(story):
    the(story, "seen", about="ann", what="account").update(n=0, value=NOT_THERE)


def stale_read(story):
    story.op("read", about="biz:a", saw="biz:a", reads="v0")


def undone_change_of_password(story):
    story.op("sign_in", about="ann", reads="p1")


def forgotten_password(story):
    story.op("sign_in", 401, about="ann", reads_not="p3")


def revived_row(story):
    the(story, "seen", about="biz:b").update(n=1, value="v0")


def refused_but_done(story):
    the(story, "seen", about="biz:a")["value"] = "v3"


def done_twice(story):
    the(story, "seen", about="biz:a")["n"] = 2


def asked_by_nobody(story):
    story.add("seen", what="business", about="biz:z", n=1)


def other_answer_for_a_key(story):
    the(story, "op", effect=7)["effect"] = 8


def resurrected_token(story):
    protected(story, "probe", "s2")


def refreshed_after_the_end(story):
    story.op("refresh", session="s3", protected=True)


def late_by_a_moment(story):
    ended = the(story, "op", op="sign_out")
    protected(story, "probe", "s2", invoke=ended["return"] + 1, **{"return": ended["return"] + 2})


def secret_used_twice(story):
    the(story, "op", op="confirm_email", status=400).update(outcome="ok", status=200)


def effect_without_secret(story):
    the(story, "seen", what="audit")["n"] = 2


def lost_mail(story):
    drop(story, "mail", message_id="m2")
    the(story, "op", about="ben", status=0)["outcome"] = "ok"


def mail_nobody_asked_for(story):
    story.add("mail", to="eve", kind="Confirmation email", message_id="m9")


def mail_under_another_id(story):
    story.add("mail", to="ann", kind="Confirmation email", message_id="m8", secret="x1")


def mail_twice_without_a_crash(story):
    story.add("mail", **{name: value for name, value in the(story, "mail", message_id="m1").items() if name != "type"})


def key_that_made_two_mails(story):
    story.add("mail", to="cid", kind="Welcome to busi", message_id="m7")


def two_accounts(story):
    the(story, "seen", about="ann", what="account")["n"] = 2


def one_name_twice(story):
    the(story, "seen", about="ben", what="account")["name"] = "ann"


def two_winners(story):
    story.op("sign_up", about="ann", writes="p1")


def crossed_answers(story):
    story.op("check", about="ann", saw="ben", protected=True, session="s1")


def answer_of_another_request(story):
    story.op("home", echo=False)


def words_nobody_wrote(story):
    story.op("read", about="biz:a", saw="biz:a", reads="v2|v1")


def forged_token(story):
    the(story, "op", op="forged").update(outcome="ok", status=200)


def served_in_the_blind(story):
    fault = the(story, "fault", row="redis frozen")
    protected(story, invoke=fault["begin"] + 3 * S, **{"return": fault["begin"] + 3 * S + 1000})


def served_after_a_flush(story):
    the(story, "fault", row="redis frozen").update(forgets=0.5)


def good_token_refused(story):
    protected(story, status=401)


def too_late(story):
    story.op("home", took=3.7)


def sent_away_for_ever(story):
    the(story, "op", op="enqueue", status=504).update(status=503, bare=True)


def let_hang(story):
    story.fault("gateway-1 lacks descriptors", 6, target="gateway-1", prompt=True)
    story.op("home", 0, took=5, invoke=(story.second - 5) * S)


def grown(story):
    for n in range(6):
        sample(story, at=3 + n, fds=30 + 50 * n)


def grown_by_a_fault(story):
    sample(story, at=story.second)
    fault = story.fault("all links flap for long", 20, breaks=["auth"], flat=True)
    sample(story, at=fault["cleared"] / S + 2, threads=18)


def spinning(story):
    fault = story.fault("gateway-1 lacks descriptors", 6, target="gateway-1", prompt=True)
    for n in range(4):
        sample(story, "auth-1", fault["begin"] / S + n, cpu=1 + 0.5 * n)


def too_large(story):
    the(story, "sample", name="auth-1")["rss"] = 1 << 30


def never_well_again(story):
    for _ in range(5):
        story.op("home", 503, invoke=(story.second + 8) * S, **{"return": (story.second + 8) * S + 1000})
        story.second += 8


def restarted_by_itself(story):
    the(story, "sample", name="auth-1")["pid"] = 11


def ended_by_itself(story):
    story.add("died", name="gateway-1", words="Assertion failed")


def expired(story):
    protected(story, expires=(story.second - 5) * S)


def leaked(story):
    story.add("leak", where="logs/auth-1.log", what="a token")


def others_harmed(story):
    fault = the(story, "fault", row="redis frozen")
    for n in range(3):
        story.op("home", 503, invoke=fault["begin"] + (n + 1) * S, **{"return": fault["begin"] + (n + 1) * S + 1000})


PLANTED = [
    ("I1", lost_write), ("I1", lost_account), ("I1", stale_read), ("I1", undone_change_of_password), ("I1", forgotten_password), ("I1", revived_row),
    ("I2", refused_but_done), ("I2", done_twice), ("I2", asked_by_nobody), ("I2", other_answer_for_a_key),
    ("I3", resurrected_token), ("I3", refreshed_after_the_end), ("I3", late_by_a_moment),
    ("I4", secret_used_twice), ("I4", effect_without_secret),
    ("I5", lost_mail), ("I5", mail_nobody_asked_for), ("I5", mail_under_another_id), ("I5", mail_twice_without_a_crash), ("I5", key_that_made_two_mails),
    ("I6", two_accounts), ("I6", one_name_twice), ("I6", two_winners),
    ("I7", crossed_answers), ("I7", answer_of_another_request), ("I7", words_nobody_wrote),
    ("I8", forged_token), ("I8", served_in_the_blind), ("I8", served_after_a_flush), ("I8", good_token_refused),
    ("I9", too_late), ("I9", sent_away_for_ever), ("I9", let_hang), ("I9", grown), ("I9", grown_by_a_fault), ("I9", spinning), ("I9", too_large),
    ("I10", never_well_again), ("I10", restarted_by_itself), ("I10", ended_by_itself),
    ("I11", expired), ("I12", leaked), ("I13", others_harmed)]
BESIDE = {words_nobody_wrote: {"I1"}, mail_under_another_id: {"I5"}}  # what else such a bug is, too


@pytest.mark.parametrize("invariant, plant", PLANTED, ids=lambda value: getattr(value, "__name__", value))
def test_a_planted_bug_is_found(story, invariant, plant):
    plant(story)
    found = {name.split()[0] for name in violations(story.records)}
    assert invariant in found and found <= {invariant} | BESIDE.get(plant, set()), violations(story.records)


def test_every_invariant_has_its_bug():
    assert {name.split()[0] for name in INVARIANTS} == {invariant for invariant, _ in PLANTED}


def test_a_good_history_passes(story):
    assert violations(story.records) == {}


def test_what_a_fault_excuses(story):
    """The same things, in the place of a fault that may do them."""
    story.fault("redis flushed", 1, breaks=["redis"], loses=10**9, forgets=2.0)
    protected(story, status=401)
    story.fault("mailer-1 killed", 1, repeats=2, restarts=["mailer-1"])
    mail_twice_without_a_crash(story)
    story.fault("gateway-1 frozen", 6, target="gateway-1")
    story.op("home", 0, took=12, invoke=(story.second - 5) * S)
    assert violations(story.records) == {}


def test_an_unknown_write_is_done_soon_or_never(story):
    """By its deadline and a second; later where it is held back on its way. v5 is asked for a second before v6."""
    story.op("update", 0, about="biz:a", writes="v5", session="s1", protected=True)
    story.fault("postgres frozen", 2.5, breaks=["postgres"])
    story.op("update", about="biz:a", saw="biz:a", writes="v6")
    story.op("read", about="biz:a", saw="biz:a", reads="v5")
    the(story, "seen", about="biz:a")["value"] = "v6"
    assert violations(story.records) == {}
    story.second += 1
    story.op("update", about="biz:a", saw="biz:a", writes="v7")
    story.op("read", about="biz:a", saw="biz:a", reads="v5")
    the(story, "seen", about="biz:a")["value"] = "v7"
    assert any("v5 was seen" in text for text in violations(story.records)["I1 durable"])
    the(story, "fault", row="postgres frozen")["holds"] = True
    assert violations(story.records) == {}


# ---- what looks for secrets ----
def test_secrets_are_found_in_files(tmp_path):
    vault = Vault()
    opaque, jwt, password = vault.add("A1b2" * 12), vault.add("eyJhbGciOiJIUzI1NiJ9." + "c" * 50 + "." + "d" * 43), vault.password()
    places = {"token": f"x/{opaque}?", "jwt": f'{{"authorization":"Bearer {jwt}"}}', "password": f"p={password}", "part": opaque[:-1] + "x" + jwt[:-1],
              "far": "-" * (4 * 1024 * 1024 - 20) + opaque}
    for name, text in places.items():
        (tmp_path / name).write_text(text)
    found = leaks(sorted(tmp_path.iterdir()), vault)
    assert [(where.rsplit("/", 1)[1], what) for where, what in found] == [("far", "a token"), ("jwt", "a token"), ("password", "a password"), ("token", "a token")]


def test_what_a_log_said_before_is_not_read_again(tmp_path):
    vault, log = Vault(), tmp_path / "log"
    log.write_text(vault.add("A1b2" * 12) + "\n")
    assert leaks([log], vault) and not leaks([log], vault, {log: log.stat().st_size})


def test_the_history_keeps_no_secret(tmp_path):
    history, vault = History(tmp_path / "h"), Vault()
    token, password = vault.add("A1b2" * 12), vault.password()
    first = history.add("op", op="check", session=history.hash("session", token), args=history.hash(password))
    assert history.add("op", session=history.hash("session", token))["session"] == first["session"]
    assert leaks([tmp_path / "h"], vault) == [] and load(tmp_path / "h") == history.records


# ---- the plan ----
def test_the_seed_is_the_plan():
    first, again, other = (plan(seed, ROWS) for seed in (5, 5, 6))
    assert first == again != other and {step.row.name for step in first} == {row.name for row in ROWS}
    assert plan(5, ROWS, 60) == plan(5, ROWS, 60) and 5 < len(plan(5, ROWS, 60)) < len(first) < len(plan(5, ROWS, 3000))


def test_rows():
    assert len({row.name for row in ROWS}) == len(ROWS) and named([]) == ROWS
    assert all("redis" in row.name for row in named(["redis"])) and not named(["nothing like it"])
