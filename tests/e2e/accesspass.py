"""The words of the accesspass surface."""
import base64, itertools, os, re, time
from house import *

_count = itertools.count()


def new_name():
    return f"u{os.getpid()}-{time.time_ns() % 10**14}-{next(_count)}"


class Account:
    """A new one, with the token record of its registration."""

    def __init__(self, **fields):
        self.name, self.email, self.password = new_name(), new_email(), "secret1"
        self.answer = post_json("/register", registration(self) | fields)
        self.record = expect_record(self.answer)

    access = property(lambda self: self.record["access_token"])
    refresh = property(lambda self: self.record["refresh_token"])

    def log_in(self, password=None):
        return expect_record(log_in(self.name, password or self.password))


def registration(account):
    return {"username": account.name, "email": account.email, "password": account.password, "password_confirm": account.password}


class Nobody:
    """What an account would be called that there is not."""

    def __init__(self):
        self.name, self.email, self.password = new_name(), new_email(), "secret1"


# ---- requests ----
def log_in(name, password):
    return post_json("/login", {"username": name, "password": password})


def check(access):
    return get("/check", headers={"access-token": access})


def refresh(token):
    return get("/refresh", headers={"refresh-token": token})


def log_out(access):
    return ask("POST", "/logout", headers={"access-token": access})


def confirm(secret):
    return post_json("/confirm", {"confirm_id": secret})


def change_password(secret, new, confirm=None):
    return post_json("/change_password", {"password_id": secret, "new_password": new, "password_confirm": new if confirm is None else confirm})


# ---- what is expected ----
def is_token(text):
    """48 characters: the unpadded base64 of a version 4 UUID's text."""
    return isinstance(text, str) and len(text) == 48 and is_uuid4(base64.b64decode(text, validate=True).decode())


def expect_ok(answer, ok):
    assert answer.headers["cache-control"] == "no-store", answer
    return expect_json(answer, 200, {"ok": ok})


def expect_error(answer, error, status=400):
    assert answer.headers["cache-control"] == "no-store", answer
    return expect_json(answer, status, {"error": error})


def expect_unauthorized(answer):
    return expect_error(answer, "unauthorized", 401)


RECORD = re.compile(rb'\{"ok":\{"type":"basic","refresh_token":"\w{48}","refresh_expire_in":0,"access_token":"\w{48}","access_expire_in":300\}\}')


def expect_record(answer):
    expect_status(answer, 200)
    assert RECORD.fullmatch(answer.raw), answer
    assert answer.headers["cache-control"] == "no-store", answer
    record = answer.json["ok"]
    assert is_token(record["access_token"]) and is_token(record["refresh_token"]), record
    return record


def who(access):
    """The data of a good access token."""
    return expect_status(check(access), 200).json["ok"]


def is_good(access):
    answer = check(access)
    assert answer.status in (200, 401), answer
    return answer.status == 200


def expect_alike(*answers):
    """No byte and no header may tell them apart, but for the request's own id and the second."""
    def shown(answer):
        return answer.status, answer.reason, answer.raw, [(name, value) for name, value in answer.headers.items()
                                                          if name.lower() not in ("date", "x-request-id")]
    for answer in answers[1:]:
        assert shown(answer) == shown(answers[0]), (answers[0], answer)
