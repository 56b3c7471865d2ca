"""Tokens that must not pass, signed with the running house's own key wherever that could make a difference."""
import base64, json, time
import pytest
from house import *

GOOD = '{"alg":"HS512","typ":"JWT"}'


def opens(token):
    """Whether it is let in; otherwise the answer must be the one for invalid tokens."""
    answer = get("/api/businesses?limit=1", token)
    if answer.status != 200:
        expect_invalid_token(answer)
    return answer.status == 200


@pytest.fixture
def claims(token):
    return claims_of(token)


def text(claims):
    return json.dumps(claims, separators=(",", ":"))


def test_our_own_signature_opens(claims):
    assert opens(make_token(claims))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE"])
def test_no_algorithm(claims, alg):
    header, payload = unpadded(text({"alg": alg, "typ": "JWT"}).encode()), unpadded(text(claims).encode())
    assert not opens(f"{header}.{payload}.")
    assert not opens(make_token(claims, header={"alg": alg, "typ": "JWT"}))


@pytest.mark.parametrize("alg", ["HS256", "HS384"])
def test_another_algorithm_with_the_right_key(claims, alg):
    assert not opens(make_token(claims, header={"alg": alg, "typ": "JWT"}, hash=alg))
    assert not opens(make_token(claims, hash=alg))


@pytest.mark.parametrize("extra", [{"kid": "../../dev/null"}, {"kid": "' OR 1=1 --"}, {"kid": ["a"]}, {"jku": "http://127.0.0.1/"},
                                   {"x5u": "http://127.0.0.1/"}, {"jwk": {"kty": "oct", "k": "AA"}}, {"x5c": ["AA"]}, {"crit": []},
                                   {"crit": ["exp"]}, {"b64": False}, {"cty": "JWT"}])
def test_headers_that_say_more(claims, extra):
    assert not opens(make_token(claims, header={"alg": "HS512", "typ": "JWT", **extra}))


@pytest.mark.parametrize("header", ['{"typ":"JWT","alg":"HS512"}', '{"alg": "HS512","typ":"JWT"}', '{"alg":"HS512"}', '{"alg":"HS512","typ":"at+jwt"}',
                                    '{"alg":"HS512","typ":"JWE"}', '{"alg":"none","alg":"HS512","typ":"JWT"}', '{"alg":"HS512","typ":"JWT"} ', "{}", "[]", ""])
def test_headers_written_differently(claims, header):
    assert not opens(make_token(claims, header=header))


def test_base64_written_differently(token):
    header, payload, signature = token.split(".")
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes end in a character of which only 2 bits count: another with the same two is the same signature to a lenient reader
    twin = signature[:-1] + last[last.index(signature[-1]) ^ 1]
    assert base64.urlsafe_b64decode(twin + "==") == base64.urlsafe_b64decode(signature + "==")
    for other in (f"{header}.{payload}.{twin}", token + "==", token + "=", f"{header}=.{payload}.{signature}", f"{header}.{payload}.{signature}."):
        assert not opens(other)
    plain = signature.replace("-", "+").replace("_", "/")
    if plain != signature:
        assert not opens(f"{header}.{payload}.{plain}")


def test_signatures(token, claims):
    header, payload, signature = token.split(".")
    raw = padded(signature)
    others = [raw[:-1], b"", raw + b"\0", raw[:32], bytes([raw[0] ^ 1]) + raw[1:], raw[:-1] + bytes([raw[-1] ^ 1]), b"\0" * 64]
    for other in others:
        assert not opens(f"{header}.{payload}.{unpadded(other)}")
    assert not opens(f"{header}.{payload}.{sign_up().split('.')[2]}")
    assert not opens(make_token(claims, key=b"another key of at least sixty-four bytes, as long as it has to be...."))
    assert not opens(make_token(claims, key=base64.urlsafe_b64decode(secret() + b"==")))


def changed(claims, **members):
    out = {**claims, **members}
    return {name: value for name, value in out.items() if value is not ...}


NOW = int(time.time())


@pytest.mark.parametrize("members", [{"exp": NOW - 1}, {"exp": ...}, {"exp": str(NOW + 1000)}, {"exp": NOW + 1000.5}, {"exp": -1}, {"exp": 2**63},
                                     {"exp": None}, {"exp": [NOW + 1000]}, {"exp": True}, {"nbf": NOW + 1000}, {"aud": "other"}, {"aud": ["busi_api"]},
                                     {"aud": ...}, {"aud": "busi_api2"}, {"aud": "BUSI_API"}, {"iss": "other"}, {"iss": ...}, {"iss": "busi_ap"},
                                     {"sid": ...}, {"sid": "x"}, {"sid": 1}, {"sid": ""}, {"sid": "a" * 64}, {"sid": "../x"}, {"sid": "a\r\nb"},
                                     {"typ": "refresh"}, {"typ": "reset"}, {"typ": ...},
                                     {"sub": "1e3"}, {"sub": "abc"}, {"sub": 1}, {"sub": "9223372036854775808"}, {"sub": "-1"}, {"sub": ...}])
def test_claims_that_are_not_ours(claims, members):
    assert not opens(make_token(changed(claims, **members)))


def test_the_session_of_another_user(claims):
    other = claims_of(sign_up())
    assert not opens(make_token({**claims, "sub": other["sub"]}))
    assert not opens(make_token({**claims, "sid": other["sid"]}))


def test_claims_twice_or_no_object(claims):
    payload = text(claims)
    for other in (payload[:-1] + ',"exp":4000000000}', '{"sub":"1",' + payload[1:], payload + " x", "[" + payload + "]", "1", "", "{}",
                  payload.replace('"sub"', '"sub\\u0000"')):
        assert not opens(make_token(other))


def test_payload_that_is_no_text(claims):
    payload = text(claims)[:-1].encode() + b',"x":"\xff"}'
    signed = unpadded(GOOD.encode()) + "." + unpadded(payload)
    signature = hmac.new(secret(), signed.encode(), hashlib.sha512).digest()
    assert not opens(signed + "." + unpadded(signature))


@pytest.mark.parametrize("token_sent", ["a", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "a b", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9", "a" * 4000,
                                        "a" * 7000, "\x80\xff", "%00", "null"])
def test_what_is_no_token(token_sent):
    assert not opens(token_sent)


def test_a_token_in_other_case(token):
    assert not opens(token.swapcase())


def test_no_answer_shows_a_token(token):
    for answer in get("/api/businesses?limit=1", token), get("/nowhere", token), get("/api/businesses", token[:-1]):
        assert token[-20:-1].encode() not in answer.raw and token[-20:-1] not in str(answer.headers)


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
