"""A token is good only while its session lives: ending sessions over RPC, as other services do, is felt by the next request."""
import pathlib, sys
import pytest
import house

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
from client import Client, RpcError  # noqa: E402

PORTS = dict(line.split("=") for line in (house.VAR / "ports").read_text().split())


def call_auth(method, body, worker=1):
    keys = house.VAR / "keys"
    client = Client(f"tcp://127.0.0.1:{PORTS[f'auth-{worker}']}", keys / "gateway.key", keys / "servers/auth-svc.pub")
    try:
        return client.call(method, body)
    finally:
        client.close()


def expect_dead(token):
    for _ in range(8):  # every worker is asked in turn
        house.expect_invalid_token(house.get("/api/businesses?limit=1", token))


def expect_alive(token):
    for _ in range(4):
        house.expect_status(house.get("/api/businesses?limit=1", token), 200)


TOKEN, USER_ID = 1, 1  # keys of check_token_request and user_id_request


def test_t33_a_signed_out_session_is_dead_on_every_worker():
    email = house.new_email()
    here, there = house.sign_up(email), house.sign_in(email)
    expect_alive(here)
    expect_alive(there)
    call_auth("auth.SignOut", {TOKEN: here})
    expect_dead(here)
    expect_alive(there)  # each sign-in is its own session


def test_signing_out_twice_is_no_fault():
    token = house.sign_up()
    call_auth("auth.SignOut", {TOKEN: token})
    call_auth("auth.SignOut", {TOKEN: token}, worker=2)
    expect_dead(token)


def test_t35_a_forged_token_signs_nobody_out():
    token = house.sign_up()
    forged = house.make_token(house.claims_of(token), key=b"x" * 64)
    call_auth("auth.SignOut", {TOKEN: forged})
    call_auth("auth.SignOut", {TOKEN: "no token at all"})
    expect_alive(token)


def test_t20_a_deleted_user_is_out_of_every_session():
    email = house.new_email()
    tokens = [house.sign_up(email), house.sign_in(email), house.sign_in(email)]
    call_auth("auth.DeleteUser", {USER_ID: int(house.claims_of(tokens[0])["sub"])})
    for token in tokens:
        expect_dead(token)
    house.expect_status(house.post_json("/api/users/signin", {"email": email, "password": house.PASSWORD}), 401)
    house.sign_up(email)  # the address is free again


def test_the_check_over_rpc_names_the_user():
    email = house.new_email()
    token = house.sign_up(email)
    principal = call_auth("auth.CheckToken", {TOKEN: token}, worker=2)
    assert principal[1] == int(house.claims_of(token)["sub"]) and principal[2] == house.claims_of(token)["sid"]
    with pytest.raises(RpcError) as refused:
        call_auth("auth.CheckToken", {TOKEN: token[:-1]})
    assert refused.value.code == "UNAUTHENTICATED"


@pytest.mark.parametrize("path", ["/api/businesses/0", "/api/businesses/-1", "/api/businesses/9223372036854775808", "/api/businesses/" + "9" * 400])
def test_u09_ids_nobody_has(token, path):
    house.expect_status(house.get(path, token), 404)


@pytest.mark.parametrize("path", ["/api/businesses/+1", "/api/businesses/01", "/api/businesses/1e3", "/api/businesses/1.0", "/api/businesses/new", "/api/businesses/%31"])
def test_u09_ids_that_are_none(token, path):
    house.expect_status(house.get(path, token), 400)


@pytest.mark.parametrize("query", ["limit=-1", "limit=0", "limit=2147483648", "limit=1e9", "limit=", "after=-1", "after=x"])
def test_s15_limits_of_a_list(token, query):
    house.expect_status(house.get(f"/api/businesses?{query}", token), 400)
