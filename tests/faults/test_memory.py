"""Each allocation of what a process does for one request is refused once: it answers by a 5xx or as ever, or ends with a line that says why; what
follows is fine, and nothing is wrong in the stores. A few of them here; BUSI_TEST_MEMORY=all: every one, those of libraries that end the process
too (half an hour)."""
import collections, contextlib, http.client, json, os, re, sys, time
import pytest
import stack
from preloads import Loaded, Memory, why_ended

sys.path.append(str(stack.ROOT / "tests/wire"))
from client import Client, RpcError  # noqa: E402

WHOLE = os.environ.get("BUSI_TEST_MEMORY") == "all"
POINTS, UNSPARING_POINTS = 4, 1  # of each request, otherwise
WELL_S = 12.0                    # until a process that got no memory is as before: its bound, and four times that where others work, too
OURS = {"OK", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNKNOWN"}  # what says nothing of the request


# ---- how it is asked ----
class Rpc:
    """One worker, directly: nobody stands between who would ask another."""

    def __init__(self, worker, caller):
        keys = stack.VAR / "keys"
        service = worker.split("-")[0] + "-svc"
        self.client = Client(f"tcp://127.0.0.1:{stack.port(worker)}", keys / f"{caller}.key", keys / f"servers/{service}.pub")

    def ask(self, method, body, **more):
        """(code, reply)"""
        try:
            return "OK", self.client.call(method, body, timeout_ms=4000, **more)
        except RpcError as error:
            return error.code, None

    def insist(self, *asked, **more):
        """The same until it is OK or a verdict."""
        end = time.monotonic() + WELL_S
        while True:
            code, reply = self.ask(*asked, **more)
            if code not in OURS - {"OK"}:
                return code, reply
            assert time.monotonic() < end, f"{asked[:2]} is answered {code} for {WELL_S} s"
            time.sleep(0.05)

    def close(self):
        self.client.close()


class Http:
    """The gateway. Codes are those of RPC: what a 4xx is called is all the same here."""
    CODES = {401: "UNAUTHENTICATED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}

    def ask(self, method, path, body=None, **more):
        try:
            status, _, said = stack.request(method, path, body, timeout=8, **more)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            return "UNAVAILABLE", None  # it may break the connection
        return "OK" if status < 400 else self.CODES.get(status, "INTERNAL" if status >= 500 else str(status)), said

    insist = Rpc.insist

    def close(self):
        pass


# ---- what is asked: begin() prepares, act() is the request, and verify() asks for what must be true after this answer ----
class Flow:
    process, caller = None, "gateway"
    made = []  # that must be told by exactly one mail

    def __init__(self, rpc):
        self.rpc, self.count = rpc, 0

    def name(self):
        self.count += 1
        return f"memory{time.time_ns() % 10**12}x{self.count}"

    def begin(self):
        return None

    def expect(self, code, *asked, **more):
        got, reply = self.rpc.insist(*asked, **more)
        assert got == code, f"{asked[0]} is answered {got}, not {code}, afterwards"
        return reply

    def verify(self, state, code, reply):
        """It is as good as new."""
        self.expect("OK", *self.request(state))

    def act(self, state):
        return self.rpc.ask(*self.request(state))


PASSWORD = "correct horse"


class OfAuth(Flow):
    process = "auth-1"
    account = None

    def sign_up(self, name):
        return "auth.SignUp", {1: "accesspass", 2: f"{name}@example.com", 3: PASSWORD, 4: name, 5: PASSWORD, 6: '{"likes":["bicycles","tea"]}'}

    def sign_in(self, name):
        return "auth.SignIn", {1: "accesspass", 2: name, 3: PASSWORD}

    def check(self, token):
        return "auth.CheckToken", {1: token}

    def session(self):
        """A new one of one account: access and refresh token."""
        if not self.account:
            self.account = self.name()
            self.expect("OK", *self.sign_up(self.account))
        reply = self.expect("OK", *self.sign_in(self.account))
        return reply[5], reply[8]


class SignUp(OfAuth):
    def begin(self):
        return self.name()

    def request(self, name):
        return self.sign_up(name)

    def verify(self, name, code, reply):
        there = code == "OK" or self.rpc.insist(*self.sign_in(name))[0] == "OK"
        if reply:
            self.expect("OK", *self.check(reply[5]))
        got, _ = self.rpc.ask(*self.sign_up(name))
        if got in OURS - {"OK"}:  # perhaps it was made all the same, and its session was not
            got, _ = self.rpc.insist(*self.sign_up(name))
            there = there or got == "INVALID_ARGUMENT"
        assert got == ("INVALID_ARGUMENT" if there else "OK"), f"auth.SignUp is answered {got} afterwards, and the account was {'there' if there else 'not there'}"
        self.expect("OK", *self.sign_in(name))
        self.made.append(f"{name}@example.com")


class SignIn(OfAuth):
    def begin(self):
        self.session()
        return self.account

    def request(self, name):
        return self.sign_in(name)

    def verify(self, name, code, reply):
        self.expect("OK", *self.sign_in(name))
        if reply:
            self.expect("OK", *self.check(reply[5]))


class CheckToken(OfAuth):
    def begin(self):
        return self.session()[0]

    def request(self, token):
        return self.check(token)


class Refresh(OfAuth):
    def begin(self):
        return self.session()[1]

    def request(self, token):
        return "auth.RefreshToken", {1: token}


class SignOut(OfAuth):
    def begin(self):
        return self.session()[0]

    def request(self, token):
        return "auth.SignOut", {1: token}

    def verify(self, token, code, reply):
        if code != "OK":
            self.expect("OK", *self.request(token))
        self.expect("UNAUTHENTICATED", *self.check(token))


class CreateBusiness(Flow):
    process = "directory-1"

    def begin(self):
        return self.name()

    def act(self, name):
        return self.rpc.ask("directory.CreateBusiness", {2: name, 3: "tea " * 100, 4: "Retail"}, user_id=1, idempotency_key=name)

    def verify(self, name, code, reply):
        """Asked again under its key there is one."""
        again = self.expect("OK", "directory.CreateBusiness", {2: name, 3: "tea " * 100, 4: "Retail"}, user_id=1, idempotency_key=name)
        assert not reply or again[1] == reply[1], "two ids under one key"
        found = self.expect("OK", "directory.GetBusiness", {1: again[1]})
        assert (found[2], found[3], found[4]) == (name, "tea " * 100, "Retail"), found


class ListBusinesses(Flow):
    """Never some of them for all."""
    process = "directory-1"

    def begin(self):
        return self.expect("OK", *self.request(None))

    def request(self, state):
        return "directory.ListBusinesses", {2: 50}

    def verify(self, state, code, reply):
        assert not reply or reply == state, "the list has changed"
        assert self.expect("OK", *self.request(None)) == state


class Enqueue(Flow):
    process, caller = "mailer-1", "auth-svc"

    def begin(self):
        return self.name()

    def act(self, name):
        return self.rpc.ask("mailer.Enqueue", {1: "account_created", 2: f"{name}@example.com", 4: [{1: "login", 2: name}]}, idempotency_key=name)

    def verify(self, name, code, reply):
        again = self.expect("OK", "mailer.Enqueue", {1: "account_created", 2: f"{name}@example.com", 4: [{1: "login", 2: name}]}, idempotency_key=name)
        assert not reply or again[1] == reply[1] and again[2], "two mails under one key"
        self.made.append(f"{name}@example.com")


class OfGateway(Flow):
    process = "gateway"
    token = None

    def session(self):
        if not self.token:
            self.email = f"{self.name()}@example.com"
            self.token = self.expect("OK", "POST", "/api/users/signup", {"user": {"email": self.email, "password": PASSWORD}})["token"]
        return self.token


class HttpSignUp(OfGateway):
    def begin(self):
        return f"{self.name()}@example.com"

    def act(self, email):
        return self.rpc.ask("POST", "/api/users/signup", {"user": {"email": email, "password": PASSWORD}})

    def verify(self, email, code, reply):
        there = code == "OK" or self.rpc.insist("POST", "/api/users/signin", {"email": email, "password": PASSWORD})[0] == "OK"
        self.expect("422" if there else "OK", "POST", "/api/users/signup", {"user": {"email": email, "password": PASSWORD}})
        token = self.expect("OK", "POST", "/api/users/signin", {"email": email, "password": PASSWORD})["token"]
        self.expect("OK", "GET", "/api/businesses?limit=1", token=(reply or {}).get("token", token))


class HttpSignIn(OfGateway):
    def begin(self):
        self.session()

    def request(self, unused):
        return "POST", "/api/users/signin", {"email": self.email, "password": PASSWORD}

    def verify(self, unused, code, reply):
        token = self.expect("OK", *self.request(None))["token"]
        self.expect("OK", "GET", "/check", token=(reply or {}).get("token", token))


class HttpCheck(OfGateway):
    def begin(self):
        return self.expect("OK", "POST", "/api/users/signin", {"email": self.session() and self.email, "password": PASSWORD})["token"]

    def act(self, token):
        return self.rpc.ask("GET", "/check", token=token)

    def verify(self, token, code, reply):
        assert self.expect("OK", "GET", "/check", token=token)["ok"]["email"] == self.email
        assert not reply or code != "OK" or reply["ok"]["email"] == self.email


class HttpCreate(OfGateway):
    def begin(self):
        self.session()
        return self.name()

    def ask(self, name, how):
        return how("POST", "/api/businesses", {"business": {"name": name, "description": "tea " * 100, "tag": "Retail"}}, token=self.token,
                   headers={"idempotency-key": name})

    def act(self, name):
        return self.ask(name, self.rpc.ask)

    def verify(self, name, code, reply):
        again = self.ask(name, self.rpc.insist)
        assert again[0] == "OK", again
        assert code != "OK" or reply["data"] == again[1]["data"], "two under one key"


class HttpList(OfGateway):
    def begin(self):
        return self.expect("OK", "GET", "/api/businesses?limit=30", token=self.session())

    def act(self, state):
        return self.rpc.ask("GET", "/api/businesses?limit=30", token=self.token)

    def verify(self, state, code, reply):
        assert code != "OK" or reply == state, "the list has changed"
        assert self.expect("OK", "GET", "/api/businesses?limit=30", token=self.token) == state


class HttpSignOut(OfGateway):
    def begin(self):
        return HttpCheck.begin(self)

    def act(self, token):
        return self.rpc.ask("POST", "/logout", headers={"access-token": token})

    def verify(self, token, code, reply):
        if code != "OK":
            self.expect("OK", "POST", "/logout", headers={"access-token": token})
        self.expect("UNAUTHENTICATED", "GET", "/check", token=token)


class HttpPage(OfGateway):
    """For people."""

    def act(self, unused):
        return self.rpc.ask("GET", "/sign-in", headers={"accept": "text/html"})

    def verify(self, unused, code, reply):
        assert code != "OK" or b"</html>" in reply
        assert b"</html>" in self.expect("OK", "GET", "/sign-in", headers={"accept": "text/html"})


FLOWS = [SignUp, SignIn, CheckToken, Refresh, SignOut, CreateBusiness, ListBusinesses, Enqueue,
         HttpSignUp, HttpSignIn, HttpCheck, HttpCreate, HttpList, HttpSignOut, HttpPage]


# ---- the pass ----
def allocations(flow, loaded):
    """How many a request makes, with those that are made meanwhile: what is most usual of these."""
    counts = []
    for _ in range(5):
        state = flow.begin()
        loaded.page.count()
        code, reply = flow.act(state)
        counts.append(loaded.page["seen"])
        loaded.page.calm()
        assert code == "OK", code
        flow.verify(state, code, reply)
    assert min(counts) > 0, "the library is not there"
    return sorted(counts)[2] + 2


def refuse(flow, loaded, number):
    """What is wrong about the answer to a request whose allocation of this number is refused, or about what follows; and whether one was."""
    state = flow.begin()
    loaded.page.refuse(number, number)
    code, reply = flow.act(state)
    refused = loaded.page.calm()
    wrong = [f"it was answered {code}"] if code not in OURS else []
    if not loaded.lives():
        why = why_ended(loaded.page, *loaded.end())
        wrong += [f"it {why}"] if why else []
        loaded.start()
    try:
        flow.verify(state, code, reply)
    except AssertionError as error:
        wrong.append(str(error).splitlines()[0])
    return wrong, refused


def try_all(flow, loaded, points):
    """What is wrong about the answers, and how many allocations were refused."""
    n = allocations(flow, loaded)
    step = 1 if WHOLE else max(1, n // points)
    wrong, refusals = [], 0
    for number in range(1 + (0 if WHOLE else n % step), n + 1, step):
        found, refused = refuse(flow, loaded, number)
        refusals += refused
        wrong += [f"{type(flow).__name__}, allocation {number} of {n}: {what}" for what in found]
    print(f"{type(flow).__name__}: {n} allocations, {refusals} refused")
    return wrong, refusals


@pytest.mark.parametrize("unsparing", [False, True], ids=["ours", "all"])
@pytest.mark.parametrize("process", ["gateway", "auth-1", "directory-1", "mailer-1"])
def test_every_allocation(process, unsparing):
    memory, wrong, refusals = Memory(stack.VAR / f"run/{process}.memory", unsparing), [], 0
    flows = [kind for kind in FLOWS if kind.process == process]
    with Loaded(process, memory) as loaded, contextlib.closing(Http() if process == "gateway" else Rpc(process, flows[0].caller)) as rpc:
        for kind in flows:
            found, refused = try_all(kind(rpc), loaded, UNSPARING_POINTS if unsparing else POINTS)
            wrong, refusals = wrong + found, refusals + refused
    assert refusals >= len(flows), "hardly anything was refused"
    assert not wrong, "\n".join(wrong)


def test_of_each_mail_there_is_one():
    """The last: what was promised meanwhile."""
    stack.wait_until(lambda: set(Flow.made) <= mails().keys(), 100, "every mail has come")  # a lease is 70 s
    assert {address: n for address, n in mails().items() if n != 1 and address in Flow.made} == {}


def mails():
    """How many went to whom."""
    said = "".join(path.read_text(errors="replace") for path in (stack.VAR / "mail").glob("*.eml"))
    return collections.Counter(re.findall(r"^To: (memory\S+)\r?$", said, re.M))
