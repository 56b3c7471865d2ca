"""The words of the ash surface, as programs use it."""
import re, urllib.parse
from accesspass import expect_alike
from house import *
from mails import confirm_id, magic_link, mails, password_id, wait_for_mail

USER = "/auth/user"
NEW = "another password"


class Person:
    """A new account, with the bearer of its registration."""

    def __init__(self, **fields):
        self.email, self.password = new_email(), PASSWORD
        self.bearer = expect_success(register(self.email, **fields))

    def sign_in(self, password=None):
        return expect_success(sign_in(self.email, password or self.password))


# ---- requests ----
def act(phase, **user):
    return post_json(f"{USER}/{phase}", {"user": user})


def register(email, password=PASSWORD, **fields):
    return act("password/register", **{"email": email, "password": password, "password_confirmation": password} | fields)


def sign_in(email, password=PASSWORD):
    return act("password/sign_in", email=email, password=password)


def request_reset(email):
    return act("password/reset_request", email=email)


def reset(token, password=NEW, confirmation=None):
    return act("password/reset", reset_token=token, password=password, password_confirmation=password if confirmation is None else confirmation)


def request_link(email):
    return act("magic_link/request", email=email)


def open_link(path, **query):
    return get(f"{USER}/{path}?{urllib.parse.urlencode(query)}")


def confirm(secret):
    return open_link("confirm", confirm=secret)


def sign_in_by_link(secret):
    return open_link("magic_link", token=secret)


def sign_in_with_token(secret):
    return open_link("password/sign_in_with_token", token=secret)


def sign_out(bearer=None, **more):
    return get("/sign-out", bearer, **more)


def sign_in_token(bearer):
    """As the pages get one."""
    with worker("auth") as auth:
        return auth.call("auth.IssueSignInToken", {1: bearer})[1]


# ---- what is expected ----
def _ash(answer, status, body):
    assert answer.headers["cache-control"] == "no-store", answer
    return expect_json(answer, status, body)


def expect_success(answer):
    """The bearer."""
    expect_status(answer, 200)
    assert re.fullmatch(rb'\{"authentication":\{"status":"success","bearer":"[\w.-]+"\}\}', answer.raw), answer
    assert answer.headers["cache-control"] == "no-store", answer
    return answer.json["authentication"]["bearer"]


def expect_taken(answer):
    """A success by which nobody is signed in."""
    return _ash(answer, 200, {"authentication": {"status": "success", "bearer": None}})


def expect_failure(answer):
    return _ash(answer, 401, {"authentication": {"status": "failed"}})


def expect_signed_out(answer):
    return _ash(answer, 200, {"status": "ok"})


def expect_no(answer, status, phrase):
    return expect_json(answer, status, {"error": phrase})


def is_good(bearer):
    answer = get("/api/businesses?limit=1", bearer)
    assert answer.status in (200, 401), answer
    return answer.status == 200
