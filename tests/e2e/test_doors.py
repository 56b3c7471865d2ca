"""One house of accounts: made at one surface, good at every other, and so are the tokens; a sign-out anywhere ends one session."""
import itertools, urllib.parse
import pytest
from guardian import new_name
from house import *


class Person:
    def __init__(self):
        self.name, self.email, self.password = new_name(), new_email(), PASSWORD


class Door:
    """A surface to come in by. register: makes the account; token_of: what a sign-in with these fields answers; logins: what may
    be typed for the user; refused: the answer to whoever is not let in, known or not."""

    def __init__(self, name, register, token_of, logins, refused):
        self.name, self.register, self.token_of, self.logins, self.refused = name, register, token_of, logins, refused

    def __repr__(self):
        return self.name

    def sign_up(self):
        person = Person()
        expect_success(self.register(person))
        return person

    def try_sign_in(self, login, password):
        return self.token_of(login, password)[0]

    def sign_in(self, person, login=None):
        answer, token = self.token_of(login or person.email, person.password)
        expect_success(answer)
        return token(answer.json)


def expect_success(answer):
    assert answer.status in (200, 201), answer


def magic_query(login, password):
    return "/magic/system/auth/authenticate?" + urllib.parse.urlencode({"username": login, "password": password})


BY_EMAIL, BY_BOTH = ("email",), ("email", "name")
DOORS = [
    Door("busi", lambda who: post_json("/api/users/signup", {"user": {"email": who.email, "password": who.password}}),
         lambda login, password: (post_json("/api/users/signin", {"email": login, "password": password}), lambda body: body["token"]),
         BY_EMAIL, (401, {"errors": {"detail": "Unauthorized"}})),
    Door("guardian", lambda who: post_json("/api/users", {"email": who.email, "username": who.name, "password": who.password}),
         lambda login, password: (post_json("/api/users/sign_in", {"email": login, "password": password}), lambda body: body["token"]),
         BY_BOTH, (401, {"status": "unauthorized"})),
    Door("accesspass", lambda who: post_json("/register", {"username": who.name, "email": who.email, "password": who.password,
                                                           "password_confirm": who.password}),
         lambda login, password: (post_json("/login", {"username": login, "password": password}), lambda body: body["ok"]["access_token"]),
         BY_BOTH, (400, {"error": "username or password is incorrect"})),
    Door("ash", lambda who: post_json("/auth/user/password/register", {"user": {"email": who.email, "password": who.password,
                                                                                "password_confirmation": who.password}}),
         lambda login, password: (post_json("/auth/user/password/sign_in", {"user": {"email": login, "password": password}}),
                                  lambda body: body["authentication"]["bearer"]),
         BY_EMAIL, (401, {"authentication": {"status": "failed"}})),
    Door("magic", lambda who: post_json("/magic/system/auth/register", {"username": who.name, "password": who.password,
                                                                        "extra": {"email": who.email}}),
         lambda login, password: (get(magic_query(login, password)), lambda body: body["ticket"]),
         BY_BOTH, (401, {"message": "Access denied"})),
]
NAMES_KEPT = {"guardian", "accesspass", "magic"}  # at sign-up
OUT = {"accesspass": ("POST", "/logout"), "ash": ("GET", "/sign-out"), "magic": ("POST", "/magic/system/auth/logout")}
EACH = pytest.mark.parametrize("door", DOORS, ids=repr)
PAIRS = pytest.mark.parametrize("made, used", list(itertools.product(DOORS, DOORS)), ids=repr)


def is_good(token, at=None):
    """By every surface that asks for one; they must agree."""
    answers = [get("/api/businesses?limit=1", token, at=at), get("/check", token, at=at),
               post_json("/magic/system/log/log", {"type": "debug", "content": "x"}, token, at=at), get("/api/users/x", token, at=at)]
    verdicts = {answer.status != 401 for answer in answers}
    assert len(verdicts) == 1, answers
    return verdicts.pop()


# ---- in ----
@PAIRS
def test_an_account_of_each_is_good_at_every_other(made, used):
    person = made.sign_up()
    for login in used.logins:
        if login == "email" or made.name in NAMES_KEPT:
            name = getattr(person, login)
            assert is_good(used.sign_in(person, name)) and is_good(used.sign_in(person, name.upper()))


@EACH
def test_each_token_opens_the_directory(door):
    person = door.sign_up()
    token = door.sign_in(person)
    business = create_business(token)
    path = f"/api/businesses/{business['id']}"
    for headers in {"authorization": "Bearer " + token}, {"authorization": "bearer  " + token}:
        expect_json(get(path, headers=headers), 200, {"data": business})
    expect_status(ask("PATCH", path, {"business": {"tag": "x"}}, token), 200)
    expect_status(ask("DELETE", path, token=token), 204)


@EACH
def test_nobody_learns_who_has_an_account(door):
    """A wrong password, an unknown user and a blocked one: one answer, but for its request id."""
    person = door.sign_up()
    with worker("auth") as auth:
        blocked = door.sign_up()
        auth.call("auth.BlockUser", {1: int(sql(f"SELECT id FROM auth.users WHERE email = '{blocked.email}'"))}, timeout_ms=4000)
    tries = [(person.email, "not the password"), (new_email(), PASSWORD), (blocked.email, PASSWORD)]
    tries += [(person.name, "not the password"), (new_name(), PASSWORD)]
    answers = [door.try_sign_in(*each) for each in tries]
    for answer in answers:
        expect_json(answer, *door.refused)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers.keys() == answers[0].headers.keys()


@PAIRS
def test_what_one_has_taken_is_taken_at_every_other(made, used):
    person, other = made.sign_up(), Person()
    other.email = person.email.upper()
    answer = used.register(other)
    if used.name == "magic":  # tells nothing of addresses; their owner is mailed
        expect_success(answer)
    else:
        assert answer.status in (400, 401, 409, 422), answer
    assert sql(f"SELECT count(*) FROM auth.users WHERE lower(email) = lower('{person.email}')") == "1"
    expect_json(used.try_sign_in(other.email, "other " + PASSWORD), *used.refused)
    assert is_good(used.sign_in(person))


# ---- out ----
@pytest.mark.parametrize("way", OUT)
@EACH
def test_a_sign_out_ends_exactly_that_session_at_once(door, way, second):
    person = door.sign_up()
    tokens = {other: other.sign_in(person) for other in DOORS}
    again = door.sign_in(person)
    assert all(is_good(token) and is_good(token, second) for token in [*tokens.values(), again])
    method, path = OUT[way]
    expect_status(ask(method, path, token=tokens[door]), 200)
    assert not is_good(tokens[door]) and not is_good(tokens[door], second)
    for token in [again] + [token for other, token in tokens.items() if other is not door]:
        assert is_good(token) and is_good(token, second)


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    """Another gateway: what ends at one is not good at it either."""
    with another_gateway(tmp_path_factory.mktemp("second")) as port:
        yield port


@pytest.mark.parametrize("way", OUT)
def test_what_was_never_a_token_ends_nothing(way):
    person = DOORS[0].sign_up()
    token = DOORS[0].sign_in(person)
    method, path = OUT[way]
    forged = make_token(claims_of(token), key=b"x" * 64)
    for bad in forged, token[:-1], "x" * 48:
        assert ask(method, path, token=bad).status in (200, 401)
    assert is_good(token)


def test_a_new_password_ends_the_sessions_of_all_doors(second):
    person = DOORS[1].sign_up()
    tokens = [door.sign_in(person) for door in DOORS]
    mine = DOORS[1].sign_in(person)
    user = claims_of(mine)["sub"]
    expect_status(ask("PATCH", f"/api/users/{user}", {"password": "battery staple 2"}, mine), 200)
    assert is_good(mine) and not any(is_good(token) or is_good(token, second) for token in tokens)
    person.password = "battery staple 2"
    assert all(is_good(door.sign_in(person)) for door in DOORS)


def test_what_gets_others_is_no_token_itself():
    """A refresh token is good at its own route and nowhere else."""
    person = DOORS[2].sign_up()
    record = expect_status(post_json("/login", {"username": person.name, "password": person.password}), 200).json["ok"]
    assert not is_good(record["refresh_token"])
    fresh = expect_status(get("/refresh", headers={"refresh-token": record["refresh_token"]}), 200).json["ok"]
    assert is_good(fresh)
    for door in DOORS:
        expect_status(get("/refresh", headers={"refresh-token": door.sign_in(person)}), 400)
