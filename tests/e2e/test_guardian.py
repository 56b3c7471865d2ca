"""The guardian surface over HTTP: users sign up and in, and see, change and delete their own record; admins those of others."""
import pytest
from guardian import *

NOT_FOUND, BAD_REQUEST = (404, "Not Found"), (400, "Bad Request")


@pytest.fixture(scope="module")
def ann():
    return User()


@pytest.fixture(scope="module")
def admin():
    return User("admin")


@pytest.fixture(scope="module")
def root():
    return User("root")


# ---- POST /api/users ----
@pytest.mark.parametrize("wrap", [lambda user: user, lambda user: {"user": user}])
def test_sign_up(wrap):
    email, name = new_email(), new_name()
    answer = expect_status(register(wrap({"email": email, "username": name, "password": PASSWORD})), 201)
    user = answer.json["data"]
    assert answer.json.keys() == {"data", "token"} and user == {"id": user["id"], "email": email, "username": name}
    assert answer.headers["location"] == f"/api/users/{user['id']}" and answer.headers["cache-control"] == "no-store"
    expect_status(get("/api/businesses?limit=1", answer.json["token"]), 200)
    expect_json(get(answer.headers["location"], answer.json["token"]), 200, {"data": user})


def test_a_user_name_is_optional():
    for none in {}, {"username": None}, {"username": ""}:
        answer = expect_status(register({"email": new_email(), "password": PASSWORD} | none), 201)
        assert answer.json["data"]["username"] is None


def test_sign_up_as_a_form_and_as_multipart():
    email = new_email()
    answer = expect_status(post_form("/api/users", f"user[email]={email.replace('@', '%40')}&user[password]=correct+horse"), 201)
    assert answer.json["data"]["email"] == email
    email = new_email()
    assert expect_status(post_multipart("/api/users", {"email": email, "password": "correct horse"}), 201).json["data"]["email"] == email


@pytest.mark.parametrize("body, errors", [
    ({}, {"email": ["can't be blank"], "password": ["can't be blank"]}),
    ({"user": {}}, {"email": ["can't be blank"], "password": ["can't be blank"]}),
    ({"email": None, "password": " "}, {"email": ["can't be blank"], "password": ["can't be blank"]}),
    ({"email": "nobody", "password": "12345"}, {"email": ["has invalid format"], "password": ["should be at least 6 character(s)"]}),
    ({"email": 5, "password": []}, {"email": ["is invalid"], "password": ["is invalid"]}),
    ({"email": "a@b.cd", "password": PASSWORD, "username": {}}, {"username": ["is invalid"]}),
    ({"email": "a@b.cd", "password": PASSWORD, "username": "ab"}, {"username": ["should be at least 3 character(s)"]}),
    ({"email": "a@b.cd", "password": PASSWORD, "username": "x" * 37}, {"username": ["should be at most 36 character(s)"]}),
    ({"email": "a" * 250 + "@b.cd", "password": PASSWORD}, {"email": ["should be at most 254 character(s)"]}),
    ({"email": "a@b.cd", "password": "x" * 1025}, {"password": ["should be at most 1024 character(s)"]})])
def test_what_sign_up_refuses(body, errors):
    expect_errors(register(body), **errors)


def test_what_is_taken(ann):
    expect_errors(register({"email": ann.email.upper(), "password": PASSWORD, "username": ann.name.upper()}),
                  email=["has already been taken"], username=["has already been taken"])


def test_bodies_that_cannot_be_read():
    for body in {"user": None}, {"user": "ann"}, {"user": [1]}, [1], "x":
        answer = register(body)
        assert answer.status in (400, 422), answer
    expect_detail(register({"user": []}), *BAD_REQUEST)
    expect_detail(ask("POST", "/api/users", b'{"a":'), *BAD_REQUEST)
    expect_detail(ask("POST", "/api/users", b'{"email":"\xff"}'), 415, "Unsupported Media Type")
    expect_detail(ask("POST", "/api/users", b"x" * 65537), 413, "Request Entity Too Large")
    expect_detail(register({}, headers={"accept": "text/html"}), 406, "Not Acceptable")


# ---- POST /api/users/sign_in ----
def test_sign_in_by_email_or_user_name(ann):
    for fields in ({"email": ann.email}, {"email": ann.email.upper()}, {"username": ann.name}, {"username": ann.name.upper()},
                   {"email": ann.name}, {"username": ann.email}):
        answer = post_json(CREDENTIALS, fields | {"password": ann.password})
        claims = claims_of(expect_json_token(answer))
        assert claims["sub"] == str(ann.id) and claims["typ"] == "access", claims
        assert answer.headers["cache-control"] == "no-store"
        expect_json(get(ann.path, answer.json["token"]), 200, ann.record)


def test_whom_sign_in_refuses(ann):
    for login, password in (ann.email, "wrong"), (ann.email, ""), (new_email(), PASSWORD), (new_name(), PASSWORD), ("", ""), ("x" * 5000, PASSWORD):
        answer = log_in(login, password)
        expect_refused(answer)
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("body", [{}, {"email": "a@b.cd"}, {"password": PASSWORD}, {"email": None, "password": PASSWORD},
                                  {"email": "a@b.cd", "password": 5}, {"username": [], "password": PASSWORD}])
def test_what_sign_in_cannot_read(body):
    expect_detail(post_json(CREDENTIALS, body), *BAD_REQUEST)


# ---- guards ----
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_who_has_no_good_token(ann, method):
    expect_no_token(ask(method, ann.path))
    expect_no_token(ask(method, ann.path, headers={"authorization": "Basic " + ann.token}))
    expect_no_token(ask(method, "/api/users/x"))
    expect_bad_token(ask(method, ann.path, token=ann.token[:-2]))
    expect_bad_token(ask(method, ann.path, token="x"))
    expect_detail(ask(method, ann.path, headers=[("authorization", "Bearer " + ann.token)] * 2), *BAD_REQUEST)
    expect_json(get(ann.path, ann.token), 200, ann.record)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_others_records_are_nobodys_business(ann, admin, method):
    """The same for records there are, there are not and there cannot be."""
    for id in admin.id, 9007199254740993, 0, -1, "new", "01", "1" * 400, f"{ann.id}%20", str(ann.id) + "x":
        expect_forbidden(ask(method, f"/api/users/{id}", {"username": "x"} if method != "GET" else None, ann.token))
    assert get(admin.path, admin.token).json == admin.record


@pytest.mark.parametrize("method, path", [("GET", "/api/users/signup"), ("PUT", "/api/users/signin"), ("GET", "/api/users/sign_in"),
                                          ("DELETE", "/api/users/sign_in"), ("PATCH", "/api/users/signup"), ("GET", "/api/users"),
                                          ("PUT", "/api/users"), ("POST", "/api/users/1"), ("GET", "/api/users/1/edit")])
def test_what_is_nowhere(ann, method, path):
    for token in None, ann.token:
        answer = expect_detail(ask(method, path, token=token), *NOT_FOUND)
        assert answer.headers["allow"] is None


# ---- one's own record ----
def test_reading_it(ann):
    expect_json(get(ann.path, ann.token), 200, ann.record)
    expect_json(get(f"//api//users/{ann.id}/", ann.token), 200, ann.record)
    expect_json(get(ann.path, sign_in(ann.email)), 200, ann.record)
    assert expect_status(ask("HEAD", ann.path, token=ann.token), 200).raw == b""


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_changing_it(method):
    user, name, email = User(), new_name(), new_email()
    expect_json(change(user, {"user": {"username": name}}, method=method), 200, {"data": user.record["data"] | {"username": name}})
    expect_json(change(user, {"email": email}, method=method), 200, {"data": {"id": user.id, "email": email, "username": name}})
    expect_json(change(user, {}, method=method), 200, {"data": {"id": user.id, "email": email, "username": name}})
    expect_refused(log_in(user.email, user.password))
    expect_json_token(log_in(email, user.password))
    expect_json(change(user, {"username": None}, method=method), 200, {"data": {"id": user.id, "email": email, "username": None}})
    answer = post_json(user.path, {"_method": method, "username": user.name}, user.token)
    expect_json(answer, 200, {"data": {"id": user.id, "email": email, "username": user.name}})
    assert answer.headers["cache-control"] == "no-store", "as if it had been sent so"


def test_what_a_change_refuses(ann, admin):
    for fields, errors in (({"email": ""}, {"email": ["can't be blank"]}), ({"email": "x"}, {"email": ["has invalid format"]}),
                           ({"email": admin.email.upper()}, {"email": ["has already been taken"]}),
                           ({"username": admin.name}, {"username": ["has already been taken"]}), ({"username": "x"}, {"username": ["should be at least 3 character(s)"]}),
                           ({"password": "12345"}, {"password": ["should be at least 6 character(s)"]}), ({"password": None}, {"password": ["can't be blank"]}),
                           ({"username": 5}, {"username": ["is invalid"]}), ({"password": 5, "email": []}, {"email": ["is invalid"], "password": ["is invalid"]})):
        expect_errors(change(ann, fields), **errors)
    expect_detail(change(ann, {"user": 5}), *BAD_REQUEST)
    expect_json(get(ann.path, ann.token), 200, ann.record)


def test_a_new_password_ends_the_other_sessions():
    user = User()
    other = user.sign_in()
    expect_json(change(user, {"password": "battery staple"}), 200, user.record)
    expect_json(get(user.path, user.token), 200, user.record)
    expect_bad_token(get(user.path, other))
    expect_refused(log_in(user.email, user.password))
    user.sign_in(password="battery staple")


def test_deleting_it():
    user = User()
    other = user.sign_in()
    answer = expect_status(ask("DELETE", user.path, token=user.token), 204)
    assert answer.raw == b"" and answer.headers["content-type"] is None
    for token in user.token, other:
        expect_bad_token(get(user.path, token))
        expect_bad_token(ask("DELETE", user.path, token=token))
        expect_invalid_token(get("/api/businesses", token))
    expect_refused(log_in(user.email, user.password))


# ---- nobody makes himself more than he is ----
MORE = {"id": 1, "user_id": 1, "roles": "root", "role": "admin", "admin": True, "meta": {"role": "admin"}, "blocked": False,
        "email_confirmed": True, "confirmed_at": "2020-01-01", "password_hash": "x", "encrypted_password": "x"}


def test_no_undeclared_field_is_taken(root):
    user = User(**MORE)
    for fields in MORE, {"user": MORE}:
        expect_json(change(user, fields), 200, user.record)
    assert claims_of(user.sign_in()).get("roles") in (None, "", [])
    expect_forbidden(get(root.path, user.sign_in()))
    assert sql(f"SELECT roles, meta, blocked_at, confirmed_at FROM auth.users WHERE id = {user.id}") == "|{}||"


def test_an_admin_does_not_become_root(admin, root):
    """With a new password for root he would be him."""
    for method, fields in ("PATCH", {"password": "battery staple"}), ("PUT", {"email": new_email()}), ("DELETE", None):
        expect_forbidden(ask(method, root.path, fields, admin.token))
    expect_json(get(root.path, admin.token), 200, root.record)
    root.sign_in()


# ---- others' records, for those who may ----
@pytest.mark.parametrize("who", ["admin", "root"])
def test_who_may(who, request):
    who, user = request.getfixturevalue(who), User()
    expect_json(get(user.path, who.token), 200, user.record)
    expect_json(change(user, {"username": user.name + "x"}, who.token), 200, {"data": user.record["data"] | {"username": user.name + "x"}})
    for id, status in (9007199254740993, NOT_FOUND), (0, NOT_FOUND), ("x", BAD_REQUEST), ("01", BAD_REQUEST):
        for method in "GET", "PUT", "PATCH", "DELETE":
            expect_detail(ask(method, f"/api/users/{id}", {} if method != "GET" else None, who.token), *status)
    expect_status(change(user, {"password": "battery staple"}, who.token), 200)
    expect_bad_token(get(user.path, user.token))
    expect_status(ask("DELETE", user.path, token=who.token), 204)
    expect_detail(ask("DELETE", user.path, token=who.token), *NOT_FOUND)
    expect_detail(get(user.path, who.token), *NOT_FOUND)


def test_somebody_stays_root():
    """All others cease for a moment to be it."""
    last = User("root")
    others = "FROM auth.users_roles USING auth.roles WHERE roles.id = role_id AND name = 'root' AND user_id <> " + str(last.id)
    were = sql(f"DELETE {others} RETURNING user_id").split()
    try:
        expect_detail(ask("DELETE", last.path, token=last.token), 409, "Conflict")
        expect_json(get(last.path, last.token), 200, last.record)
    finally:
        for id in were:
            sql(f"INSERT INTO auth.users_roles SELECT {id}, id FROM auth.roles WHERE name = 'root'")
    if were:
        expect_status(ask("DELETE", last.path, token=last.token), 204)


# ---- beside the busi surface ----
def test_each_of_the_two_works_without_the_other(tmp_path, ann):
    signup = {"user": {"email": new_email(), "password": PASSWORD}}
    with another_gateway(tmp_path, surface_busi="off") as at:
        expect_json_token(log_in(ann.email, ann.password, at=at))
        expect_json(get(ann.path, ann.token, at=at), 200, ann.record)
        for method in "GET", "POST", "DELETE":
            for word in "signup", "signin":
                expect_detail(ask(method, "/api/users/" + word, token=ann.token, at=at), *NOT_FOUND)
    with another_gateway(tmp_path, surface_guardian="off") as at:
        expect_status(post_json("/api/users/signup", signup, at=at), 201)
        for method, path in ("GET", ann.path), ("POST", "/api/users"), ("POST", CREDENTIALS), ("DELETE", ann.path):
            expect_detail(ask(method, path, token=ann.token, at=at), *NOT_FOUND)
    with another_gateway(tmp_path, surface_guardian_prefix="/g") as at:
        answer = expect_status(register({"email": new_email(), "password": PASSWORD}, at=at), 404)
        answer = expect_status(post_json("/g/api/users", {"email": new_email(), "password": PASSWORD}, at=at), 201)
        assert answer.headers["location"] == f"/g/api/users/{answer.json['data']['id']}"
        expect_detail(get("/g/api/users/signup", ann.token, at=at), *NOT_FOUND)
