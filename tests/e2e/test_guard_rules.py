"""Routes that ask more of a token by configuration, as AccessPass' plugs do: a second gateway with such rules."""
import pytest
from accesspass import *
from mails import confirm_id
from test_config import check as check_config

RULES = ('POST /api/businesses confirmed meta.role=clerk; GET /api/businesses; * /api/businesses/:id meta.role=clerk;'
         'GET / confirmed; POST /shop/forgot_username meta.level=3 meta.note="a; b"')


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    with another_gateway(tmp_path_factory.mktemp("guarded"), guard_rules=RULES, surface_accesspass_prefix="/shop") as port:
        yield port


@pytest.fixture(scope="module")
def clerk():
    return Account(meta={"role": "clerk"})


@pytest.fixture(scope="module")
def confirmed(clerk):
    """The same account's token once its address is confirmed."""
    return expect_record(confirm(confirm_id(clerk.email)))["access_token"]


def expect_plain(answer, text):
    expect_status(answer, 401)
    assert answer.raw.decode() == text and answer.headers["content-type"] == "text/plain; charset=utf-8", answer
    assert answer.headers["www-authenticate"] == "Bearer", answer


def create(at, token):
    return ask("POST", "/api/businesses", {"business": BUSINESS}, at=at, headers={"access-token": token})


def test_a_route_that_wants_a_confirmed_address(at, clerk, confirmed):
    expect_plain(create(at, clerk.access), "email address not confirmed")
    expect_status(create(at, confirmed), 201)
    expect_plain(get("/", at=at, headers={"access-token": clerk.access}), "email address not confirmed")
    assert get("/", confirmed, at=at).raw == b"BusiApi!"


def test_a_route_that_wants_a_role(at, clerk):
    path = f"/api/businesses/{create_business(clerk.access)['id']}"
    for answer in (get(path, clerk.access, at=at), get(path, at=at, headers={"access-token": clerk.access}),
                   ask("PUT", path, {"business": {"tag": "x"}}, clerk.access, at=at)):
        expect_status(answer, 200)
    for meta in ({}, {"role": "Clerk"}, {"role": ["clerk"]}, {"a": {"role": "clerk"}}):
        other = Account(meta=meta)
        for method in ("GET", "HEAD", "PATCH", "DELETE"):
            answer = ask(method, path, at=at, headers={"access-token": other.access})
            expect_plain(answer, "" if method == "HEAD" else "unauthorized")
    expect_status(ask("DELETE", path, token=clerk.access, at=at), 204)


def test_whoever_has_no_good_token_is_told_in_plain_text(at, clerk):
    for headers in ({}, {"access-token": "x" * 48}, {"access-token": clerk.refresh}, {"authorization": "Bearer x"}, {"authorization": "Basic x"},
                    [("access-token", clerk.access)] * 2):
        expect_plain(get("/api/businesses", at=at, headers=headers), "unauthorized")
    expect_status(get("/api/businesses?limit=1", at=at, headers={"access-token": clerk.access}), 200)


def test_values_have_types(at):
    ask_for = lambda **meta: ask("POST", "/shop/forgot_username", {}, at=at, headers={"access-token": Account(meta=meta).access})
    expect_status(ask_for(level=3, note="a; b"), 200)
    expect_plain(ask_for(level="3", note="a; b"), "unauthorized")
    expect_plain(ask_for(level=3, note="a"), "unauthorized")


def test_a_seen_token_is_no_way_around(at, clerk):
    """What a handler answered while the token was being checked does not get out."""
    business = create_business(clerk.access)
    other = Account()
    for _ in range(20):
        expect_status(get("/api/businesses?limit=1", other.access, at=at), 200)
        answer = get(f"/api/businesses/{business['id']}", other.access, at=at)
        expect_plain(answer, "unauthorized")
        assert "location" not in answer.headers and "link" not in answer.headers


def test_both_kinds_of_conditions_on_one_route(tmp_path, clerk, confirmed):
    """What AccessPass' plugs ask for is worded as they do, a role as the surface does."""
    with another_gateway(tmp_path, guard_rules="POST /api/businesses confirmed role=clerk; GET /check role=clerk") as at:
        expect_plain(create(at, clerk.access), "email address not confirmed")
        expect_plain(ask("POST", "/api/businesses", {}, at=at), "unauthorized")
        expect_detail(create(at, confirmed), 403, "Forbidden")
        expect_unauthorized(get("/check", at=at, headers={"access-token": clerk.access}))
        expect_unauthorized(get("/check", at=at))


def test_other_routes_are_as_ever(at, clerk):
    expect_unauthorized(get("/shop/check", at=at))
    expect_status(get("/shop/check", at=at, headers={"access-token": clerk.access}), 200)
    expect_detail(get("/check", at=at), 404, "Not Found")
    expect_unauthenticated(get("/api/businesses"))


@pytest.mark.parametrize("rules, culprit", [("POST /api/busines confirmed", "POST /api/busines"), ("GET /api/businesses confirm", "confirm"),
                                            ("FETCH / confirmed", "FETCH /"), ("GET / meta.role", "meta.role"), ("GET / meta.a=b x", "x"),
                                            ("GET / role=", "role="), ("GET / role=a|b", "role=a|b"), ("GET / owner", "GET /"),
                                            ("* /api/businesses/:id owner", "* /api/businesses/:id")])
def test_rules_that_make_no_sense(tmp_path, rules, culprit):
    code, said = check_config(tmp_path, "gateway", "gateway", f"guard_rules = {rules}")
    assert code == 78 and f"'{culprit}'" in said and said.startswith("BUSI_GUARD_RULES: "), said
