"""The words of the guardian surface."""
import itertools, os, time
from house import *

_count = itertools.count()
CREDENTIALS = "/api/users/sign_in"


def new_name():
    return f"g{os.getpid()}-{time.time_ns() % 10**14}-{next(_count)}"


class User:
    """A new one, signed in by its registration. roles: given before that sign-in, so its token has them."""

    def __init__(self, *roles, **fields):
        self.name, self.email, self.password = new_name(), new_email(), PASSWORD
        self.answer = expect_status(register({"email": self.email, "username": self.name, "password": self.password} | fields), 201)
        self.id, self.token = self.answer.json["data"]["id"], self.answer.json["token"]
        for role in roles:
            give_role(self.id, role)
        if roles:
            self.token = self.sign_in()

    path = property(lambda self: f"/api/users/{self.id}")
    record = property(lambda self: {"data": {"id": self.id, "email": self.email, "username": self.name}})

    def sign_in(self, login=None, password=None):
        return expect_json_token(log_in(login or self.email, password or self.password))


# ---- requests ----
def register(body, **more):
    return post_json("/api/users", body, **more)


def log_in(login, password, **more):
    return post_json(CREDENTIALS, {"email": login, "password": password}, **more)


def change(user, fields, token=None, method="PATCH", **more):
    return ask(method, user.path, fields, token or user.token, **more)


# ---- answers ----
def expect_json_token(answer):
    assert expect_status(answer, 200).json.keys() == {"token"}, answer
    return answer.json["token"]


def expect_forbidden(answer):
    expect_json(answer, 403, {"status": "forbidden"})
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"', answer


def expect_refused(answer):
    expect_json(answer, 401, {"status": "unauthorized"})


def expect_no_token(answer):
    expect_json(answer, 401, {"message": "unauthenticated"})
    assert answer.headers["www-authenticate"] == "Bearer", answer


def expect_bad_token(answer):
    expect_json(answer, 401, {"message": "invalid_token"})
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"', answer
