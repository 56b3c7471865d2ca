"""Tokens that must not pass, signed with the running house's own keys wherever that could make a difference: those of every door."""
import base64, json, time
import pytest
from house import *


def opens(token):
    """Whether it is let in; otherwise the answer must be the one for invalid tokens."""
    answer = get("/api/businesses?limit=1", token)
    if answer.status != 200:
        expect_invalid_token(answer)
    return answer.status == 200


class Door:
    """A door, a living token of it, and the means to make more."""

    def __init__(self, name, user_id):
        self.name, (self.alg, self.names), self.key = name, JWT_DOORS[name], door_key(name)
        self.token = issue(name, user_id)
        self.claims = claims_of(self.token)

    def make(self, claims, header=None, key=None, hash=None):
        return make_token(claims, header or {"alg": self.alg, "typ": "JWT"}, key or self.key, hash or self.alg)


@pytest.fixture(scope="session")
def doors(token):
    user_id = int(claims_of(token)["sub"])
    return {name: Door(name, user_id) for name in JWT_DOORS}


@pytest.fixture(params=JWT_DOORS)
def door(doors, request):
    return doors[request.param]


def text(claims):
    return json.dumps(claims, separators=(",", ":"))


def test_our_own_signature_opens(door):
    assert opens(door.token) and opens(door.make(door.claims))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_no_algorithm(door, alg):
    header, payload = unpadded(text({"alg": alg, "typ": "JWT"}).encode()), unpadded(text(door.claims).encode())
    assert not opens(f"{header}.{payload}.")
    assert not opens(door.make(door.claims, header={"alg": alg, "typ": "JWT"}))


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_another_algorithm_with_the_right_key(door, alg):
    if alg == door.alg:
        return
    assert not opens(door.make(door.claims, header={"alg": alg, "typ": "JWT"}, hash=alg))
    assert not opens(door.make(door.claims, hash=alg))
    assert not opens(door.make(door.claims, header={"alg": alg, "typ": "JWT"}))


@pytest.mark.parametrize("extra", [{"kid": "../../dev/null"}, {"kid": "' OR 1=1 --"}, {"kid": "a\0b"}, {"kid": "k" * 3000}, {"kid": ["a"]}, {"kid": ""},
                                   {"jku": "http://127.0.0.1/"}, {"x5u": "http://127.0.0.1/"}, {"jwk": {"kty": "oct", "k": "AA"}}, {"x5c": ["AA"]},
                                   {"crit": []}, {"crit": ["exp"]}, {"b64": False}, {"cty": "JWT"}])
def test_headers_that_say_more(door, extra):
    assert not opens(door.make(door.claims, header={"alg": door.alg, "typ": "JWT", **extra}))


@pytest.mark.parametrize("header", ['{"typ":"JWT","alg":"ALG"}', '{"alg": "ALG","typ":"JWT"}', '{"alg":"ALG"}', '{"alg":"ALG","typ":"at+jwt"}',
                                    '{"alg":"ALG","typ":"JWE"}', '{"alg":"none","alg":"ALG","typ":"JWT"}', '{"alg":"ALG","typ":"JWT"} ', "{}", "[]", " "])
def test_headers_written_differently(door, header):
    assert not opens(door.make(door.claims, header=header.replace("ALG", door.alg)))


def test_base64_written_differently(door):
    header, payload, signature = door.token.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 32 and 64 bytes end in a character of which only some bits count: another with the same ones is the same signature to a lenient reader
    twin = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    pad = "=" * (-len(signature) % 4)
    assert base64.urlsafe_b64decode(twin + pad) == base64.urlsafe_b64decode(signature + pad)
    for other in (f"{header}.{payload}.{twin}", door.token + "==", door.token + "=", f"{header}=.{payload}.{signature}", f"{header}.{payload}.{signature}."):
        assert not opens(other)
    plain = signature.replace("-", "+").replace("_", "/")
    if plain != signature:
        assert not opens(f"{header}.{payload}.{plain}")


def test_signatures(door):
    header, payload, signature = door.token.split(".")
    raw = padded(signature)
    others = [raw[:-1], b"", raw + b"\0", raw[:32 if len(raw) > 32 else 16], bytes([raw[0] ^ 1]) + raw[1:], raw[:-1] + bytes([raw[-1] ^ 1]), b"\0" * len(raw)]
    for other in others:
        assert not opens(f"{header}.{payload}.{unpadded(other)}")
    assert not opens(f"{header}.{payload}.{sign_up().split('.')[2]}")
    assert not opens(door.make(door.claims, key=b"another key of at least sixty-four bytes, as long as it has to be...."))
    assert not opens(door.make(door.claims, key=base64.urlsafe_b64decode(secret() + b"==")))
    assert not opens(door.make(door.claims, key=door.key[:-1]))


def changed(claims, **members):
    out = {**claims, **members}
    return {name: value for name, value in out.items() if value is not ...}


NOW = int(time.time())


@pytest.mark.parametrize("members", [{"exp": NOW - 1}, {"exp": ...}, {"exp": str(NOW + 1000)}, {"exp": NOW + 1000.5}, {"exp": -1}, {"exp": 2**63}, {"exp": 1e300},
                                     {"exp": None}, {"exp": [NOW + 1000]}, {"exp": True}, {"nbf": NOW + 1000}, {"nbf": ...}, {"iat": ...}, {"iat": "1"},
                                     {"sid": ...}, {"sid": "x"}, {"sid": 1}, {"sid": ""}, {"sid": "a" * 64}, {"sid": "../x"}, {"sid": "a\r\nb"}])
def test_claims_that_are_not_ours(door, members):
    assert not opens(door.make(changed(door.claims, **members)))


# What some doors say and others do not: tried where it is said.
@pytest.mark.parametrize("members", [{"aud": "other"}, {"aud": ["busi_api"]}, {"aud": ...}, {"aud": "busi_api2"}, {"aud": "BUSI_API"}, {"aud": "~> 4"},
                                     {"iss": "other"}, {"iss": ...}, {"iss": "busi_ap"}, {"iss": "AshAuthentication v4.0.5"}, {"iss": ["busi_api"]},
                                     {"jti": ...}, {"jti": ""}, {"jti": "6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69"}, {"jti": 1},
                                     {"typ": "refresh"}, {"typ": "reset"}, {"typ": ...}, {"typ": "Access"},
                                     {"purpose": "sign_in"}, {"purpose": "revocation"}, {"purpose": ...}, {"purpose": "User"},
                                     {"sub": "1e3"}, {"sub": "abc"}, {"sub": 1}, {"sub": "9223372036854775808"}, {"sub": "-1"}, {"sub": ...}, {"sub": "0"},
                                     {"sub": "user?id=9223372036854775808"}, {"sub": "user?id=-1"}, {"sub": "user?id="}, {"sub": "user?id=1&id=2"}])
def test_claims_of_the_door_that_are_not_ours(door, members):
    if set(members) <= door.names:
        assert not opens(door.make(changed(door.claims, **members)))


# Roles are the session's, whatever a ticket says of them (only we can sign one, so what it says was true once).
@pytest.mark.parametrize("role", ["root", ["root", "admin"], {"root": True}, "admin,root", "ROOT", 1])
def test_roles_a_token_claims_give_none(door, role):
    forged = door.make({**door.claims, "role": role})
    assert opens(forged)
    with worker("auth") as auth:
        assert 12 not in auth.call("auth.CheckToken", {1: forged}) or not auth.call("auth.CheckToken", {1: forged})[12]
    assert get("/magic/system/magic/users", forged).status == 401


def test_the_session_of_another_user(door):
    user_id = int(claims_of(sign_up())["sub"])
    other = claims_of(issue(door.name, user_id))
    if "sub" in door.names:
        assert not opens(door.make({**door.claims, "sub": other["sub"]}))
        assert not opens(door.make({**door.claims, "sid": other["sid"]}))
    assert opens(door.token)


def test_a_session_of_another_door(doors, door):
    """Well signed by the one, of a session of the other: not even with all the other says."""
    for other in doors.values():
        if other is not door:
            assert not opens(door.make({**door.claims, "sid": other.claims["sid"]}))
            assert not opens(door.make(other.claims))
            assert not opens(door.make({**other.claims, **door.claims, "sid": other.claims["sid"]}))
            assert opens(other.token)


def test_claims_twice_or_no_object(door):
    payload = text(door.claims)
    for other in (payload[:-1] + ',"exp":4000000000}', '{"sid":"1",' + payload[1:], payload + " x", "[" + payload + "]", "1", "", "{}",
                  payload.replace('"sid"', '"sid\\u0000"')):
        assert not opens(door.make(other))


def test_payload_that_is_no_text(door):
    payload = text(door.claims)[:-1].encode() + b',"x":"\xff"}'
    signed = unpadded(text({"alg": door.alg, "typ": "JWT"}).encode()) + "." + unpadded(payload)
    signature = hmac.new(door.key, signed.encode(), HASHES[door.alg]).digest()
    assert not opens(signed + "." + unpadded(signature))


def test_a_token_in_other_case(door):
    assert not opens(door.token.swapcase())


def test_no_answer_shows_a_token(door):
    for answer in get("/api/businesses?limit=1", door.token), get("/nowhere", door.token), get("/api/businesses", door.token[:-1]):
        assert door.token[-20:-1].encode() not in answer.raw and door.token[-20:-1] not in str(answer.headers)


@pytest.mark.parametrize("token_sent", ["a", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "a b", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9", "a" * 4000,
                                        "a" * 7000, "\x80\xff", "%00", "null"])
def test_what_is_no_token(token_sent):
    assert not opens(token_sent)


# ---- tokens that were good ----
def test_a_token_is_as_good_as_its_session(token, business):
    path, email = f"/api/businesses/{business['id']}", new_email()
    first, second = sign_up(email), sign_in(email)
    for mine in first, second:
        for _ in range(3):
            expect_status(get(path, mine), 200)
    with worker("auth") as auth:
        auth.call("auth.SignOut", {1: first})
    for _ in range(3):
        expect_invalid_token(get(path, first))
        expect_invalid_token(ask("DELETE", path, token=first))
        expect_status(get(path, second), 200)


def test_the_tokens_of_a_deleted_user(business):
    path, email = f"/api/businesses/{business['id']}", new_email()
    tokens = [sign_up(email), sign_in(email)]
    for mine in tokens:
        expect_status(get(path, mine), 200)
    with worker("auth") as auth:
        assert auth.call("auth.DeleteUser", {1: int(claims_of(tokens[0])["sub"])})[1] == 1
    for mine in tokens:
        expect_invalid_token(get(path, mine))
    expect_detail(post_json("/api/users/signin", {"email": email, "password": PASSWORD}), 401, "Unauthorized")
    sign_up(email)
    expect_invalid_token(get(path, tokens[0]))


# ---- further tokens ----
def test_revoking_needs_a_signature_and_no_life(door):
    """A forged token ends nothing; one that has expired but is ours ends its session."""
    user_id = int(claims_of(sign_up())["sub"])
    mine = issue(door.name, user_id)
    claims = claims_of(mine)
    expired = {**claims, "iat": claims["iat"] - 9000, "nbf": claims["nbf"] - 9000, "exp": claims["iat"] - 8000}
    with worker("auth") as auth:
        for forged in (door.make(claims, key=b"x" * 64), mine[:-2], make_token(claims, {"alg": "none", "typ": "JWT"}), door.make(changed(claims, sid=...)),
                       *(make_token(claims, key=door_key(name), hash=alg, header={"alg": alg, "typ": "JWT"})
                         for name, (alg, _) in JWT_DOORS.items() if name != door.name)):
            auth.call("auth.SignOut", {1: forged})
            assert opens(mine)
        assert not opens(door.make(expired))
        auth.call("auth.SignOut", {1: door.make(expired)})
    expect_invalid_token(get("/api/businesses?limit=1", mine))


def test_a_renewed_token(door):
    mine = issue(door.name, int(claims_of(sign_up())["sub"]), '{"plan":"gold"}')
    assert opens(mine)  # every gateway that is asked remembers it
    with worker("auth") as auth:
        reply = auth.call("auth.RenewToken", {1: mine})
        renewed = claims_of(reply[5])
        assert renewed["sid"] == claims_of(mine)["sid"] == reply[2] and renewed["plan"] == "gold"
        assert opens(reply[5])
        assert opens(mine) == (door.name == "magic")  # Magic's old tickets stay good
        auth.call("auth.SignOut", {1: mine})
    assert not opens(reply[5])


def test_refresh_tokens_are_no_credential():
    mine = issue("guardian", int(claims_of(sign_up())["sub"]))
    with worker("auth") as auth:
        refresh = auth.call("auth.ExchangeToken", {1: mine, 2: "guardian", 3: "guardian_refresh"})[5]
        assert claims_of(refresh)["typ"] == "refresh" and opens(mine) and not opens(refresh)
        answer = ask("GET", "/check", headers={"access-token": refresh})
        assert answer.status == 401
        expect_json(ask("GET", "/refresh", headers={"refresh-token": refresh}), 400, {"error": "refresh token expired"})
        auth.call("auth.SignOut", {1: refresh})
        assert opens(mine)
        again = auth.call("auth.ExchangeToken", {1: refresh, 2: "guardian_refresh", 3: "guardian"})[5]
        assert opens(again) and opens(mine)
        for wrong in ({1: refresh, 2: "guardian", 3: "guardian"}, {1: mine, 2: "guardian_refresh", 3: "guardian"}, {1: mine, 2: "guardian", 3: "busi"}):
            with pytest.raises(Exception, match="incorrect_token_type"):
                auth.call("auth.ExchangeToken", wrong)
        auth.call("auth.SignOut", {1: again})
        with pytest.raises(Exception, match="invalid_token"):
            auth.call("auth.ExchangeToken", {1: refresh, 2: "guardian_refresh", 3: "guardian"})
    assert not opens(again) and not opens(mine)


def test_issued_tokens_live_as_long_as_was_asked(door):
    user_id = int(claims_of(sign_up())["sub"])
    claims = claims_of(issue(door.name, user_id, lifetime_ms=90_000))
    assert claims["exp"] - claims["iat"] == 90
    short = issue(door.name, user_id, lifetime_ms=2000)  # from the begin of this second
    assert opens(short)
    with worker("auth") as auth:
        further = auth.call("auth.RenewToken", {1: issue(door.name, user_id, lifetime_ms=90_000)})
    assert opens(further[5]) and 80 < claims_of(further[5])["exp"] - time.time() <= 90 >= further[9]
    time.sleep(2.1)
    assert not opens(short)
