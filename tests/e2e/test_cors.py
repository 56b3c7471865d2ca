"""Which pages of other origins may read answers: those named, byte for byte, and never with cookies."""
import pytest
from accesspass import *
from test_config import check as check_config

APP, LOCAL = "https://app.example.com", "http://localhost:3000"
HEADERS = "Authorization, Content-Type, Idempotency-Key, access-token, refresh-token"


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    with another_gateway(tmp_path_factory.mktemp("cors"), cors_origins=f"{APP}, {LOCAL}") as port:
        yield port


def cors_of(answer):
    return {name.lower(): value for name, value in answer.headers.items() if name.lower().startswith("access-control-")}


def preflight(path, origin, method="PUT", at=None, **headers):
    asked = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": "authorization,content-type"}
    return ask("OPTIONS", path, headers=asked | headers, at=at)


def expect_marked(answer, origin):
    cors = cors_of(answer)
    assert cors.pop("access-control-allow-origin") == origin and answer.headers["vary"] == "Origin", answer
    assert cors.keys() == {"access-control-expose-headers"}
    exposed = cors["access-control-expose-headers"].split(", ")
    assert {"X-Request-Id", "Retry-After", "Link", "RateLimit", "RateLimit-Policy"} <= set(exposed)


def expect_unmarked(answer):
    assert cors_of(answer) == {}, answer
    return answer


@pytest.mark.parametrize("path, methods", [("/api/businesses", "GET, HEAD, POST"), ("/api/businesses/1", "GET, HEAD, PUT, PATCH, DELETE"),
                                           ("/api/users/sign_in", "POST"), ("/api/users/7", "GET, HEAD, PUT, PATCH, DELETE"), ("/login", "POST"),
                                           ("/check", "GET, HEAD"), ("//api//businesses/", "GET, HEAD, POST")])
def test_a_browser_asks_first(at, path, methods):
    for origin in APP, LOCAL:
        answer = expect_status(preflight(path, origin, at=at), 204)
        assert cors_of(answer) == {"access-control-allow-origin": origin, "access-control-allow-methods": methods,
                                   "access-control-allow-headers": HEADERS, "access-control-max-age": "600"}
        assert answer.raw == b"" and answer.headers["vary"] == "Origin"


def test_answers_say_who_may_read_them(at, token):
    marked = [get("/api/businesses?limit=1", token, at=at, headers={"origin": APP}), get("/api/businesses", at=at, headers={"origin": APP}),
              get("/api/businesses/x", token, at=at, headers={"origin": APP}), post_json("/api/users/sign_in", {}, at=at, headers={"origin": APP}),
              ask("POST", "/api/users", b"{", at=at, headers={"origin": APP}), get("/check", at=at, headers={"origin": APP}),
              ask("DELETE", "/login", at=at, headers={"origin": APP}), get("/nowhere", at=at, headers={"origin": APP}),
              ask("POST", "/api/users", b"x" * 65537, at=at, headers={"origin": APP})]
    assert [answer.status for answer in marked] == [200, 401, 400, 400, 400, 401, 405, 404, 413]
    for answer in marked:
        expect_marked(answer, APP)


STRANGERS = ["null", "*", "https://evil.com", "https://app.example.com.evil.com", "https://evilapp.example.com", "https://xapp.example.com",
             "https://appxexample.com", "https://app.example.co", "https://app.example.comx", "https://app.example.com:443",
             "https://app.example.com/", "http://app.example.com", "https://APP.example.com", "https://b.app.example.com", "https://example.com",
             "app.example.com", "https://app.example.com, https://app.example.com", "https://app.example.com https://evil.com", "http://localhost:30000",
             "http://localhost", "https://app.example.com%00.evil.com", "https://app.example.com@evil.com", "file://", "chrome-extension://abc"]


@pytest.mark.parametrize("origin", STRANGERS)
def test_strangers_may_not(at, token, origin):
    """They are answered as if there was no such thing; their browsers then show them nothing."""
    expect_status(expect_unmarked(preflight("/api/businesses", origin, at=at)), 404)
    expect_status(expect_unmarked(preflight("/login", origin, at=at)), 405)
    answer = expect_status(expect_unmarked(get("/api/businesses?limit=1", token, at=at, headers={"origin": origin})), 200)
    assert answer.headers["vary"] == "Origin", "a cache must not show them what others asked for"


def test_never_with_cookies_and_never_for_all(at, token):
    for answer in (preflight("/api/businesses", APP, at=at), get("/api/businesses", token, at=at, headers={"origin": APP, "cookie": "a=b"}),
                   get("/api/businesses", token, at=at)):
        assert answer.headers["access-control-allow-credentials"] is None and answer.headers["access-control-allow-origin"] != "*", answer


def test_what_is_no_question_is_none(at):
    expect_unmarked(expect_status(ask("OPTIONS", "/api/businesses", at=at), 404))
    expect_status(ask("OPTIONS", "/api/businesses", headers={"origin": APP}, at=at), 404)
    expect_status(ask("OPTIONS", "/nowhere", headers={"origin": APP, "access-control-request-method": "GET"}, at=at), 404)
    expect_status(ask("OPTIONS", "/api/businesses", headers=[("origin", APP), ("origin", APP), ("access-control-request-method", "GET")], at=at), 404)


def test_pages_are_for_people(at):
    expect_unmarked(preflight("/confirm/x", APP, "POST", at=at))
    for answer in get("/confirm/x", at=at, headers={"origin": APP}), get("/password-reset/x", at=at, headers={"origin": APP}):
        assert expect_unmarked(answer).headers["vary"] != "Origin"


def test_nobody_is_named_by_default(token):
    for answer in preflight("/api/businesses", APP), get("/api/businesses?limit=1", token, headers={"origin": APP}):
        assert expect_unmarked(answer).headers["vary"] is None


@pytest.mark.parametrize("origins, culprit", [("*", "*"), ("null", "null"), ("https://a.com/", "https://a.com/"), ("https://A.com", "https://A.com"),
                                              ("https://a.com, b.com", "b.com"), ("https://*.a.com", "https://*.a.com")])
def test_origins_no_browser_sends(tmp_path, origins, culprit):
    code, said = check_config(tmp_path, "gateway", "gateway", f"cors_origins = {origins}")
    assert code == 78 and f"'{culprit}'" in said and said.startswith("BUSI_CORS_ORIGINS: "), said


@pytest.mark.parametrize("path, body", [("/api/users", {"email": "{email}", "password": PASSWORD}), ("/api/users/signup", {"user": {"email": "{email}", "password": PASSWORD}}),
                                        ("/register", {"username": "crossing", "email": "{email}", "password": PASSWORD, "password_confirm": PASSWORD})])
def test_json_that_calls_itself_text_is_not_read(path, body):
    """What a page of another origin may send without asking first carries no JSON."""
    email = new_email()
    sent = json.dumps(body).replace("{email}", email).encode()
    for kind in "text/plain", "text/plain;charset=utf-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "":
        answer = ask("POST", path, sent, headers={"content-type": kind, "origin": "https://evil.com", "sec-fetch-site": "cross-site"})
        assert answer.status in (400, 415, 422), answer
    assert sql(f"SELECT count(*) FROM auth.users WHERE email = '{email}'") == "0"


def test_a_business_is_not_written_by_a_page_without_a_token(token):
    """There is no cookie that would do for one."""
    for headers in {"cookie": f"ticket={token}; access_token={token}; guardian_default_token={token}"}, {"cookie": "Authorization=Bearer " + token}:
        expect_unauthenticated(ask("POST", "/api/businesses", b"business[name]=x", headers=headers | {"content-type": "application/x-www-form-urlencoded"}))
