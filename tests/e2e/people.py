"""Who there is, what they ask for, and how each surface refuses: the words of the matrix of rights."""
import os, re, subprocess, time
from accesspass import Account
from guardian import *

PEOPLE = ["anonymous", "guest", "unconfirmed", "user", "owner", "other_owner", "admin", "root", "disabled", "expired", "refresh"]
KNOWN = {"guest", "unconfirmed", "user", "owner", "other_owner", "admin", "root"}
ROLES = {"guest", "unconfirmed", "admin", "root"}


# ---- the people ----
class People:
    """A token of each but anonymous; `owner` stands for whoever has made what is asked about."""

    def __init__(self):
        self.users = {name: somebody(name) for name in sorted(KNOWN)} | {"disabled": User()}
        create_business(self.users["other_owner"].token)
        self.tokens = {name: user.token for name, user in self.users.items()} | {"anonymous": None}
        self.tokens["expired"] = expired(self.users["user"])
        self.tokens["refresh"] = Account().refresh
        with worker("auth") as auth:
            auth.call("auth.BlockUser", {1: self.users["disabled"].id}, timeout_ms=4000)



def somebody(name):
    return User(*({name} & ROLES))


def expired(user):
    """Of a session that lives, and signed by the house."""
    claims, then = claims_of(sign_in(user.email)), int(time.time()) - 60
    return make_token(claims | {"exp": then, "iat": then - 60, "nbf": then - 60})


# ---- what is asked ----
class Ask:
    """may: who gets through to the handler, which answers one of statuses. All others are refused. uses_up: the account is
    not the same afterwards, so that it is one for the occasion."""

    def __init__(self, may, statuses, body=None, path=None, query=None, headers=None, uses_up=False):
        self.may, self.statuses, self.body, self.path, self.query = may, statuses, body, path, query
        self.headers, self.uses_up = headers, uses_up

    def target(self, people, name):
        """(path, token) for this person."""
        token = somebody(name).token if self.uses_up and name in KNOWN else people.tokens[name]
        return (self.path(people, name) if callable(self.path) else self.path), token


class AskOfUser(Ask):
    """About a user made for the occasion, who is the owner."""

    def target(self, people, name):
        user = User()
        return user.path, user.token if name == "owner" else people.tokens[name]


def anybody(*statuses, **more):
    return Ask(set(PEOPLE), set(statuses), **more)


def known(*statuses, **more):
    return Ask(KNOWN, set(statuses), **more)


def only_root(*statuses, **more):
    return Ask({"root"}, set(statuses), **more)


def business(people, name):
    return f"/api/businesses/{create_business(people.users['owner'].token)['id']}"


def printed(config=None):
    """{route: (surface, who)} as the gateway prints it."""
    binary, file = os.environ["BUSI_TEST_BIN"] + "/gateway", config or VAR / "config/gateway.conf"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
    done = subprocess.run([binary, "--config", file, "routes"], env=clean, text=True, capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    rows = [re.split(r"\s{2,}", line.strip(), maxsplit=5) for line in done.stdout.splitlines()]
    return {f"{verb} {path}": (surface, who) for surface, verb, path, _, who, _ in rows}


# ---- what is answered ----
class Shape:
    """How a surface refuses."""

    def __init__(self, missing, invalid, forbidden=None):
        self.missing, self.invalid, self.forbidden = missing, invalid, forbidden


SHAPES = {"busi": Shape((401, {"error": "unauthenticated"}), (401, {"error": "invalid_token"}), (403, {"errors": {"detail": "Forbidden"}})),
          "guardian": Shape((401, {"message": "unauthenticated"}), (401, {"message": "invalid_token"}), (403, {"status": "forbidden"})),
          "accesspass": Shape(*[(401, {"error": "unauthorized"})] * 3), "magic": Shape(*[(401, {"message": "Access denied"})] * 3)}


def refusal(shape, name):
    if name == "anonymous":
        return shape.missing, "Bearer"
    if name not in KNOWN:
        return shape.invalid, 'Bearer error="invalid_token"'
    return shape.forbidden, 'Bearer error="insufficient_scope"'


def judge(surface, route, row, people, name, at=None):
    verb, path = route.split(" ")
    target, token = row.target(people, name)
    query = "?" + row.query if row.query else ""
    answer = ask(verb, (target or path) + query, row.body, token, row.headers, at=at)
    if name in row.may:
        assert answer.status in row.statuses, (route, name, answer)
        return
    (status, body), challenge = refusal(SHAPES[surface], name)
    assert (answer.status, answer.json, answer.headers["www-authenticate"]) == (status, body, challenge), (route, name, answer)
