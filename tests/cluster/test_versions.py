"""The release of before beside this one, on one database and one Redis, under a constant load while people sign up, in and out: the
schema grows under the old processes, then they are replaced one by one, all of them back, and forward again in the other order.

BUSI_TEST_PREVIOUS_SOURCE is the source of the release of before, with its programs in build/release/bin (tests/run versions)."""
import collections, email, email.policy, os, pathlib, random, re, shutil, sys, tempfile, threading, time
import pytest
from house import BIN, PASSWORD, ROOT, RPC, WORKERS, House, Load, good, p99
from hosts import wait_until

sys.path.insert(0, str(ROOT / "tests/wire"))
from client import Client, RpcError

SOURCE = pathlib.Path(os.environ.get("BUSI_TEST_PREVIOUS_SOURCE", "/nonexistent"))
BEFORE = SOURCE / "build/release/bin"
TOKENS = 32
MOST_S = 600  # a step that takes longer is no step
PAUSE_S = 6  # between two replicas: names are looked up every 5 s, as minReadySeconds leaves room for


class BothHouse(House):
    """As the release of before would have set it up: its programs, keys and schema."""

    def gen_keys(self, folder, name, methods):
        super().gen_keys(folder, name)

    def environment(self, service, host):
        env = super().environment(service, host)
        if service == "gateway":
            env["BUSI_SESSION_CACHE"] = 16384 if host.name == "gateway2" else 0
        if service == "auth":
            env |= {"BUSI_LIMIT_REFRESH_NETWORK": "off", "BUSI_LIMIT_MAILS_NETWORK": "off"}
        return env

    def replace(self, name, bin):
        self.stop(name)
        self.start(re.sub(r"\d+$", "", name), name, bin)

    def mails(self, to, kind):
        found = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in (self.folder / "mail").glob(f"*-{kind}.eml")]
        return [mail for mail in found if str(mail["to"]) == to]


@pytest.fixture(scope="module")
def house():
    assert (BEFORE / "gateway").exists(), "BUSI_TEST_PREVIOUS_SOURCE has no programs: ./tests/run versions builds them"
    folder = tempfile.mkdtemp(prefix="busi-versions-")
    made = None
    try:
        made = BothHouse(folder, BEFORE, SOURCE)
        yield made
    finally:
        if made:
            made.close()
        if os.environ.get("BUSI_TEST_KEEP"):
            print("kept", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)


class People:
    """Who come and go through the front all the time, new ones and those of before; .wrong has what did not go as it should."""

    def __init__(self, house, veterans, tokens):
        self.house, self.veterans, self.tokens = house, veterans, tokens
        self.wrong, self.told, self.done, self.newcomers = [], 0, threading.Event(), []
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(2)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        n = 0
        while not self.done.is_set():
            address = f"{i}-{n}-{time.monotonic_ns()}@people.example"
            n += 1
            try:
                self.come_and_go(address)
            except (OSError, AssertionError, KeyError, TypeError) as error:
                self.wrong.append((time.monotonic() * 1000, repr(error)))
            self.done.wait(0.05)

    def want(self, status, method, path, body=None, headers=None):
        self.told += 1
        answer = self.house.ask(method, path, body, headers)
        assert answer[0] == status, (method, path, answer)
        return answer[1]

    def come_and_go(self, address):
        user = {"email": address, "password": PASSWORD}
        jwts = [self.want(201, "POST", "/api/users/signup", {"user": user})["token"]]
        self.newcomers.append(address)
        for who in (address, random.choice(self.veterans)):
            jwts.append(self.want(201, "POST", "/api/users/signin", {"email": who, "password": PASSWORD})["token"])
        for token in (*jwts, random.choice(self.tokens)):
            self.want(200, "GET", "/api/businesses/1", headers={"authorization": "Bearer " + token})
        pair = self.want(200, "POST", "/login", {"username": address, "password": PASSWORD})["ok"]
        self.want(200, "GET", "/check", headers={"access-token": pair["access_token"]})
        for _ in range(3):
            fresh = self.want(200, "GET", "/refresh", headers={"refresh-token": pair["refresh_token"]})["ok"]
            self.want(200, "GET", "/check", headers={"access-token": fresh})
        self.want(200, "POST", "/logout", headers={"access-token": pair["access_token"]})
        for _ in range(4):  # both gateways
            self.want(401, "GET", "/check", headers={"access-token": fresh})

    def finish(self):
        self.done.set()
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def veterans(house):
    return [f"user{i}@example.org" for i in range(TOKENS)]


@pytest.fixture(scope="module")
def tokens(house, veterans):
    """Of before anything of this release ran; used to the end."""
    return [house.sign_up(address) for address in veterans]


class UnderLoad:
    """Nothing of what is asked within fails; every acknowledged write is there, once; everybody has one greeting."""

    def __init__(self, house, veterans, tokens, what):
        self.house, self.what, self.rest = house, what, (veterans, tokens)

    def __enter__(self):
        self.load, self.people = Load(self.house, self.rest[1], MOST_S), People(self.house, *self.rest)
        time.sleep(2)

    def __exit__(self, kind, error, trace):
        time.sleep(2)
        self.people.finish()
        records = self.load.finish(now=True)
        print(f"\n{self.what}: {len(records)} requests, p99 {p99(records):.0f} ms, slowest {max(r[1] for r in records):.0f} ms, and "
              f"{self.people.told} of {len(self.people.newcomers)} people")
        if not error:
            bad = [r for r in records if not good(r)]
            assert not bad, (len(bad), collections.Counter(r[2] for r in bad), bad[:5])
            assert not self.people.wrong, (len(self.people.wrong), self.people.wrong[:5])
            self.check_writes(records)
            self.check_mails()

    def check_writes(self, records):
        written = [f"load-{r[4]}" for r in records if r[3] == "W"]
        names = self.house.sql("SELECT name, count(*) FROM directory.businesses WHERE name LIKE 'load-%' GROUP BY name").splitlines()
        there = dict(line.rsplit("|", 1) for line in names)
        assert all(there.get(name) == "1" for name in written), "an acknowledged write is not there once"

    def check_mails(self):
        def greeted():
            to = collections.Counter()
            for path in (self.house.folder / "mail").glob("*-account_created.eml"):
                to[re.search(r"^To: (\S+)", path.read_text(), re.M)[1]] += 1
            return to
        wait_until(lambda: all(greeted()[address] for address in self.people.newcomers), 40, "everybody is greeted")
        to = greeted()
        assert all(to[address] == 1 for address in self.people.newcomers), "somebody was greeted twice"


class Auth:
    """One auth-svc, asked as the gateway asks."""

    def __init__(self, house, name):
        keys = house.folder / "keys"
        self.house = house
        self.client = Client(f"tcp://{house.net.hosts[name].address}:{RPC}", keys / "gateway.key", keys / "auth-svc.pub")

    def call(self, method, body, **more):
        return self.client.call("auth." + method, body, timeout_ms=5000, **more)

    def takes(self, token):
        try:
            self.call("CheckToken", {1: token})
            return True
        except RpcError as error:
            assert error.code == "UNAUTHENTICATED", error
            return False


def understand(house, here, there, address):
    """What one does holds at the other: accounts, tokens of each door, renewals, ends, new passwords, mailed secrets."""
    new = "another battery staple"
    here, there = Auth(house, here), Auth(house, there)
    here.call("SignUp", {1: "busi", 2: address, 3: PASSWORD})
    jwt = here.call("SignIn", {1: "busi", 2: address, 3: PASSWORD})[5]
    pair = here.call("SignIn", {1: "accesspass", 2: address, 3: PASSWORD})
    assert all(at.takes(token) for at in (here, there) for token in (jwt, pair[5]))
    renewed = there.call("RefreshToken", {1: pair[8]})
    assert here.takes(renewed[5]) and here.call("RefreshToken", {1: renewed.get(8, pair[8])})
    there.call("SignOut", {1: renewed[5]})
    assert not any(at.takes(token) for at in (here, there) for token in (pair[5], renewed[5])) and here.takes(jwt)
    # a change of password ends the others, there too
    other = there.call("SignIn", {1: "busi", 2: address, 3: PASSWORD})[5]
    here.call("ChangePassword", {1: jwt, 2: PASSWORD, 3: new, 4: new})
    assert there.takes(jwt) and not there.takes(other)
    # a secret asked for here resets there
    here.call("StartReset", {1: "accesspass", 2: address})
    wait_until(lambda: house.mails(address, "reset_password"), 20, "the mail to reset")
    secret = re.search(r"/password-reset/(\w+)", house.mails(address, "reset_password")[0].get_body(("plain",)).get_content())[1]
    there.call("FinishReset", {1: "accesspass", 2: secret, 3: PASSWORD, 4: PASSWORD})
    assert not here.takes(jwt) and here.takes(here.call("SignIn", {1: "busi", 2: address, 3: PASSWORD})[5])
    for at in (here, there):
        at.client.close()


def test_the_schema_grows_under_the_release_of_before(house, veterans, tokens):
    with UnderLoad(house, veterans, tokens, "migrations under the release of before"):
        for service in WORKERS:
            print(f"\n{service}: {house.migrate(service, BIN).count(chr(10)) + 1} migrations are applied")
        time.sleep(3)


@pytest.mark.parametrize("what, bin, order", [
    ("forward", BIN, ("mailer", "directory", "auth", "gateway")),
    ("back", BEFORE, ("gateway", "auth", "directory", "mailer")),
    ("forward, the gateways first", BIN, ("gateway", "auth", "directory", "mailer")),
])
def test_replacing_every_process_fails_nobody(house, veterans, tokens, what, bin, order):
    for service in order:
        with UnderLoad(house, veterans, tokens, f"{what}: {service}"):
            names = house.replicas(service)
            for name in names:
                house.replace(name, bin)
                if service == "auth" and name == names[0]:
                    for i, (here, there) in enumerate((names, names[::-1])):
                        understand(house, here, there, f"both-{i}-{time.monotonic_ns()}@people.example")
                if name != names[-1]:
                    time.sleep(PAUSE_S)


@pytest.mark.parametrize("service", ["auth", "directory"])
def test_one_service_goes_back_and_forward_again(house, veterans, tokens, service):
    with UnderLoad(house, veterans, tokens, f"{service} back and forward again"):
        for bin in (BEFORE, BIN):
            for name in house.replicas(service):
                house.replace(name, bin)
                time.sleep(PAUSE_S)
