"""Another service listens to accounts: over CURVE, in Python, with proto/README.md as its only guide."""
import base64, json, pathlib, shutil, subprocess, sys, threading, time
import pytest
import stack
from test_revocation import sign_out

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import house, mails
from subscriber import Subscriber

EVENT, USER, DOOR, EMAIL, ADDRESS, STRATEGY, PHASE = 1, 3, 4, 5, 10, 12, 13
VETO, CLAIMS, DATA = 1, 2, 3


class Risk:
    """What the subscriber heard, and what it answers: reply is for asked events."""

    def __init__(self, endpoint="tcp://127.0.0.1:*"):
        self.heard, self.reply, self.lock = [], {}, threading.Lock()
        self.open(endpoint)

    def open(self, endpoint):
        self.server = Subscriber(stack.VAR / "keys/risk.key", stack.VAR / "keys/risk-clients", self.handle, endpoint)

    def handle(self, event, key):
        with self.lock:
            self.heard.append((event[EVENT], event.get(EMAIL), key, event.get(ADDRESS), (event.get(STRATEGY), event.get(PHASE))))
        return self.reply if event[EVENT] in ("after_register", "before_login") else {}

    def of(self, email, name):
        return [key for event, about, key, *_ in self.heard if event == name and about == email]

    def activities(self, email, name):
        """(strategy, phase) of each; email None: of nobody we know."""
        return [activity for event, about, _, _, activity in self.heard if event == name and about == email]

    def away(self):
        """Context of a time in which nobody answers at its address."""
        self.server.close()
        return self

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.open("tcp://" + self.server.endpoint)


@pytest.fixture(scope="module")
def risk():
    keys = stack.VAR / "keys"
    if not (keys / "risk.key").exists():
        binary = pathlib.Path(stack.os.environ["BUSI_TEST_BIN"]) / "gateway"
        subprocess.run([binary, "gen-keys", keys, "risk"], check=True, capture_output=True)
    shutil.copy(keys / "risk.pub", keys / "servers/risk.pub")
    (keys / "risk-clients").mkdir(exist_ok=True)
    shutil.copy(keys / "auth-svc.pub", keys / "risk-clients/auth-svc.key")  # pyzmq reads public keys of *.key only
    risk = Risk()
    yield risk
    risk.server.close()


@pytest.fixture(scope="module", autouse=True)
def whole_stack(risk):
    """The workers are told of the subscriber once, instead of being whole again for every test."""
    stack.local("up", BUSI_HOOK_SUBSCRIBERS=f"risk={risk.server.endpoint}",
                BUSI_HOOKS="before_login=risk closed 1s; after_register=risk open 1s; after_login=risk; after_sign_out=risk; sign_in_failed=risk")
    yield
    stack.local("up")


@pytest.fixture(autouse=True)
def nothing_to_object(risk):
    risk.reply = {}


def new_email():
    return f"hooks-{time.time_ns()}@example.com"


def sign_in(email):
    return stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})


def test_a_life_is_heard(risk):
    email = new_email()
    stack.sign_up(email)
    status, _, body = sign_in(email)
    assert status == 201
    assert len(risk.of(email, "after_register")) == len(risk.of(email, "before_login")) == 1
    stack.wait_until(lambda: len(risk.of(email, "after_login")) == 1, 5, "after_login is told")
    assert all(address == "127.0.0.1" for _, about, _, address, _ in risk.heard if about == email)
    assert all(len(key) == 36 for key in risk.of(email, "after_login"))


def test_a_veto_holds_at_both_doors(risk):
    email = new_email()
    stack.sign_up(email)
    risk.reply = {VETO: True}
    assert sign_in(email)[0] == 403
    status, _, body = stack.request("POST", "/login", {"username": email, "password": stack.PASSWORD})
    assert (status, body) == (400, {"error": "error with login endpoint"})
    other = new_email()
    assert stack.request("POST", "/api/users/signup", {"user": {"email": other, "password": stack.PASSWORD}})[0] == 403
    risk.reply = {}
    assert sign_in(other)[0] == 401  # it never was
    assert sign_in(email)[0] == 201


def test_what_is_added_shows_in_token_and_check(risk):
    email = new_email()
    stack.sign_up(email)
    risk.reply = {CLAIMS: '{"tenant":"north"}', DATA: '{"score":3}'}
    token = sign_in(email)[2]["token"]
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["tenant"] == "north"
    assert stack.request("GET", "/api/businesses", token=token)[0] == 200
    access = stack.request("POST", "/login", {"username": email, "password": stack.PASSWORD})[2]["ok"]["access_token"]
    assert stack.request("GET", "/check", headers={"access-token": access})[2]["ok"]["data"] == {"score": 3}


def test_away_a_closed_hook_refuses_an_open_one_passes_and_what_is_told_waits(risk):
    email, late = new_email(), new_email()
    stack.sign_up(email)
    token = sign_in(email)[2]["token"]
    stack.wait_until(lambda: len(risk.of(email, "after_login")) == 1, 5, "after_login is told")
    with risk.away():
        stack.sign_up(late)
        status, headers, _ = sign_in(email)
        assert status == 503 and int(headers["retry-after"]) >= 1
        sign_out(token)
        time.sleep(2)
        assert not risk.of(email, "after_sign_out")
    stack.wait_until(lambda: risk.of(email, "after_sign_out"), 30, "what happened meanwhile is told")
    assert sign_in(late)[0] == 201


# ---- what of a surface's strategies it was ----
def ash(phase, **user):
    status, _, body = stack.request("POST", f"/auth/user/{phase}", {"user": user})
    return status, body


def register(email):
    status, body = ash("password/register", email=email, password=stack.PASSWORD, password_confirmation=stack.PASSWORD)
    assert status == 200, body
    return body["authentication"]["bearer"]


FAILED = (401, {"authentication": {"status": "failed"}})


def test_the_strategy_and_its_phase_are_told(risk):
    email = new_email()
    register(email)
    assert ash("password/sign_in", email=email, password=stack.PASSWORD)[0] == 200
    assert risk.activities(email, "after_register") == [("password", "register")]
    assert risk.activities(email, "before_login") == [("password", "sign_in")]
    stack.wait_until(lambda: risk.activities(email, "after_login") == [("password", "sign_in")], 5, "after_login is told")
    assert sign_in(email)[0] == 201
    assert risk.activities(email, "before_login")[1:] == [(None, None)]  # busi has no strategies


def test_a_veto_holds_whatever_signs_in_and_uses_up_nothing(risk):
    email = new_email()
    register(email)
    for phase in ("password/reset_request", "magic_link/request"):
        assert ash(phase, email=email)[0] == 200
    confirm, link, reset = mails.confirm_id(email), mails.magic_link(email), mails.password_id(email)
    ways = {("password", "sign_in"): lambda: ash("password/sign_in", email=email, password=stack.PASSWORD),
            ("confirm", "confirm"): lambda: stack.request("GET", f"/auth/user/confirm?confirm={confirm}")[::2],
            ("magic_link", "sign_in"): lambda: stack.request("GET", f"/auth/user/magic_link?token={link}")[::2],
            ("password", "reset"): lambda: ash("password/reset", reset_token=reset, password="another password", password_confirmation="another password")}
    for activity, way in ways.items():
        risk.reply = {VETO: True}
        assert way() == FAILED, activity
        assert risk.activities(email, "before_login")[-1] == activity
        risk.reply = {CLAIMS: '{"tenant":"north"}'}
        status, body = way()
        assert status == 200, (activity, body)
        assert json.loads(base64.urlsafe_b64decode(body["authentication"]["bearer"].split(".")[1] + "=="))["tenant"] == "north"


def test_a_failed_sign_in_is_told(risk):
    email = new_email()
    register(email)
    assert ash("password/sign_in", email=email, password="wrong password") == FAILED
    stack.wait_until(lambda: risk.activities(email, "sign_in_failed") == [("password", "sign_in")], 5, "it is told")
    before = len(risk.activities(None, "sign_in_failed"))
    assert ash("password/sign_in", email=new_email(), password="wrong password") == FAILED
    assert stack.request("GET", "/auth/user/magic_link?token=" + "x" * 48)[::2] == FAILED
    stack.wait_until(lambda: len(risk.activities(None, "sign_in_failed")) == before + 2, 5, "nobody's are told, too")
    assert risk.activities(None, "sign_in_failed")[-1] == ("magic_link", "sign_in")


def test_of_many_failures_some_are_told(risk):
    """As many as somebody wants to make: they are bounded, and what nobody is there to hear is not kept."""
    with risk.away():
        time.sleep(3)
        for _ in range(3):
            assert ash("password/sign_in", email=new_email(), password="wrong password")[0] in (401,)
        waiting = house.sql("SELECT count(*) FROM auth.events WHERE event = 'sign_in_failed'")
        assert waiting == "0", waiting
