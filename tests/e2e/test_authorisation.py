"""Who may do what: every route `gateway routes` prints, for everyone there is. A route that is not in the table fails."""
import pathlib, shutil, subprocess
import pytest
from people import *


@pytest.fixture(scope="module")
def people():
    return People()


def below(prefix, rows):
    return {route.replace(" ", " " + prefix, 1): row for route, row in rows.items()}


CHANGE = {"business": {"tag": "x"}}
OWN = {"owner", "admin", "root"}
NOBODYS, NEW, NO_ONE = "x" * 48, "a new password", "nobody-is-called-this"
HTML = {"accept": "text/html"}
TABLE = {
    "POST /api/users/signup": anybody(400, body={}), "POST /api/users/signin": anybody(400, body={}),
    "GET /api/businesses": known(200, path="/api/businesses?limit=1"),
    "GET /api/businesses/:id": known(200, path=business),
    "POST /api/businesses": known(201, body={"business": BUSINESS}),
    "PATCH /api/businesses/:id": known(200, body=CHANGE, path=business),
    "PUT /api/businesses/:id": known(200, body=CHANGE, path=business),
    "DELETE /api/businesses/:id": known(204, path=business),
    "GET /": anybody(200),

    "POST /api/users": anybody(422, body={}), "POST /api/users/sign_in": anybody(400, body={}),
    "GET /api/users/:id": AskOfUser(OWN, {200}),
    "PATCH /api/users/:id": AskOfUser(OWN, {200}, body={}),
    "PUT /api/users/:id": AskOfUser(OWN, {200}, body={}),
    "DELETE /api/users/:id": AskOfUser(OWN, {204}),

    "POST /register": anybody(400, body={}), "POST /confirm": anybody(400, body={}), "POST /resend_confirm": anybody(200, body={}),
    "POST /login": anybody(400, body={}), "GET /check": known(200), "GET /refresh": anybody(400), "POST /logout": anybody(200, uses_up=True),
    "POST /reset_password": anybody(200, body={}), "POST /change_password": anybody(400, body={}),
    "POST /forgot_username": anybody(200, body={}),

    "GET /confirm/:secret": anybody(200, path=f"/confirm/{NOBODYS}", headers=HTML),
    "POST /confirm/:secret": anybody(400, path=f"/confirm/{NOBODYS}", headers=HTML),
    "GET /password-reset/:secret": anybody(200, path=f"/password-reset/{NOBODYS}", headers=HTML),
    "POST /password-reset/:secret": anybody(400, path=f"/password-reset/{NOBODYS}", headers=HTML),
    "GET /magic-link/:secret": anybody(200, path=f"/magic-link/{NOBODYS}", headers=HTML),
    "POST /magic-link/:secret": anybody(400, path=f"/magic-link/{NOBODYS}", headers=HTML),
    "GET /sign-in": anybody(200, headers=HTML), "GET /register": anybody(200, headers=HTML), "GET /reset": anybody(200, headers=HTML),
    "GET /magic-link": anybody(200, headers=HTML), "GET /mail-sent": anybody(200, headers=HTML),
    # what a page may is its cookie's business: no token is one of its reader's
    "GET /account": anybody(303, headers=HTML), "POST /account/sessions": anybody(303, headers=HTML),
    "POST /account/password": anybody(303, headers=HTML), "POST /account/confirmation": anybody(303, headers=HTML),
    "POST /account/sign-out": anybody(200, headers=HTML),

    "POST /auth/user/password/register": anybody(401, body={}), "POST /auth/user/password/sign_in": anybody(401, body={}),
    "GET /auth/user/password/sign_in_with_token": anybody(401), "POST /auth/user/password/reset_request": anybody(200, 401, body={}),
    "POST /auth/user/password/reset": anybody(401, body={}), "GET /auth/user/confirm": anybody(401),
    "POST /auth/user/magic_link/request": anybody(200, 401, body={}), "GET /auth/user/magic_link": anybody(401),
    "GET /auth/user/:provider": anybody(404), "GET /auth/user/:provider/callback": anybody(404),
    "GET /sign-out": anybody(200, uses_up=True),
} | below("/magic/system/auth", {
    "GET /authenticate": anybody(400), "GET /refresh-ticket": known(200, uses_up=True), "GET /verify-ticket": anybody(200, 401),
    "POST /logout": anybody(200, 401, uses_up=True), "PUT /change-password": known(200, body={"password": NEW}, uses_up=True),
    "GET /endpoints": anybody(200), "GET /recaptcha-key": anybody(200),
    "GET /generate-token": only_root(404, query=f"username={NO_ONE}&role=guest&expires=2099-01-01T00:00:00Z"),
    "GET /impersonate": only_root(404, query=f"username={NO_ONE}"),
    "PUT /imprison": only_root(404, body={"username": NO_ONE, "releaseDate": "2099-01-01"}),
    "POST /register": anybody(400, body={}), "POST /verify-email": anybody(400, body={}), "POST /resend-confirm": anybody(400, body={}),
    "POST /send-reset-password-link": anybody(400, body={}), "PUT /update-extra-info": known(200, body={"name": "Ann"}),
    "GET /verify-password": known(200, query="password=x"), "GET /username-taken": anybody(404, query="username=x"),
    "GET /email-taken": anybody(404, query="email=x"),
}) | below("/magic/system/magic", {
    "GET /users": only_root(200, query="limit=1"), "GET /users-count": only_root(200),
    "POST /users": only_root(400, body={"username": "x", "password": NEW}),
    "PUT /users": only_root(404, body={"username": NO_ONE, "password": NEW}), "DELETE /users": only_root(200, query=f"username={NO_ONE}"),
    "GET /roles": only_root(200, query="limit=1"), "GET /roles-count": only_root(200), "POST /roles": only_root(409, body={"name": "root"}),
    "PUT /roles": only_root(404, body={"name": NO_ONE}), "DELETE /roles": only_root(200, query=f"name={NO_ONE}"),
    "GET /users_roles": only_root(200, query="limit=1"), "GET /users_roles-count": only_root(200),
    "POST /users_roles": only_root(404, body={"role": "guest", "user": NO_ONE}),
    "DELETE /users_roles": only_root(200, query=f"role=guest&user={NO_ONE}"),
    "GET /users_extra": only_root(200, query="limit=1"), "GET /users_extra-count": only_root(200),
    "POST /users_extra": only_root(404, body={"type": "name", "value": "x", "user": NO_ONE}),
    "PUT /users_extra": only_root(404, body={"type": "name", "value": "x", "user": NO_ONE}),
    "DELETE /users_extra": only_root(200, query=f"type=name&user={NO_ONE}"),
}) | below("/magic/system/log", {
    "POST /log": known(200, body={"type": "info", "content": "x"}), "GET /list": only_root(200, query="max=1"),
    "GET /get": only_root(200, 404, query="id=1"), "GET /count": only_root(200),
}) | {"GET /magic/system/audit/list": Ask({"admin", "root"}, {200}, path="/magic/system/audit/list?max=1")} | {"GET /magic/modules/:module/:name": anybody(401, 404, path="/magic/modules/a/b")}


ROUTES = printed()


def test_every_route_says_who_may():
    """A new route belongs into the table: what is not allowed there is denied."""
    assert set(ROUTES) == set(TABLE)


def test_the_gateway_says_the_same():
    said = {"public": set(PEOPLE), "token": KNOWN, "owner|role=admin": OWN, "role=root": {"root"}, "role=admin": {"admin", "root"}}
    assert {route: said[who] for route, (_, who) in ROUTES.items()} == {route: row.may for route, row in TABLE.items()}


@pytest.mark.parametrize("route", ROUTES)
def test_who_may(route, people):
    for name in PEOPLE:
        judge(ROUTES[route][0], route, TABLE[route], people, name)


# ---- a row of routes.def that does not say who may ----
@pytest.mark.parametrize("who", ["", "ADMIN", "ROLE()", "ROLE", "public", "0"])
def test_a_route_without_a_rule_does_not_compile(tmp_path, who):
    source = pathlib.Path(__file__).resolve().parents[2]
    routes = tmp_path / "routing/routes.def"
    routes.parent.mkdir()
    for name in "router.c", "router.h", "routes.def":
        shutil.copy(source / "gateway/routing" / name, routes.parent)
    compile = ["gcc", "-std=gnu2x", "-fsyntax-only", "-Werror", "-I", ".", "-I", source / "gateway", "-I", source / "common", "-I", source,
               "routing/router.c"]
    assert subprocess.run(compile, cwd=tmp_path, capture_output=True).returncode == 0
    rows = routes.read_text()
    assert rows.count('"/api/businesses", BEARER, ') == 2
    routes.write_text(rows.replace('"/api/businesses", BEARER, ', f'"/api/businesses", {who}, ', 1))
    assert subprocess.run(compile, cwd=tmp_path, capture_output=True).returncode != 0


# ---- the same with rules ----
RULES = ("GET /api/businesses role=guest,clerk; GET /api/businesses/:id role=guest,clerk; POST /api/businesses role=clerk,admin;"
         "PATCH /api/businesses/:id owner|role=admin; PUT /api/businesses/:id owner; DELETE /api/businesses/:id owner|role=admin,clerk;"
         "GET /api/users/:id role=root; DELETE /api/users/:id role=root; POST /api/users role=admin")
RULED = {
    "GET /api/businesses": Ask({"guest", "root"}, {200}, path="/api/businesses?limit=1"),
    "GET /api/businesses/:id": Ask({"guest", "root"}, {200}, path=business),
    "POST /api/businesses": Ask({"admin", "root"}, {201}, body={"business": BUSINESS}),
    "PATCH /api/businesses/:id": Ask(OWN, {200}, body=CHANGE, path=business),
    "PUT /api/businesses/:id": Ask({"owner", "root"}, {200}, body=CHANGE, path=business),
    "DELETE /api/businesses/:id": Ask(OWN, {204}, path=business),
    "GET /api/users/:id": AskOfUser({"root"}, {200}),
    "DELETE /api/users/:id": AskOfUser({"root"}, {204}),
    "POST /api/users": Ask({"admin", "root"}, {422}, body={}),
    "PATCH /api/users/:id": TABLE["PATCH /api/users/:id"], "GET /check": TABLE["GET /check"],
}


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    with another_gateway(tmp_path_factory.mktemp("ruled"), guard_rules=RULES) as port:
        yield port


@pytest.mark.parametrize("route", RULED)
def test_who_may_by_rules(route, people, at):
    for name in PEOPLE:
        judge(ROUTES[route][0], route, RULED[route], people, name, at)


def test_a_refused_change_changes_nothing(people, at):
    made = create_business(people.users["owner"].token)
    path = f"/api/businesses/{made['id']}"
    for name in PEOPLE:
        if name not in ("owner", "admin", "root"):
            for verb, body in ("PATCH", {"business": {"name": "mine"}}), ("PUT", {"business": {"tag": ""}}), ("DELETE", None):
                assert ask(verb, path, body, people.tokens[name], at=at).status in (401, 403)
            assert post_json(path, {"_method": "DELETE"}, people.tokens[name], at=at).status in (401, 403)
    assert get(path, people.tokens["root"], at=at).json == {"data": made}


def test_anothers_object_is_forbidden_however_it_is_named(people, at):
    """In the path, in the body, or by a body that says it was one's own."""
    mine, theirs = (create_business(people.users[name].token) for name in ("owner", "other_owner"))
    token = people.tokens["owner"]
    for more in {"id": mine["id"]}, {"created_by": people.users["owner"].id}, {"owner_id": people.users["owner"].id}, {"owner_id": 0}:
        body = {"business": {"tag": "x"} | more} | more
        expect_detail(ask("PATCH", f"/api/businesses/{theirs['id']}", body, token, at=at), 403, "Forbidden")
    body = {"business": {"id": theirs["id"], "tag": "mine"}, "id": theirs["id"]}
    assert expect_status(ask("PATCH", f"/api/businesses/{mine['id']}", body, token, at=at), 200).json["data"]["id"] == mine["id"]
    assert get(f"/api/businesses/{theirs['id']}", people.tokens["root"]).json == {"data": theirs}


def test_what_does_not_exist_is_not_anothers(people, at):
    for name in "owner", "admin", "root":
        for verb in "PATCH", "DELETE":
            expect_detail(ask(verb, "/api/businesses/9007199254740993", CHANGE, people.tokens[name], at=at), 404, "Not Found")
        expect_detail(ask("PATCH", "/api/businesses/x", CHANGE, people.tokens[name], at=at), 400, "Bad Request")


def test_a_role_given_and_taken_counts_at_once(at):
    user = User()
    for _ in range(3):
        expect_detail(post_json("/api/businesses", {"business": BUSINESS}, user.token, at=at), 403, "Forbidden")
        give_role(user.id, "admin")
        expect_status(post_json("/api/businesses", {"business": BUSINESS}, user.token, at=at), 201)
        take_role(user.id, "admin")


# ---- what comes first ----
def test_what_is_wrong_with_a_request_is_not_told_to_strangers(people):
    """Only what no route had to be found for comes before the token."""
    for path in "/api/businesses/1", "/api/businesses/x", "/api/businesses/9007199254740993":
        for body in {"business": {"name": ""}}, {"business": {}}, {}, {"business": 5}:
            expect_unauthenticated(ask("PUT", path, body))
            expect_invalid_token(ask("PUT", path, body, people.tokens["disabled"]))
    for path in people.users["owner"].path, "/api/users/x", "/api/users/9007199254740993":
        for body in {"email": "x"}, {"user": 5}, {"email": people.users["admin"].email}:
            expect_no_token(ask("PUT", path, body))
            expect_forbidden(ask("PUT", "/api/users/x", {"email": "x"}, people.tokens["user"]))
    expect_detail(ask("PUT", "/api/businesses/1", b"{"), 400, "Bad Request")


def test_nobody_gives_himself_a_role(people):
    """Neither at sign-up, on any surface, nor by a change of one's own record."""
    more = {"role": "root", "roles": ["root", "admin"], "role_id": 1, "users_roles": [{"role": "root"}], "meta": {"role": "root"}}
    email = new_email()
    expect_status(post_json("/api/users/signup", {"user": {"email": email, "password": PASSWORD} | more} | more), 201)
    account = Account(roles="root", role="root", meta={"roles": "root"})
    user = User(**more)
    expect_status(change(user, {"user": more} | more), 200)
    for token in sign_in(email), account.access, user.token, user.sign_in():
        expect_forbidden(get(people.users["root"].path, token))
    mails = ", ".join(f"'{address}'" for address in (email, account.email, user.email))
    assert sql(f"SELECT string_agg(roles, '') FROM auth.users WHERE email IN ({mails})") == ""


# ---- what is stored comes back as it was sent ----
@pytest.mark.parametrize("field, text", [
    ("name", "x" * 255), ("name", "é" * 255), ("tag", "😀" * 255), ("description", "x" * 65536), ("description", "𝄞" * 65536),
    ("name", "<script>alert(1)</script>&amp;\"'"), ("tag", "IT, Software,,; x"), ("name", "\u202eevil\u202c"), ("description", "שלום עולם \u200f(1)"),
    ("name", "'; DROP TABLE directory.businesses; --"), ("description", "a\r\nb\tc\u0001\u007f\u2028"), ("name", " x "), ("tag", "%s%n{}$1"),
    ("name", "\ufffe\uffff\U0010ffff"), ("description", "\\u0041\\\"")])
def test_a_business_is_kept_byte_for_byte(people, field, text):
    made = create_business(people.tokens["user"], **{field: text})
    assert made[field] == text and get(f"/api/businesses/{made['id']}", people.tokens["user"]).json["data"][field] == text


@pytest.mark.parametrize("field, length, most", [("name", 256, 255), ("tag", 256, 255), ("description", 65537, 65536)])
def test_a_business_that_is_too_long(people, field, length, most):
    for text in "x" * length, "é" * length:
        answer = post_json("/api/businesses", {"business": BUSINESS | {field: text}}, people.tokens["user"])
        expect_errors(answer, **{field: [f"should be at most {most} character(s)"]})
